"""Each role may do what its part does, and nothing beside it: tried with its own credentials."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.platform.deployed import Deployed, Run

pytestmark = pytest.mark.xdist_group("platform")

Clients = Callable[[str], Any]
Call = Callable[["World", Clients], Any]
DENIED = {"AccessDenied", "AccessDeniedException", "403", "Forbidden", "AuthorizationError"}


@dataclass(frozen=True)
class World:
    """What there is to reach for: the objects of a run, one to write and one that nobody should touch."""

    platform: Deployed
    run: Run

    @property
    def folder(self) -> str:
        return f"runs/{self.run.name}"

    @property
    def source(self) -> dict[str, str]:
        data = self.run.output["data"]
        return {"Bucket": data["bucket"], "Key": data["key"]}

    @property
    def train(self) -> dict[str, str]:
        return {"Bucket": self.platform.features, "Key": f"runs-train/{self.run.name}/train.csv"}

    @property
    def labels(self) -> dict[str, str]:
        return {"Bucket": self.platform.features, "Key": f"{self.folder}/labels.csv"}

    @property
    def holdout(self) -> dict[str, str]:
        return {"Bucket": self.platform.features, "Key": f"{self.folder}/holdout.csv"}

    @property
    def scores(self) -> dict[str, str]:
        return {"Bucket": self.platform.features, "Key": f"{self.folder}/scores.csv"}

    @property
    def record(self) -> dict[str, str]:
        return {"Bucket": self.platform.features, "Key": "failures/made-up.json"}

    @property
    def model(self) -> dict[str, str]:
        model = self.run.output["model"]
        return {"Bucket": model["bucket"], "Key": model["key"]}

    @property
    def pointer(self) -> dict[str, str]:
        return {"Bucket": self.platform.models, "Key": "models/current.json"}

    @property
    def archive(self) -> dict[str, str]:
        key = f"training/{self.run.output['trainingJob']['name']}/output/model.tar.gz"
        return {"Bucket": self.platform.models, "Key": key}

    @property
    def training_source(self) -> dict[str, str]:
        return {"Bucket": self.platform.models, "Key": "source/sourcedir.tar.gz"}

    @property
    def inference(self) -> dict[str, str]:
        return {"FunctionName": self.platform.function}

    @property
    def alias(self) -> dict[str, str]:
        return {"FunctionName": self.platform.function, "Name": self.platform.alias}


def read(what: str) -> Call:
    return lambda world, clients: clients("s3").get_object(**getattr(world, what))["Body"].read()


def write(what: str) -> Call:
    """Write what is there already, so that a call that is allowed by mistake breaks nothing."""

    def call(world: World, clients: Clients) -> Any:
        place = getattr(world, what)
        known = world.platform.exists(place["Bucket"], place["Key"])
        body = world.platform.get(place["Bucket"], place["Key"]) if known else b"{}"
        return clients("s3").put_object(**place, Body=body)

    return call


def write_new(zone: str, key: str) -> Call:
    def call(world: World, clients: Clients) -> Any:
        return clients("s3").put_object(Bucket=getattr(world.platform, zone), Key=key, Body=b"test")

    return call


def delete_version(what: str) -> Call:
    def call(world: World, clients: Clients) -> Any:
        place = getattr(world, what)
        version = world.platform.aws.client("s3").head_object(**place)["VersionId"]
        return clients("s3").delete_object(**place, VersionId=version)

    return call


def see_names(world: World, clients: Clients) -> Any:
    """Without it, S3 says of data that were withdrawn that they are forbidden; the local AWS does not."""
    return clients("s3").list_objects_v2(Bucket=world.platform.raw, MaxKeys=1)


def invoke(handler: str) -> Call:
    def call(world: World, clients: Clients) -> Any:
        name = world.platform.functions[handler]["FunctionName"]
        return clients("lambda").invoke(FunctionName=name, Payload=b'{"instances": []}')

    return call


def invoke_live(world: World, clients: Clients) -> Any:
    version = world.platform.serving().version
    return clients("lambda").invoke(
        **world.inference, Qualifier=version, Payload=b'{"instances": [{"text": "a"}]}'
    )


def get_alias(world: World, clients: Clients) -> Any:
    return clients("lambda").get_alias(**world.alias)


def update_alias(world: World, clients: Clients) -> Any:
    return clients("lambda").update_alias(**world.alias, Description="tried by a test")


def publish(world: World, clients: Clients) -> Any:
    return clients("lambda").publish_version(**world.inference)


def configure(world: World, clients: Clients) -> Any:
    return clients("lambda").update_function_configuration(**world.inference, Description="by a test")


def replace_code(world: World, clients: Clients) -> Any:
    return clients("lambda").update_function_code(**world.inference, ZipFile=b"PK")


def describe_alarms(world: World, clients: Clients) -> Any:
    return clients("cloudwatch").describe_alarms()


def silence_alarm(world: World, clients: Clients) -> Any:
    return clients("cloudwatch").delete_alarms(AlarmNames=["any"])


def list_packages(world: World, clients: Clients) -> Any:
    return clients("sagemaker").list_model_packages(ModelPackageGroupName=world.platform.group)


def delete_package(world: World, clients: Clients) -> Any:
    package = world.run.output["modelPackage"]["model_package_arn"]
    return clients("sagemaker").delete_model_package(ModelPackageName=package)


def start_run(world: World, clients: Clients) -> Any:
    # A name that there is already: allowed, it is found; refused, it is refused before.
    try:
        return clients("stepfunctions").start_execution(
            stateMachineArn=world.platform.machine, name=world.run.name, input="{}"
        )
    except ClientError as error:
        if error.response["Error"]["Code"] == "ExecutionAlreadyExists":
            return None
        raise


def train_again(world: World, clients: Clients) -> Any:
    """A job under a name that is not the pipeline's."""
    sagemaker = world.platform.aws.client("sagemaker")
    known = sagemaker.describe_training_job(TrainingJobName=world.run.output["trainingJob"]["name"])
    names = (
        *("AlgorithmSpecification", "RoleArn", "OutputDataConfig", "ResourceConfig", "StoppingCondition"),
        *("EnableManagedSpotTraining", "CheckpointConfig"),
    )
    request = {name: known[name] for name in names}
    return clients("sagemaker").create_training_job(TrainingJobName="somebody-elses-job", **request)


