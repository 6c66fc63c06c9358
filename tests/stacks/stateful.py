"""The resources that hold what cannot be made again, and the list of them that is kept in the repository.

CloudFormation replaces a resource whose logical id changes, and the new one is empty. After a deliberate
change, and a plan for the data: ``python -m tests.stacks.stateful`` writes the list anew.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import TypedDict

from settings.model import environments
from tests.compliance import assembly
from tests.compliance.assembly import Assembly

LOCK = Path(__file__).with_name("stateful_ids.json")

# What is lost with each of them. Logs, queues and topics are left out: they start anew without harm.
WHAT_IS_LOST = {
    "AWS::Cognito::UserPool": "its users",
    "AWS::DynamoDB::GlobalTable": "its items",
    "AWS::DynamoDB::Table": "its items",
    "AWS::EC2::Volume": "its files",
    "AWS::EFS::FileSystem": "its files",
    "AWS::FSx::FileSystem": "its files",
    "AWS::Glue::Database": "its tables' definitions and the permissions on them",
    "AWS::Glue::Table": "its definition, its partitions and the permissions on it",
    "AWS::KMS::Key": "everything that it encrypts, once the key is deleted",
    "AWS::Kinesis::Stream": "its records",
    "AWS::OpenSearchService::Domain": "its documents",
    "AWS::RDS::DBCluster": "its rows",
    "AWS::RDS::DBInstance": "its rows",
    "AWS::Redshift::Cluster": "its rows",
    "AWS::S3::Bucket": "its objects",
    "AWS::SageMaker::Domain": "its user profiles and their files",
    "AWS::SageMaker::FeatureGroup": "its online features",
    "AWS::SageMaker::MlflowApp": "its experiments",
    "AWS::SageMaker::MlflowTrackingServer": "its experiments",
    "AWS::SageMaker::ModelPackageGroup": "its registered model versions",
    "AWS::SecretsManager::Secret": "its value",
}


class Entry(TypedDict):
    type: str
    path: str


Lock = dict[str, dict[str, Entry]]
"""Stack name → logical id → what it is."""


def stateful(assembly: Assembly) -> Lock:
    """The stateful resources of an environment by stack and logical id."""
    found: Lock = {}
    for resource in sorted(assembly.platform.resources(), key=lambda r: (r.stack, r.logical_id)):
        if resource.type in WHAT_IS_LOST:
            path = resource.path.removesuffix("/Resource")
            found.setdefault(resource.stack, {})[resource.logical_id] = {"type": resource.type, "path": path}
    return found


def losses(locked: Lock, present: Lock) -> list[str]:
    """What a deployment of ``present`` over ``locked`` would lose, and what is new and not locked yet."""
    found = []
    for stack in sorted(locked.keys() | present.keys()):
        before, after = locked.get(stack, {}), present.get(stack, {})
        for key in sorted(before.keys() - after.keys()):
            entry = before[key]
            at_its_place = [new for new, other in after.items() if other["path"] == entry["path"]]
            instead = f"replaced by an empty one, {at_its_place[0]}" if at_its_place else "no longer there"
            found.append(
                f"{entry['path']} ({entry['type']} {key} in {stack}) would be {instead}; "
                f"lost with it: {WHAT_IS_LOST[entry['type']]}"
            )
        found += [
            f"{after[key]['path']} ({after[key]['type']} {key} in {stack}) is new and not in the list yet"
            for key in sorted(after.keys() - before.keys())
        ]
        found += [
            f"{after[key]['path']} ({key} in {stack}) was a {before[key]['type']}, is a {after[key]['type']}"
            for key in sorted(before.keys() & after.keys())
            if before[key]["type"] != after[key]["type"]
        ]
    return found


def read() -> dict[str, Lock]:
    """The list in the repository, by environment."""
    content: dict[str, Lock] = json.loads(LOCK.read_text(encoding="utf-8"))
    return content


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        done = assembly.synthesize(Path(folder), environments())
        if done.returncode:
            sys.exit(done.stderr)
        content = {name: stateful(Assembly(Path(folder) / name)) for name in environments()}
    LOCK.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
