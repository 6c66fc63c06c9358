"""A stack of a CDK app, deployed without the CDK's command line: quicker, and with a bucket of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk

from cdk_data_science import BUILD_FOR_HOST_CONTEXT
from tests.constructs import support
from tests.local.conftest import ACCOUNT, REGION, LocalAws, eventually, unique

# Other tests bootstrap the account, under CDK's own qualifier.
_QUALIFIER = "tests"


def new_stack(folder: Path, prefix: str) -> cdk.Stack:
    """An empty stack whose functions are built for this machine."""
    app = support.app({BUILD_FOR_HOST_CONTEXT: True}, outdir=folder)
    synthesizer = cdk.DefaultStackSynthesizer(generate_bootstrap_version_rule=False, qualifier=_QUALIFIER)
    env = cdk.Environment(account=ACCOUNT, region=REGION)
    return cdk.Stack(app, unique(prefix), env=env, synthesizer=synthesizer)


def deploy(aws: LocalAws, stack: cdk.Stack) -> dict[str, str]:
    """Upload the assets and create the stack; its outputs."""
    app = stack.node.root
    assert isinstance(app, cdk.App)
    assembly, name = app.synth(), stack.stack_name
    folder, s3 = Path(assembly.directory), aws.client("s3")
    bucket = f"cdk-{_QUALIFIER}-assets-{ACCOUNT}-{REGION}"
    s3.create_bucket(Bucket=bucket)
    for file in json.loads((folder / f"{name}.assets.json").read_text())["files"].values():
        for place in file["destinations"].values():
            s3.put_object(
                Bucket=place["bucketName"],
                Key=place["objectKey"],
                Body=(folder / file["source"]["path"]).read_bytes(),
            )
    client = aws.client("cloudformation")
    template = json.dumps(assembly.get_stack_by_name(name).template)
    # As CDK does: the API takes 51,200 bytes at most.
    s3.put_object(Bucket=bucket, Key=f"{name}.json", Body=template.encode())
    url = f"https://s3.{REGION}.amazonaws.com/{bucket}/{name}.json"
    client.create_stack(StackName=name, TemplateURL=url, Capabilities=["CAPABILITY_NAMED_IAM"])
    status = settled(client, name)
    (described,) = client.describe_stacks(StackName=name)["Stacks"]
    if status != "CREATE_COMPLETE":
        events = client.describe_stack_events(StackName=name)["StackEvents"]
        raise AssertionError(
            "\n".join(
                f"{event['LogicalResourceId']}: {event['ResourceStatusReason']}"
                for event in events
                if event.get("ResourceStatusReason")
            )
        )
    return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}


def destroy(aws: LocalAws, stack: cdk.Stack) -> None:
    """Delete the stack, so that nothing of it goes on under the tests that come after."""
    client = aws.client("cloudformation")
    number = client.describe_stacks(StackName=stack.stack_name)["Stacks"][0]["StackId"]
    client.delete_stack(StackName=stack.stack_name)
    settled(client, number)


def settled(client: Any, stack: str) -> str:
    """The status of a stack, by its name or id, once nothing is in progress: that may take long."""

    def status() -> str:
        return str(client.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"])

    eventually(lambda: not status().endswith("_IN_PROGRESS"), 120, f"the end of what {stack} does")
    return status()
