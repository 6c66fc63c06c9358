"""ServerlessInference with its options: ways in and out, what is kept ready, and what each role may do."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_applicationautoscaling as appscaling
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kinesisfirehose as firehose
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from aws_cdk.assertions import Template

from cdk_data_science import ConfigurationError, DataLake, DataScienceChecks, ServerlessInference
from cdk_data_science.serving import (
    ConcurrencyScaling,
    Jwt,
    PayloadsInS3,
    PredictionApi,
    PredictionQueue,
    Predictions,
    PredictionStream,
    ScheduledCapacity,
)
from tests.compliance.test_cfn_lint import problems as lint
from tests.constructs import machines, nag, support

MORNING = ScheduledCapacity(
    schedule=appscaling.Schedule.cron(hour="7", minute="0", week_day="MON-FRI"),
    minimum=2,
    maximum=5,
    time_zone=cdk.TimeZone.EUROPE_BERLIN,
)
EVENING = ScheduledCapacity(
    schedule=appscaling.Schedule.cron(hour="19", minute="0"),
    minimum=0,
    maximum=0,
    time_zone=cdk.TimeZone.EUROPE_BERLIN,
)


@dataclass(frozen=True)
class Synthesized:
    """Two functions, which together have every option."""

    first: Template
    second: Template
    findings: list[str]
    """Of the packs and our own rules, on what the library made."""


OURS = ("First/Reviews", "First/Incoming", "First/OfClicks", "Second/Tokens")


@pytest.fixture(scope="module")
def both() -> Synthesized:
    app = support.app()
    first, second = support.stack(app, "First"), support.stack(app, "Second")
    lake = DataLake(first, "Lake", zones=["raw", "curated", "models"])
    caller = iam.Role(first, "Caller", assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"))
    trainer = iam.Role(first, "Trainer", assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"))
    reviews = ServerlessInference(
        first,
        "Reviews",
        models=lake.models,
        reserved_concurrency=20,
        provisioned_concurrency=ConcurrencyScaling(minimum=0, maximum=5, schedule=[MORNING, EVENING]),
        http_api=PredictionApi(rate=50, burst=100, origins=["https://shop.example.com"]),
        named_models=["churn", "fraud"],
        max_loaded_models=2,
        refresh=cdk.Duration.minutes(1),
        payloads=PayloadsInS3(zone=lake.raw, answers=lake.curated),
        predictions=Predictions.to_zone(lake.curated),
    )
    reviews.grant_invoke(caller)
    reviews.grant_promote(trainer, "churn")
    PredictionQueue(
        first,
        "Incoming",
        inference=reviews,
        max_concurrency=10,
        filters=[{"body": {"instances": [{"exists": True}]}}],
    )
    stream = kinesis.Stream(first, "Clicks", stream_mode=kinesis.StreamMode.ON_DEMAND)
    PredictionStream(first, "OfClicks", inference=reviews, stream=stream, parallel=2)

    other = DataLake(second, "Lake", zones=["models"])
    answers = sqs.Queue(second, "Answers", encryption=sqs.QueueEncryption.KMS, enforce_ssl=True)
    tokens = ServerlessInference(
        second,
        "Tokens",
        models=other.models,
        architecture=lambda_.Architecture.X86_64,
        snap_start=True,
        function_url=False,
        http_api=PredictionApi(
            jwt=Jwt(issuer="https://id.example.com", audience=["shop"], scopes=["predict"])
        ),
        predictions=Predictions.to_queue(answers),
    )
    tokens.grant_invoke(
        iam.Role(second, "Caller", assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"))
    )
    templates = support.synth(first), support.synth(second)
    cdk.Validations.of(app).add_plugins(DataScienceChecks(app))
    found = [each for each in nag.unacknowledged(app) if each.partition(" at ")[2].startswith(OURS)]
    return Synthesized(*templates, found)


@pytest.fixture(scope="module")
def first(both: Synthesized) -> Template:
    return both.first


@pytest.fixture(scope="module")
def second(both: Synthesized) -> Template:
    return both.second


def of_type(stack: Template | cdk.Stack, type: str) -> list[dict[str, Any]]:
    return [each["Properties"] for each in support.resources(stack, type).values()]


def serving(stack: Template | cdk.Stack) -> dict[str, Any]:
    [found] = [each for each in of_type(stack, "AWS::Lambda::Function") if each["Handler"] == "app.handler"]
    return found


def variables(stack: Template | cdk.Stack) -> dict[str, Any]:
    found: dict[str, Any] = serving(stack)["Environment"]["Variables"]
    return found


def grants(stack: Template | cdk.Stack, role: str, action: str) -> str:
    """The resources of the statements that allow a role an action, as text."""
    found = [each for each in machines.statements(stack, role) if action in machines.actions([each])]
    return json.dumps([each["Resource"] for each in found])


def test_no_rule_finds_anything_that_is_not_acknowledged(both: Synthesized) -> None:
    assert both.findings == []


def test_cfn_lint_accepts_every_option(both: Synthesized) -> None:
    assert [lint(template.to_json()) for template in (both.first, both.second)] == [[], []]


# HTTP API


def test_the_api_takes_post_on_two_paths_from_signed_callers_and_asks_the_alias(first: Template) -> None:
    routes = of_type(first, "AWS::ApiGatewayV2::Route")
    assert {(each["RouteKey"], each["AuthorizationType"]) for each in routes} == {
        ("POST /", "AWS_IAM"),
        ("POST /models/{name}", "AWS_IAM"),
    }
    [integration] = of_type(first, "AWS::ApiGatewayV2::Integration")
    assert integration["IntegrationUri"] == {
        "Ref": next(iter(support.resources(first, "AWS::Lambda::Alias")))
    }
    assert integration["PayloadFormatVersion"] == "2.0"
    assert "TimeoutInMillis" not in integration  # its own 30 s are what the function may take


def test_the_api_is_throttled_and_logs_who_asked_but_not_what(first: Template) -> None:
    [stage] = of_type(first, "AWS::ApiGatewayV2::Stage")
    assert stage["DefaultRouteSettings"] == {
        "DetailedMetricsEnabled": True,
        "ThrottlingBurstLimit": 100,
        "ThrottlingRateLimit": 50,
    }
    logged = json.loads(stage["AccessLogSettings"]["Format"])
    assert {"requestId", "status", "caller", "sourceIp"} <= set(logged)
    assert not any("body" in value.lower() for value in logged.values())
    groups = support.resources(first, "AWS::Logs::LogGroup")
    assert all("KmsKeyId" in group["Properties"] for group in groups.values())


def test_only_the_api_may_call_the_alias_and_only_for_its_routes(first: Template) -> None:
    permissions = of_type(first, "AWS::Lambda::Permission")
    assert {each["Principal"] for each in permissions} == {"apigateway.amazonaws.com"}
    alias = next(iter(support.resources(first, "AWS::Lambda::Alias")))
    assert all(each["FunctionName"] == {"Ref": alias} for each in permissions)
    sources = json.dumps([each["SourceArn"] for each in permissions])
    assert '"/*/*/"' in sources
    assert '"/*/*/models/{name}"' in sources
    assert '"/*/*"' not in sources


def test_pages_of_named_origins_may_call_it(first: Template) -> None:
    [api] = of_type(first, "AWS::ApiGatewayV2::Api")
    assert api["CorsConfiguration"]["AllowOrigins"] == ["https://shop.example.com"]
    assert api["CorsConfiguration"]["AllowMethods"] == ["POST"]


def test_tokens_are_taken_of_one_issuer_for_one_audience(second: Template) -> None:
    [authorizer] = of_type(second, "AWS::ApiGatewayV2::Authorizer")
    assert authorizer["JwtConfiguration"] == {"Audience": ["shop"], "Issuer": "https://id.example.com"}
    for route in of_type(second, "AWS::ApiGatewayV2::Route"):
        assert (route["AuthorizationType"], route["AuthorizationScopes"]) == ("JWT", ["predict"])


def test_a_caller_may_use_each_way_in_and_the_alias_alone(first: Template, second: Template) -> None:
    assert machines.actions(machines.statements(first, "Caller")) == {
        "lambda:InvokeFunction",
        "lambda:InvokeFunctionUrl",
        "execute-api:Invoke",
    }
    assert "POST/models/*" in grants(first, "Caller", "execute-api:Invoke")
    # Tokens are not IAM's: a grant of credentials opens the direct way alone.
    assert machines.actions(machines.statements(second, "Caller")) == {"lambda:InvokeFunction"}


def test_a_function_without_a_url_has_none(second: Template) -> None:
    assert of_type(second, "AWS::Lambda::Url") == []


# What is kept ready


def test_environments_are_kept_ready_by_use_and_by_the_clock(first: Template) -> None:
    [target] = of_type(first, "AWS::ApplicationAutoScaling::ScalableTarget")
    assert (target["MinCapacity"], target["MaxCapacity"]) == (0, 5)
    assert target["ScalableDimension"] == "lambda:function:ProvisionedConcurrency"
    assert json.dumps(target["ResourceId"]).count("function:") == 1
    [morning, evening] = target["ScheduledActions"]
    assert morning["ScalableTargetAction"] == {"MinCapacity": 2, "MaxCapacity": 5}
    assert (evening["ScalableTargetAction"], evening["Timezone"]) == (
        {"MinCapacity": 0, "MaxCapacity": 0},
        "Europe/Berlin",
    )
    [policy] = of_type(first, "AWS::ApplicationAutoScaling::ScalingPolicy")
    tracked = policy["TargetTrackingScalingPolicyConfiguration"]
    assert tracked["TargetValue"] == 0.7
    assert tracked["PredefinedMetricSpecification"] == {
        "PredefinedMetricType": "LambdaProvisionedConcurrencyUtilization"
    }


def test_the_alias_itself_has_no_number_that_an_update_would_put_back(first: Template) -> None:
    [alias] = of_type(first, "AWS::Lambda::Alias")
    assert "ProvisionedConcurrencyConfig" not in alias


def test_snapshots_are_made_of_published_versions(first: Template, second: Template) -> None:
    assert serving(second)["SnapStart"] == {"ApplyOn": "PublishedVersions"}
    assert serving(second)["Architectures"] == ["x86_64"]
    assert "SnapStart" not in serving(first)


# Models and payloads


def test_the_function_knows_its_models_and_when_to_look_again(first: Template, second: Template) -> None:
    told = variables(first)
    assert (told["MODEL_NAMES"], told["MAX_MODELS"]) == ("churn,fraud", "2")
    assert told["MODEL_REFRESH_SECONDS"] == "60"
    assert not {"MODEL_NAMES", "MAX_MODELS", "MODEL_REFRESH_SECONDS"} & set(variables(second))


def test_attempts_at_a_request_end_before_the_function_does(first: Template) -> None:
    assert float(variables(first)["REQUEST_TIMEOUT_SECONDS"]) == 5
    stack = support.stack()
    ServerlessInference(
        stack,
        "Quick",
        models=DataLake(stack, "Lake", zones=["models"]).models,
        timeout=cdk.Duration.seconds(3),
    )
    assert float(variables(stack)["REQUEST_TIMEOUT_SECONDS"]) == pytest.approx(0.6)


def test_whoever_promotes_a_named_model_writes_its_folder_and_no_other(first: Template) -> None:
    written = grants(first, "Trainer", "s3:PutObject")
    assert "models/churn/*" in written
    assert "fraud" not in written
    assert '"/models/*"' not in written


def test_requests_are_read_and_answers_written_below_their_folders(first: Template) -> None:
    told = variables(first)
    assert json.dumps(told["REQUESTS_AT"]).endswith('"/requests/"]]}')
    assert json.dumps(told["ANSWERS_AT"]).endswith('"/answers/"]]}')
    assert (told["MAX_REFERENCED_ROWS"], told["MAX_REFERENCED_BYTES"]) == ("100000", str(32 * 1024 * 1024))
    read = grants(first, "ReviewsInferenceRole", "s3:GetObject")
    assert '"/requests/*"' in read
    assert '"/answers/*"' not in read
    written = grants(first, "ReviewsInferenceRole", "s3:PutObject")
    assert '"/answers/*"' in written
    assert '"/requests/*"' not in written
    assert not any(
        action.startswith("s3:Delete")
        for action in machines.actions(machines.statements(first, "ReviewsInferenceRole"))
    )


# Batches


def test_a_queue_gives_back_what_failed_and_gives_up_after_three_tries(first: Template) -> None:
    [source] = [each for each in of_type(first, "AWS::Lambda::EventSourceMapping") if "ScalingConfig" in each]
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert (source["BatchSize"], source["MaximumBatchingWindowInSeconds"]) == (100, 5)
    assert source["ScalingConfig"] == {"MaximumConcurrency": 10}
    assert json.loads(source["FilterCriteria"]["Filters"][0]["Pattern"]) == {
        "body": {"instances": [{"exists": True}]}
    }
    [queue] = [each for each in of_type(first, "AWS::SQS::Queue") if "RedrivePolicy" in each]
    assert queue["VisibilityTimeout"] == 6 * 30 + 5
    assert queue["RedrivePolicy"]["maxReceiveCount"] == 3
    assert "KmsMasterKeyId" in queue


def test_the_queue_feeds_the_alias_so_that_a_canary_gets_its_share(first: Template) -> None:
    alias = next(iter(support.resources(first, "AWS::Lambda::Alias")))
    for source in of_type(first, "AWS::Lambda::EventSourceMapping"):
        assert alias in json.dumps(source["FunctionName"])


def test_a_stream_goes_on_past_what_is_given_up(first: Template) -> None:
    [source] = [
        each for each in of_type(first, "AWS::Lambda::EventSourceMapping") if "StartingPosition" in each
    ]
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert source["BisectBatchOnFunctionError"] is True
    assert (source["MaximumRetryAttempts"], source["MaximumRecordAgeInSeconds"]) == (5, 86_400)
    assert (source["ParallelizationFactor"], source["StartingPosition"]) == (2, "LATEST")
    rejected = source["DestinationConfig"]["OnFailure"]["Destination"]["Fn::GetAtt"][0]
    assert variables(first)["REJECTED_TO"] == {"Ref": rejected}
    assert rejected in grants(first, "ReviewsInferenceRole", "sqs:SendMessage")


def test_late_records_and_dead_letters_set_off_alarms_that_somebody_hears(first: Template) -> None:
    alarms = of_type(first, "AWS::CloudWatch::Alarm")
    names = [each["MetricName"] for each in alarms]
    assert names.count("ApproximateNumberOfMessagesVisible") == 3  # asynchronous, of the queue, of the stream
    [late] = [each for each in alarms if each["MetricName"] == "IteratorAge"]
    assert {each["Name"] for each in late["Dimensions"]} == {"FunctionName", "Resource"}
    assert (late["Threshold"], late["Statistic"]) == (60_000, "Maximum")
    assert all(each["AlarmActions"] for each in alarms)


def test_predictions_go_to_a_queue_that_the_function_may_send_to(second: Template) -> None:
    assert "Answers" in json.dumps(variables(second)["RESULTS_TO"])
    assert "Answers" in grants(second, "TokensInferenceRole", "sqs:SendMessage")
    assert "sqs:ReceiveMessage" not in machines.actions(machines.statements(second, "TokensInferenceRole"))
    assert "Answers" in grants(second, "TokensInferenceRole", "kms:GenerateDataKey")


def test_predictions_go_to_a_delivery_stream_by_one_action() -> None:
    stack = support.stack()
    role = iam.Role(stack, "Delivers", assumed_by=iam.ServicePrincipal("firehose.amazonaws.com"))
    stream = firehose.CfnDeliveryStream(
        stack,
        "Stream",
        s3_destination_configuration=firehose.CfnDeliveryStream.S3DestinationConfigurationProperty(
            bucket_arn="arn:aws:s3:::predictions", role_arn=role.role_arn
        ),
    )
    ServerlessInference(
        stack,
        "Reviews",
        models=DataLake(stack, "Lake", zones=["models"]).models,
        predictions=Predictions.to_delivery_stream(stream),
    )
    assert variables(stack)["RESULTS_TO"] == {"Fn::Join": ["", ["firehose:", {"Ref": "Stream"}]]}
    actions = machines.actions(machines.statements(stack, "ReviewsInferenceRole"))
    assert {action for action in actions if action.startswith("firehose:")} == {"firehose:PutRecordBatch"}


# What is refused


def refused(message: str, **options: Any) -> None:
    stack = support.stack()
    lake = DataLake(stack, "Lake", zones=["models"])
    with pytest.raises(ConfigurationError, match=message):
        ServerlessInference(stack, "Reviews", models=lake.models, **options)


PROVISIONED = ConcurrencyScaling(minimum=1, maximum=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"snap_start": True, "provisioned_concurrency": PROVISIONED}, "one of the two"),
        ({"snap_start": True, "runtime": lambda_.Runtime.PYTHON_3_11}, "SnapStart for python3.12"),
        ({"provisioned_concurrency": PROVISIONED, "reserved_concurrency": 1}, "at most what is reserved"),
        ({"provisioned_concurrency": ConcurrencyScaling(minimum=3, maximum=2)}, "minimum at most maximum"),
        ({"provisioned_concurrency": ConcurrencyScaling(minimum=0, maximum=2)}, "a schedule that raises it"),
        (
            {"provisioned_concurrency": ConcurrencyScaling(minimum=1, maximum=2, utilization=1)},
            "0.1 to 0.9",
        ),
        (
            {"provisioned_concurrency": ConcurrencyScaling(minimum=1, maximum=2, utilization=None)},
            "without utilization and schedule",
        ),
        (
            {
                "provisioned_concurrency": ConcurrencyScaling(
                    minimum=1, maximum=2, schedule=[ScheduledCapacity(schedule=MORNING.schedule)]
                )
            },
            "changes nothing",
        ),
        (
            {
                "provisioned_concurrency": ConcurrencyScaling(
                    minimum=1,
                    maximum=2,
                    schedule=[ScheduledCapacity(schedule=MORNING.schedule, minimum=3, maximum=2)],
                )
            },
            "a minimum that is at most the maximum",
        ),
        ({"http_api": PredictionApi(), "timeout": cdk.Duration.seconds(31)}, "waits no longer"),
        ({"http_api": PredictionApi(rate=0)}, "more than 0"),
        ({"http_api": PredictionApi(burst=-1)}, "more than 0"),
        ({"http_api": PredictionApi(origins=["*"])}, "https addresses without a path"),
        ({"http_api": PredictionApi(rate=float("inf"))}, "more than 0, and finite"),
        ({"named_models": [f"{n}{'m' * 60}" for n in range(40)]}, "all variables of a function have 4 KB"),
        ({"http_api": PredictionApi(jwt=Jwt(issuer="id.example.com", audience=["a"]))}, "an https address"),
        (
            {"http_api": PredictionApi(jwt=Jwt(issuer="https://id.example.com", audience=[]))},
            "empty audience",
        ),
        ({"named_models": ["a/b"]}, "beginning with a letter or digit"),
        ({"named_models": ["a", "a"]}, "each once"),
        ({"named_models": ["a"], "max_loaded_models": 0}, "1 to 50"),
        ({"refresh": cdk.Duration.days(2)}, "1 s to one day"),
    ],
)
def test_what_lambda_or_its_neighbours_would_refuse(options: dict[str, Any], message: str) -> None:
    refused(message, **options)


def test_wrong_payloads_are_told_with_everything_else_at_once() -> None:
    stack = support.stack()
    lake = DataLake(stack, "Lake", zones=["raw", "models"])
    payloads = PayloadsInS3(zone=lake.raw, requests_prefix="requests", max_rows=0, max_mib=64)
    with pytest.raises(ConfigurationError, match="ServerlessInference at Test/Reviews: 4 problems") as caught:
        ServerlessInference(
            stack, "Reviews", models=lake.models, memory_size=256, max_rows=0, payloads=payloads
        )
    assert "an eighth of memory_size" in str(caught.value)
    assert "write: max_mib=32" in str(caught.value)


def test_a_url_that_was_left_out_is_not_to_be_had() -> None:
    stack = support.stack()
    inference = ServerlessInference(
        stack, "Reviews", models=DataLake(stack, "Lake", zones=["models"]).models, function_url=False
    )
    with pytest.raises(ConfigurationError, match="write: function_url=True"):
        _ = inference.url
    with pytest.raises(ConfigurationError, match="one of named_models: none"):
        inference.grant_promote(inference.role, "churn")


@pytest.fixture(scope="module")
def batches() -> tuple[cdk.Stack, ServerlessInference]:
    stack = support.stack()
    lake = DataLake(stack, "Lake", zones=["curated", "models"])
    return stack, ServerlessInference(
        stack, "Reviews", models=lake.models, predictions=Predictions.to_zone(lake.curated)
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "1 to 10000"),
        ({"batch_size": 11, "window": cdk.Duration.seconds(0)}, "a window of a second"),
        ({"window": cdk.Duration.minutes(6)}, "0 s to 300 s"),
        ({"tries": 0}, "1 to 1000"),
        ({"max_concurrency": 1}, "2 to 1000"),
    ],
)
def test_a_queue_that_lambda_would_refuse(
    batches: tuple[cdk.Stack, ServerlessInference], options: dict[str, Any], message: str
) -> None:
    _, inference = batches
    scope = cdk.Stack(cdk.App(), "Own")
    with pytest.raises(ConfigurationError, match=message):
        PredictionQueue(scope, "Queue", inference=inference, **options)


def test_a_queue_of_ones_own_needs_dead_letters(batches: tuple[cdk.Stack, ServerlessInference]) -> None:
    own = cdk.Stack(cdk.App(), "Own")
    with pytest.raises(ConfigurationError, match="comes back for ever"):
        PredictionQueue(own, "Queue", inference=batches[1], queue=sqs.Queue(own, "Plain"))
    # Of one that something else owns nobody knows whether it has some
    others: Any = sqs.Queue.from_queue_arn(own, "Imported", "arn:aws:sqs:eu-west-1:111122223333:others")
    with pytest.raises(ConfigurationError, match=r"given queue=.*; allowed: Queue"):
        PredictionQueue(own, "Other", inference=batches[1], queue=others)


def test_a_queue_of_ones_own_hides_messages_as_long_as_the_function_works(
    batches: tuple[cdk.Stack, ServerlessInference],
) -> None:
    own = cdk.Stack(cdk.App(), "Own")
    letters = sqs.DeadLetterQueue(queue=sqs.Queue(own, "Letters"), max_receive_count=3)
    short = sqs.Queue(own, "Short", visibility_timeout=cdk.Duration.seconds(29), dead_letter_queue=letters)
    with pytest.raises(ConfigurationError, match=r"hides a message for 29 s.*write: visibility_timeout"):
        PredictionQueue(own, "Queue", inference=batches[1], queue=short)


def test_numbers_that_are_known_only_at_deployment_reach_the_function_as_they_are() -> None:
    stack = support.stack()
    rows = cdk.CfnParameter(stack, "Rows", type="Number", default=10)
    pause = cdk.CfnParameter(stack, "Pause", type="Number", default=60)
    ServerlessInference(
        stack,
        "Reviews",
        models=DataLake(stack, "Lake", zones=["models"]).models,
        max_rows=rows.value_as_number,  # type: ignore[arg-type]
        refresh=cdk.Duration.seconds(pause.value_as_number),
        timeout=cdk.Duration.seconds(pause.value_as_number),
        slow=cdk.Duration.seconds(1),
    )
    assert (variables(stack)["MAX_ROWS"], variables(stack)["MODEL_REFRESH_SECONDS"]) == (
        {"Ref": "Rows"},
        {"Ref": "Pause"},
    )
    with pytest.raises(ConfigurationError, match="write: slow="):
        ServerlessInference(
            stack,
            "Other",
            models=DataLake(stack, "OtherLake", zones=["models"]).models,
            timeout=cdk.Duration.seconds(pause.value_as_number),
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 10_001}, "1 to 10000"),
        ({"tries": -1}, "0 to 10000"),
        ({"max_age": cdk.Duration.seconds(30)}, "a minute to seven days"),
        ({"parallel": 11}, "1 to 10"),
        ({"window": cdk.Duration.minutes(6)}, "0 s to 300 s"),
        ({"window": 5, "batch_size": "9"}, r"window=5; allowed: a Duration(.|\n)*batch_size='9'"),
    ],
)
def test_a_stream_that_lambda_would_refuse(
    batches: tuple[cdk.Stack, ServerlessInference], options: dict[str, Any], message: str
) -> None:
    own = cdk.Stack(cdk.App(), "Own")
    with pytest.raises(ConfigurationError, match=message):
        PredictionStream(own, "Of", inference=batches[1], stream=kinesis.Stream(own, "Stream"), **options)


def test_batches_need_a_place_for_their_predictions() -> None:
    stack = support.stack()
    inference = ServerlessInference(stack, "Reviews", models=DataLake(stack, "Lake", zones=["models"]).models)
    with pytest.raises(ConfigurationError, match="a place for the predictions"):
        PredictionQueue(stack, "Queue", inference=inference)
    with pytest.raises(ConfigurationError, match="a folder of the zone"):
        Predictions.to_zone(DataLake(stack, "Other", zones=["curated"]).curated, "nofolder")
