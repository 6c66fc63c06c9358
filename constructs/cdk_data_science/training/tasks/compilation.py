"""SageMaker Neo in a state machine: a model is compiled for the hardware that it will run on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct, IConstruct

from cdk_data_science._validation import Problems
from cdk_data_science.training import checks
from cdk_data_science.training.kinds import COMPILATION, Naming, RunName
from cdk_data_science.training.network import TrainingNetwork
from cdk_data_science.training.tasks.polled import PolledJob

Framework = Literal[
    "TENSORFLOW", "KERAS", "MXNET", "ONNX", "PYTORCH", "XGBOOST", "TFLITE", "DARKNET", "SKLEARN"
]
FRAMEWORKS = (
    "TENSORFLOW", "KERAS", "MXNET", "ONNX", "PYTORCH", "XGBOOST", "TFLITE", "DARKNET", "SKLEARN",
)  # fmt: skip
_WITH_VERSION = ("TENSORFLOW", "MXNET", "PYTORCH", "TFLITE")
DEVICES = (
    "lambda", "ml_m4", "ml_m5", "ml_m6g", "ml_c4", "ml_c5", "ml_c6g", "ml_p2", "ml_p3", "ml_g4dn", "ml_inf1",
    "ml_inf2", "ml_trn1", "ml_eia2", "jetson_tx1", "jetson_tx2", "jetson_nano", "jetson_xavier", "rasp3b",
    "rasp4b", "imx8qm", "deeplens", "rk3399", "rk3288", "aisage", "sbe_c", "qcs605", "qcs603",
    "sitara_am57x", "amba_cv2", "amba_cv22", "amba_cv25", "x86_win32", "x86_win64", "coreml",
    "jacinto_tda4vm", "imx8mplus",
)  # fmt: skip
"""What ``TargetDevice`` may be."""
_GONE = ("ml_eia2",)
_LONGEST_SECONDS = 28 * 24 * 60 * 60


@dataclass(frozen=True, kw_only=True, slots=True)
class TargetPlatform:
    """A platform to compile for, in place of a device."""

    os: Literal["ANDROID", "LINUX"]
    arch: Literal["X86_64", "X86", "ARM64", "ARM_EABI", "ARM_EABIHF"]
    accelerator: Literal["INTEL_GRAPHICS", "MALI", "NVIDIA", "NNA"] | None = None

    def check(self, problems: Problems) -> None:
        """Report what SageMaker would refuse."""
        checks.check_one_of(problems, "os", self.os, ("ANDROID", "LINUX"))
        checks.check_one_of(problems, "arch", self.arch, ("X86_64", "X86", "ARM64", "ARM_EABI", "ARM_EABIHF"))
        accelerators = ("INTEL_GRAPHICS", "MALI", "NVIDIA", "NNA")
        checks.check_one_of(problems, "accelerator", self.accelerator, accelerators)

    def render(self) -> dict[str, str]:
        """Return the ``TargetPlatform`` of the SageMaker API."""
        platform: dict[str, str] = {"Os": self.os, "Arch": self.arch}
        return platform if self.accelerator is None else {**platform, "Accelerator": self.accelerator}


class CompilationJobTask(PolledJob):
    """States that compile a model with SageMaker Neo and wait for the end, for any state machine.

    Step Functions has no ``.sync`` for it. So one state creates the job, others look at it twice a minute,
    and stop it when its time is over. A job whose create call lost its answer is found again under its name.

    For Inferentia2 and Trainium, models are compiled with the Neuron SDK, in a training or processing job on
    such an instance, today; Neo's targets ``ml_inf2`` and ``ml_trn1`` are to be had in one region each.

    The state machine's role may create, describe, stop and tag jobs of the given name pattern and pass the
    job's role to SageMaker, and nothing else. Compiling costs nothing but the objects in S3.

    Example:
        ```python
        import aws_cdk as cdk
        from aws_cdk import aws_iam as iam
        from aws_cdk import aws_stepfunctions as sfn
        from cdk_data_science.training import CompilationJobTask, RunName

        stack = cdk.Stack(cdk.App(), "Vision")
        role = iam.Role(stack, "JobRole", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
        compile = CompilationJobTask(
            stack,
            "Compile",
            role=role,
            job_name=RunName("vision"),
            framework="PYTORCH",
            framework_version="2.0",
            model_uri="{% $artifact.uri %}",
            inputs={"input0": [1, 3, 224, 224]},
            output_uri="s3://my-lake/vision/compiled/",
            device="ml_c5",
            assign={"compiled": "{% $states.result.ModelArtifacts.S3ModelArtifacts %}"},
        )
        sfn.StateMachine(
            stack,
            "Machine",
            definition_body=sfn.DefinitionBody.from_chainable(compile),
            query_language=sfn.QueryLanguage.JSONATA,
        )
        ```

    Args:
        role: Role of the job, which reads the model and writes the compiled one.
        job_name: Name of the job: 1 to 63 letters, digits and hyphens, a JSONata expression that gives the
            same one in every state, or a :class:`RunName`.
        output_uri: S3 prefix of the compiled model.
        framework: What the model was made with; none with ``model_package_arn``.
        model_uri: S3 URI of the model's archive, or an expression for it.
        model_package_arn: A version in the registry, in place of ``framework`` and ``model_uri``.
        inputs: Names and shapes of the model's inputs, or the text that Neo wants where that is not enough.
            Not needed for XGBoost.
        framework_version: For TensorFlow, TensorFlow Lite, PyTorch and MXNet.
        device: What to compile for.
        platform: What to compile for, in place of ``device``.
        compiler_options: Options of the compiler, as its page has them.
        job_name_pattern: The pattern of names that the state machine may use, for its permissions, in lower
            case because SageMaker's ARNs are. The job's name if that is no expression, a RunName's own if it
            is one.
        output_key: Key that encrypts the compiled model; the bucket's default key if not given.
        network: Subnets and security groups of the job.
        max_runtime: Longest time of the job, one second to 28 days; 15 minutes if not given.
        tags: Tags of the job.
        tags_of: A construct whose tags the job gets too, as they stand at synthesis; the
            state's own place in the app if not given.
        on_failure: Where to go when the job cannot be had or fails, with the variable ``failure`` set to
            ``{"error", "cause", "state"}``; a Fail state with the original error if not given.
        assign: Variables to set from ``$states.result``, which is that of ``DescribeCompilationJob``.
        parameters: Parameters of ``CreateCompilationJob`` by their own names, in place of what the other
            arguments say, for what has no argument here. They are not checked.

    Raises:
        ConfigurationError: a value that SageMaker would refuse.

    See https://docs.aws.amazon.com/sagemaker/latest/dg/neo.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        role: iam.IRole,
        job_name: str | RunName,
        output_uri: str,
        framework: Framework | None = None,
        model_uri: str | None = None,
        model_package_arn: str | None = None,
        inputs: Mapping[str, list[int]] | str | None = None,
        framework_version: str | None = None,
        device: str | None = None,
        platform: TargetPlatform | None = None,
        compiler_options: Mapping[str, Any] | None = None,
        job_name_pattern: str | None = None,
        output_key: kms.IKey | None = None,
        network: TrainingNetwork | None = None,
        max_runtime: Duration | None = None,
        tags: Mapping[str, str] | None = None,
        tags_of: IConstruct | None = None,
        on_failure: sfn.State | None = None,
        assign: Mapping[str, Any] | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        limit = max_runtime if max_runtime is not None else Duration.minutes(15)
        naming = Naming(COMPILATION, job_name, job_name_pattern)
        problems = naming.problems(scope, f"CompilationJobTask {id!r}")
        _check_model(problems, framework, model_uri, model_package_arn, framework_version)
        _check_target(problems, device, platform, compiler_options)
        checks.check_uri(problems, "output_uri", output_uri)
        checks.check_time(problems, "max_runtime", limit, longest=_LONGEST_SECONDS)
        checks.check_tags(problems, tags or {})
        problems.raise_if_any()
        target: dict[str, Any] = {"S3OutputLocation": output_uri}
        if device is not None:
            target["TargetDevice"] = device
        if platform is not None:
            target["TargetPlatform"] = platform.render()
        if compiler_options is not None:
            target["CompilerOptions"] = json.dumps(dict(compiler_options))
        if output_key is not None:
            target["KmsKeyId"] = output_key.key_arn
        arguments: dict[str, Any] = {
            "RoleArn": role.role_arn,
            "OutputConfig": target,
            "StoppingCondition": {"MaxRuntimeInSeconds": limit.to_seconds()},
        }
        if model_package_arn is not None:
            arguments["ModelPackageVersionArn"] = model_package_arn
        else:
            source: dict[str, Any] = {"S3Uri": model_uri, "Framework": framework}
            if inputs is not None:
                source["DataInputConfig"] = inputs if isinstance(inputs, str) else json.dumps(dict(inputs))
            if framework_version is not None:
                source["FrameworkVersion"] = framework_version
            arguments["InputConfig"] = source
        if network is not None:
            arguments["VpcConfig"] = network.render()
        super().__init__(
            scope,
            id,
            naming=naming,
            arguments=arguments,
            role=role,
            tags=tags if tags is not None else {},
            tags_of=tags_of,
            limit=limit,
            on_failure=on_failure,
            assign=assign,
            parameters=parameters,
        )