def describe_training(world: World, clients: Clients) -> Any:
    name = world.run.output["trainingJob"]["name"]
    return clients("sagemaker").describe_training_job(TrainingJobName=name)


def publish_alert(world: World, clients: Clients) -> Any:
    return clients("sns").publish(TopicArn=world.platform.outputs["AlertTopicArn"], Message="a test")


def publish_elsewhere(world: World, clients: Clients) -> Any:
    topic = f"{world.platform.outputs['AlertTopicArn']}-of-another-team"
    return clients("sns").publish(TopicArn=topic, Message="a test")


def take_a_role(world: World, clients: Clients) -> Any:
    return clients("iam").list_roles()


@dataclass(frozen=True)
class Part:
    """What a role may do, and its neighbours that it may not."""

    allowed: dict[str, Call]
    denied: dict[str, Call]


EVERYWHERE: dict[str, Call] = {
    "write another zone": write_new("raw", "reviews/made-up.csv"),
    "delete a version of the data": delete_version("source"),
    "delete a version of the model": delete_version("model"),
    "write the training code": write("training_source"),
    "replace code": replace_code,
    "read roles": take_a_role,
    "delete a package": delete_package,
}

PARTS: dict[str, Part] = {
    "training job": Part(
        allowed={
            "read training rows": read("train"),
            "read its code": read("training_source"),
            "write its output": write_new("models", "training/tried/output/model.tar.gz"),
            "write a checkpoint": write_new("models", "checkpoints/tried/epoch"),
        },
        denied={
            "read the raw data": read("source"),
            "read the held-out rows": read("holdout"),
            "read their labels": read("labels"),
            "read their scores": read("scores"),
            "write what it reads": write("train"),
            "write a served model": write("model"),
            "write the pointer": write("pointer"),
            "write a failure's record": write("record"),
            "invoke the gate": invoke("quality_gate.handler"),
            "start a run": start_run,
        },
    ),
    "start.handler": Part(
        allowed={"read the data": read("source"), "start a run": start_run},
        denied={
            "read training rows": read("train"),
            "write the data": write("source"),
            "invoke the gate": invoke("quality_gate.handler"),
        },
    ),
    "quality_gate.handler": Part(
        allowed={
            "read the data": read("source"),
            "write its report": write_new("features", "runs/tried/quality.json"),
        },
        denied={
            "read a model": read("model"),
            "write the data": write("source"),
            "write a failure's record": write("record"),
            "invoke preparation": invoke("prepare.handler"),
        },
    ),
    "prepare.handler": Part(
        allowed={
            "read the data": read("source"),
            "write rows": write_new("features", "runs/tried/holdout.csv"),
            "write training rows": write_new("features", "runs-train/tried/train.csv"),
        },
        denied={"read a model": read("model"), "write a model": write("model"), "start a run": start_run},
    ),
    "package.handler": Part(
        allowed={
            "read the archive": read("archive"),
            "write a model": write_new("models", "models/tried/model.onnx"),
        },
        denied={
            "read the data": read("source"),
            "read the labels": read("labels"),
            "write the archive": write("archive"),
            "publish a version": publish,
        },
    ),
    "score.handler": Part(
        allowed={
            "read a model": read("model"),
            "write scores": write_new("features", "runs/tried/scores.csv"),
        },
        denied={
            "read the data": read("source"),
            "write a model": write("model"),
            "invoke what serves": invoke_live,
        },
    ),
    "evaluate.handler": Part(
        allowed={
            "read the labels": read("labels"),
            "write its report": write_new("features", "evaluations/tried/evaluation.json"),
        },
        denied={
            "read a model": read("model"),
            "read the data": read("source"),
            "list packages": list_packages,
        },
    ),
    "register.handler": Part(
        allowed={"list packages": list_packages},
        denied={
            "read a model": read("model"),
            "read the data": read("source"),
            "move the alias": update_alias,
        },
    ),
    "deploy.stage": Part(
        allowed={
            "read the alias": get_alias,
            "invoke a version": invoke_live,
            "see which data there are": see_names,
        },
        denied={
            "move the alias": update_alias,
            "write the pointer": write("pointer"),
            "write the data": write("source"),
            "invoke a step": invoke("register.handler"),
        },
    ),
    "deploy.shift": Part(
        allowed={"read the alias": get_alias, "move the alias": update_alias},
        denied={
            "publish a version": publish,
            "configure the function": configure,
            "write the pointer": write("pointer"),
            "invoke a version": invoke_live,
        },
    ),
    "deploy.check": Part(
        allowed={
            "read the alias": get_alias,
            "read alarms": describe_alarms,
            "invoke a version": invoke_live,
        },
        denied={
            "move the alias": update_alias,
            "configure the function": configure,
            "delete alarms": silence_alarm,
        },
    ),
    "deploy.promote": Part(
        allowed={"move the alias": update_alias, "write the pointer": write("pointer")},
        denied={
            "publish a version": publish,
            "write a model": write("model"),
            "read the data": read("source"),
        },
    ),
    "deploy.rollback": Part(
        allowed={"move the alias": update_alias, "write the pointer": write("pointer")},
        denied={
            "publish a version": publish,
            "write a model": write("model"),
            "read the data": read("source"),
        },
    ),
    "app.handler": Part(
        allowed={"read a model": read("model"), "read the pointer": read("pointer")},
        denied={
            "read the archive": read("archive"),
            "read training rows": read("train"),
            "write a model": write("model"),
            "write the pointer": write("pointer"),
            "move the alias": update_alias,
            "invoke a step": invoke("register.handler"),
        },
    ),
    "state machine": Part(
        allowed={
            "invoke the gate": invoke("quality_gate.handler"),
            "write a failure's record": write("record"),
            "publish an alert": publish_alert,
            "read its jobs": describe_training,
        },
        denied={
            "invoke the start function": invoke("start.handler"),
            "invoke what serves": invoke_live,
            "read the data": read("source"),
            "read a failure's record back": read("record"),
            "write rows": write("train"),
            "publish to another topic": publish_elsewhere,
            "run somebody else's job": train_again,
        },
    ),
}


