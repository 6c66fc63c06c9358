"""Writes stacks/region_types.json: the types that some region lacks, by the regions that lack them.

After an update of cfn-lint: ``python -m tests.stacks.regions``.
"""

from __future__ import annotations

import json
from importlib import resources

from stacks.regions import DATA, regions

# What the library builds, or may come to build.
SERVICES = frozenset(
    """
    AccessAnalyzer ApplicationAutoScaling Athena Batch Budgets CE Chatbot CloudTrail CloudWatch Config
    DataBrew DataSync DataZone EC2 ECR EFS EKS EMRServerless Events FSx Glue IAM Kinesis KinesisAnalyticsV2
    KinesisFirehose KMS LakeFormation Lambda Logs MSK MWAA NetworkFirewall QuickSight Redshift
    RedshiftServerless S3 S3Tables SageMaker Scheduler SecretsManager SNS SQS SSM StepFunctions
    """.split()  # noqa: SIM905 -- forty lines otherwise
)


def facts() -> dict[str, list[str]]:
    """Regions that lack something, as one text, and what it is."""
    folder = resources.files("cfnlint.data.schemas.providers")
    offered = {
        region: set(json.loads((folder / f"{region}.json").read_text(encoding="utf-8")))
        for region in regions()
    }
    found: dict[str, list[str]] = {}
    for kind in sorted(set[str]().union(*offered.values())):
        if kind.split("::")[1] in SERVICES:
            lacking = [region for region in regions() if kind not in offered[region]]
            if lacking:
                found.setdefault(" ".join(lacking), []).append(kind)
    return dict(sorted(found.items()))


def render() -> str:
    return json.dumps(facts(), indent=1) + "\n"


if __name__ == "__main__":
    DATA.write_text(render(), encoding="utf-8")