def _check_model(
    problems: Problems,
    framework: str | None,
    model_uri: str | None,
    model_package_arn: str | None,
    framework_version: str | None,
) -> None:
    problems.check(
        (model_package_arn is None) == (model_uri is not None) == (framework is not None),
        given=f"framework={framework!r}, model_uri={model_uri!r}, model_package_arn={model_package_arn!r}",
        allowed="either framework and model_uri, or a version in the registry",
    )
    checks.check_one_of(problems, "framework", framework, FRAMEWORKS)
    checks.check_uri(problems, "model_uri", model_uri)
    problems.check(
        framework_version is None or framework in _WITH_VERSION,
        given=f"framework_version={framework_version!r} with {framework}",
        allowed=f"a version of {', '.join(_WITH_VERSION)}",
        write="framework_version=None",
    )


def _check_target(
    problems: Problems,
    device: str | None,
    platform: TargetPlatform | None,
    compiler_options: Mapping[str, Any] | None,
) -> None:
    problems.check(
        (device is None) != (platform is None),
        given=f"{'neither' if device is None else 'both'} of device and platform",
        allowed="exactly one",
        write='device="ml_c5"',
    )
    checks.check_one_of(problems, "device", device, [each for each in DEVICES if each not in _GONE])
    if platform is None:
        return
    platform.check(problems)
    problems.check(
        platform.accelerator != "NVIDIA" or bool(compiler_options),
        given="a platform with NVIDIA and no compiler_options",
        allowed="options with the architecture, TensorRT's and CUDA's version, which Neo asks for there",
        write='compiler_options={"gpu-code": "sm_72", "trt-ver": "6.0.1", "cuda-ver": "10.1"}',
    )