def role_of(platform: Deployed, part: str) -> str:
    if part == "training job":
        return platform.outputs["TrainingRoleArn"]
    return platform.machine_role if part == "state machine" else platform.role_of(part)


@pytest.fixture(scope="module")
def world(platform: Deployed, first_run: Run) -> World:
    return World(platform, first_run)


def clients_of(world: World, part: str) -> Clients:
    return world.platform.aws.session_for_role(role_of(world.platform, part)).client


@pytest.mark.parametrize("part", PARTS)
def test_each_role_may_do_what_its_part_does(world: World, part: str) -> None:
    clients = clients_of(world, part)
    for call in PARTS[part].allowed.values():
        call(world, clients)


@pytest.mark.parametrize("part", PARTS)
def test_no_role_may_do_what_lies_beside_it(world: World, part: str) -> None:
    clients = clients_of(world, part)
    went_through = [
        what
        for what, call in (EVERYWHERE | PARTS[part].denied).items()
        if not is_denied(call, world, clients)
    ]
    assert went_through == []


def is_denied(call: Call, world: World, clients: Clients) -> bool:
    try:
        call(world, clients)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        assert code in DENIED, f"{code}: {error}"
        return True
    return False


def test_a_version_that_was_protected_is_still_there(world: World) -> None:
    for place in (world.source, world.model):
        world.platform.aws.client("s3").head_object(**place)
