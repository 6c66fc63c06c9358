"""CloudFormation: added resource types, custom resources, and references between stacks."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.assembly import settled
from tests.local.conftest import ROOT, LocalAws, allow, unique

LONGEST_ANSWER = 8.0
"""Seconds after which the start of an operation is answered in any case."""


class Stack:
    """A stack of a test's own."""

    def __init__(self, aws: LocalAws) -> None:
        self.aws = aws
        self.name = unique("stack")
        self._client = aws.client("cloudformation")

    def deploy(self, resources: dict[str, Any], outputs: dict[str, Any] | None = None) -> dict[str, str]:
        """Create or update the stack; its outputs. Fails the test where the stack fails."""
        status = self.attempt(resources, outputs)
        assert status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"), self.reasons()
        described = self._client.describe_stacks(StackName=self.name)["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}

    def attempt(self, resources: dict[str, Any], outputs: dict[str, Any] | None = None) -> str:
        template: dict[str, Any] = {"Resources": resources}
        if outputs:
            template["Outputs"] = {name: {"Value": value} for name, value in outputs.items()}
        known = self.exists()
        start = self._client.update_stack if known else self._client.create_stack
        start(StackName=self.name, TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_IAM"])
        return settled(self._client, self.name)

    def exists(self) -> bool:
        try:
            self._client.describe_stacks(StackName=self.name)
        except ClientError:
            return False
        return True

    def reasons(self) -> str:
        events = self._client.describe_stack_events(StackName=self.name)["StackEvents"]
        return "\n".join(event.get("ResourceStatusReason", "") for event in events)

    def physical_id(self, logical_id: str) -> str:
        found = self._client.describe_stack_resource(StackName=self.name, LogicalResourceId=logical_id)
        return str(found["StackResourceDetail"]["PhysicalResourceId"])

    def delete(self) -> None:
        stack = self._client.describe_stacks(StackName=self.name)["Stacks"][0]["StackId"]
        self._client.delete_stack(StackName=self.name)
        assert settled(self._client, stack) == "DELETE_COMPLETE", self.reasons()


def test_every_type_without_effect_is_in_the_page() -> None:
    source = (ROOT / "local" / "local_aws" / "cloudformation" / "recorded.py").read_text()
    types = re.findall(r'^    "([\w:]+)",$', source, re.MULTILINE)
    page = (ROOT / "docs" / "local-aws.md").read_text()
    assert len(types) > 15
    assert [name for name in types if f"`{name}`" not in page] == []


@pytest.fixture
def stack(local_aws: LocalAws) -> Stack:
    return Stack(local_aws)


def resource(kind: str, **properties: Any) -> dict[str, Any]:
    return {"Type": f"AWS::{kind}", "Properties": properties}


def test_a_stack_operation_is_over_when_its_call_returns_unless_that_takes_long(local_aws: LocalAws) -> None:
    client, name, began = local_aws.client("cloudformation"), unique("quick"), time.monotonic()
    template = json.dumps({"Resources": {"Topic": resource("SNS::Topic")}})
    client.create_stack(StackName=name, TemplateBody=template)
    answered = time.monotonic() - began
    status = client.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
    assert status == "CREATE_COMPLETE" or answered >= LONGEST_ANSWER


def test_a_model_package_group_is_created_tagged_and_deleted(stack: Stack) -> None:
    sagemaker = stack.aws.client("sagemaker")
    name = unique("group")
    group = resource(
        "SageMaker::ModelPackageGroup",
        ModelPackageGroupName=name,
        ModelPackageGroupDescription="models",
        Tags=[{"Key": "team", "Value": "reviews"}],
    )
    outputs = {"Ref": {"Ref": "Group"}, "Arn": {"Fn::GetAtt": ["Group", "ModelPackageGroupArn"]}}
    deployed = stack.deploy({"Group": group}, outputs)
    arn = f"arn:aws:sagemaker:us-east-1:000000000000:model-package-group/{name}"
    assert deployed == {"Ref": arn, "Arn": arn}
    assert sagemaker.describe_model_package_group(ModelPackageGroupName=name)["ModelPackageGroupDescription"]
    tags = {tag["Key"]: tag["Value"] for tag in sagemaker.list_tags(ResourceArn=arn)["Tags"]}
    assert tags["team"] == "reviews"
    stack.delete()
    with pytest.raises(ClientError, match="does not exist"):
        sagemaker.describe_model_package_group(ModelPackageGroupName=name)


def test_lake_formation_is_deployed_through_its_api(stack: Stack) -> None:
    lake = stack.aws.client("lakeformation")
    bucket, database, tag = stack.aws.bucket(), unique("db").replace("-", "_"), unique("zone")
    role = stack.aws.role("lambda")
    catalog = "000000000000"
    named = {"Database": {"CatalogId": catalog, "Name": database}}
    principal = {"DataLakePrincipalIdentifier": role}
    pair = {"CatalogId": catalog, "TagKey": tag, "TagValues": ["raw"]}
    resources = {
        "Database": resource("Glue::Database", CatalogId=catalog, DatabaseInput={"Name": database}),
        "Location": resource(
            "LakeFormation::Resource", ResourceArn=f"arn:aws:s3:::{bucket}", UseServiceLinkedRole="true"
        ),
        "Settings": resource("LakeFormation::DataLakeSettings", Admins=[principal]),
        "Tag": resource("LakeFormation::Tag", TagKey=tag, TagValues=["raw", "curated"]),
        "Grant": resource(
            "LakeFormation::PrincipalPermissions",
            Principal=principal,
            Resource=named,
            Permissions=["DESCRIBE"],
            PermissionsWithGrantOption=[],
        )
        | {"DependsOn": "Database"},
        "Association": resource("LakeFormation::TagAssociation", Resource=named, LFTags=[pair])
        | {"DependsOn": ["Database", "Tag"]},
    }
    stack.deploy(resources)
    arns = [found["ResourceArn"] for found in lake.list_resources()["ResourceInfoList"]]
    assert f"arn:aws:s3:::{bucket}" in arns
    assert principal in lake.get_data_lake_settings()["DataLakeSettings"]["DataLakeAdmins"]
    assert lake.get_lf_tag(TagKey=tag)["TagValues"] == ["raw", "curated"]
    granted = lake.list_permissions(Principal=principal, Resource=named)["PrincipalResourcePermissions"]
    assert [grant["Permissions"] for grant in granted] == [["DESCRIBE"]]
    tags = lake.get_resource_lf_tags(Resource=named)["LFTagOnDatabase"]
    assert [(found["TagKey"], found["TagValues"]) for found in tags] == [(tag, ["raw"])]
    resources["Tag"]["Properties"]["TagValues"] = ["raw", "features"]
    stack.deploy(resources)
    assert sorted(lake.get_lf_tag(TagKey=tag)["TagValues"]) == ["features", "raw"]
    stack.delete()
    assert principal not in lake.get_data_lake_settings()["DataLakeSettings"]["DataLakeAdmins"]
    assert f"arn:aws:s3:::{bucket}" not in [
        r["ResourceArn"] for r in lake.list_resources()["ResourceInfoList"]
    ]


def test_a_budget_and_its_notifications_are_deployed_and_changed(stack: Stack) -> None:
    budgets = stack.aws.client("budgets")

    def budget(amount: int) -> dict[str, Any]:
        limit = {"Amount": amount, "Unit": "USD"}
        notification = {"NotificationType": "ACTUAL", "ComparisonOperator": "GREATER_THAN", "Threshold": 80}
        subscriber = {"SubscriptionType": "EMAIL", "Address": "owner@example.com"}
        return resource(
            "Budgets::Budget",
            Budget={"BudgetType": "COST", "TimeUnit": "MONTHLY", "BudgetLimit": limit},
            NotificationsWithSubscribers=[{"Notification": notification, "Subscribers": [subscriber]}],
        )

    name = stack.deploy({"Budget": budget(100)}, {"Name": {"Ref": "Budget"}})["Name"]
    asked = {"AccountId": "000000000000", "BudgetName": name}
    assert float(budgets.describe_budget(**asked)["Budget"]["BudgetLimit"]["Amount"]) == 100
    assert budgets.describe_notifications_for_budget(**asked)["Notifications"][0]["Threshold"] == 80
    assert stack.deploy({"Budget": budget(200)}, {"Name": {"Ref": "Budget"}})["Name"] == name
    assert float(budgets.describe_budget(**asked)["Budget"]["BudgetLimit"]["Amount"]) == 200
    stack.delete()
    with pytest.raises(ClientError, match="NotFoundException"):
        budgets.describe_budget(**asked)


def test_cost_anomalies_are_watched_as_state(stack: Stack) -> None:
    explorer = stack.aws.client("ce")
    expression = {"Dimensions": {"Key": "ANOMALY_TOTAL_IMPACT_ABSOLUTE", "Values": ["10"]}}
    resources = {
        "Monitor": resource(
            "CE::AnomalyMonitor", MonitorName="all", MonitorType="DIMENSIONAL", MonitorDimension="SERVICE"
        ),
        "Subscription": resource(
            "CE::AnomalySubscription",
            SubscriptionName="daily",
            Frequency="DAILY",
            MonitorArnList=[{"Ref": "Monitor"}],
            Subscribers=[{"Type": "EMAIL", "Address": "owner@example.com"}],
            ThresholdExpression=json.dumps(expression),
        ),
    }
    arns = stack.deploy(resources, {"Monitor": {"Ref": "Monitor"}, "Subscription": {"Ref": "Subscription"}})
    subscription = explorer.get_anomaly_subscriptions(SubscriptionArnList=[arns["Subscription"]])
    (found,) = subscription["AnomalySubscriptions"]
    assert found["MonitorArnList"] == [arns["Monitor"]]
    assert found["ThresholdExpression"] == expression
    stack.delete()
    with pytest.raises(ClientError, match="UnknownMonitorException"):
        explorer.get_anomaly_monitors(MonitorArnList=[arns["Monitor"]])


def test_a_composite_alarm_follows_its_alarms(stack: Stack) -> None:
    cloudwatch = stack.aws.client("cloudwatch")
    alarm = resource(
        "CloudWatch::Alarm",
        ComparisonOperator="GreaterThanThreshold",
        EvaluationPeriods=1,
        MetricName="Errors",
        Namespace="Test",
        Period=60,
        Statistic="Sum",
        Threshold=0,
    )
    rule = {"Fn::Join": ["", ['ALARM("', {"Ref": "Errors"}, '")']]}
    resources = {"Errors": alarm, "Any": resource("CloudWatch::CompositeAlarm", AlarmRule=rule)}
    deployed = stack.deploy(resources, {"Name": {"Ref": "Any"}, "Arn": {"Fn::GetAtt": ["Any", "Arn"]}})
    asked = {"AlarmNames": [deployed["Name"]], "AlarmTypes": ["CompositeAlarm"]}
    (found,) = cloudwatch.describe_alarms(**asked)["CompositeAlarms"]
    assert found["AlarmArn"] == deployed["Arn"]
    assert found["AlarmRule"] == f'ALARM("{stack.physical_id("Errors")}")'
    stack.delete()
    assert cloudwatch.describe_alarms(**asked)["CompositeAlarms"] == []


def test_types_without_effect_are_recorded_and_told(stack: Stack) -> None:
    stack.deploy({"Trail": resource("CloudTrail::Trail", IsLogging=True, S3BucketName="b")})
    status = stack.aws.run("status")
    assert "AWS::CloudTrail::Trail (1)" in status.stdout
    stack.delete()
    assert "AWS::CloudTrail::Trail" not in stack.aws.run("status").stdout


def test_a_route_leads_to_the_endpoint_of_a_firewall(stack: Stack) -> None:
    # GIVEN a firewall, which has no effect, and a route that takes its first endpoint apart as on AWS
    firewall = resource(
        "NetworkFirewall::Firewall",
        FirewallName="f",
        FirewallPolicyArn="arn:aws:network-firewall:us-east-1:000000000000:stateful-rulegroup/p",
    )
    endpoint = {"Fn::Split": [":", {"Fn::Select": [0, {"Fn::GetAtt": ["Firewall", "EndpointIds"]}]}]}
    resources = {
        "Vpc": resource("EC2::VPC", CidrBlock="10.8.0.0/16"),
        "Firewall": firewall,
        "Table": resource("EC2::RouteTable", VpcId={"Ref": "Vpc"}),
        "Out": resource(
            "EC2::Route",
            RouteTableId={"Ref": "Table"},
            DestinationCidrBlock="0.0.0.0/0",
            VpcEndpointId={"Fn::Select": [1, endpoint]},
        ),
    }
    # WHEN
    outputs = stack.deploy(resources, {"Endpoint": {"Fn::Select": [1, endpoint]}})
    # THEN
    assert re.fullmatch(r"vpce-[0-9a-f]{17}", outputs["Endpoint"])


def test_rules_between_security_groups_are_what_ec2_shows(stack: Stack) -> None:
    ec2 = stack.aws.client("ec2")
    vpc = resource("EC2::VPC", CidrBlock="10.7.0.0/16")
    group = resource("EC2::SecurityGroup", GroupDescription="one", VpcId={"Ref": "Vpc"})
    itself = {"Fn::GetAtt": ["Group", "GroupId"]}
    lustre = {"GroupId": itself, "IpProtocol": "tcp", "FromPort": 1018, "ToPort": 1023}
    nowhere = [{"CidrIp": "127.0.0.1/32", "IpProtocol": "-1"}]
    group["Properties"]["SecurityGroupEgress"] = nowhere
    resources = {
        "Vpc": vpc,
        "Group": group,
        "In": resource("EC2::SecurityGroupIngress", **lustre, SourceSecurityGroupId=itself),
        "Out": resource("EC2::SecurityGroupEgress", **lustre, DestinationSecurityGroupId=itself),
    }
    group_id = stack.deploy(resources, {"Id": itself})["Id"]

    def ports(direction: str) -> list[int]:
        (found,) = ec2.describe_security_groups(GroupIds=[group_id])["SecurityGroups"]
        return [rule["FromPort"] for rule in found[direction] if rule["UserIdGroupPairs"]]

    assert (ports("IpPermissions"), ports("IpPermissionsEgress")) == ([1018], [1018])
    del resources["In"]
    stack.deploy(resources)
    assert (ports("IpPermissions"), ports("IpPermissionsEgress")) == ([], [1018])
    stack.delete()


def test_types_without_effect_have_the_attributes_of_their_schema(stack: Stack) -> None:
    address = {"Address": resource("EC2::EIP", Domain="vpc")}
    outputs = {"Id": {"Fn::GetAtt": ["Address", "AllocationId"]}}
    assert stack.deploy(address, outputs)["Id"] == stack.physical_id("Address")
    stack.delete()


def test_an_unknown_type_is_refused_by_name(stack: Stack) -> None:
    with pytest.raises(ClientError, match=r"Unrecognized resource types: \[AWS::No::Such\]"):
        stack.attempt({"Thing": resource("No::Such")})


def test_an_unknown_property_of_an_added_type_fails_and_rolls_back(stack: Stack) -> None:
    name = unique("group")
    wrong = resource("SageMaker::ModelPackageGroup", ModelPackageGroupName=name, ModelPackageGroupDesc="x")
    assert stack.attempt({"Group": wrong}) == "ROLLBACK_COMPLETE"
    assert "#: extraneous key [ModelPackageGroupDesc] is not permitted" in stack.reasons()


def test_references_between_stacks_are_read_when_a_stack_is_deployed(local_aws: LocalAws) -> None:
    producer, consumer = Stack(local_aws), Stack(local_aws)
    producer.deploy({"Topic": resource("SNS::Topic")}, {"TopicArn": {"Ref": "Topic"}})
    reference = {"Fn::GetStackOutput": {"StackName": producer.name, "OutputName": "TopicArn"}}
    parameter = resource("SSM::Parameter", Type="String", Value=reference)
    seen = consumer.deploy({"Parameter": parameter}, {"Value": {"Fn::GetAtt": ["Parameter", "Value"]}})
    assert seen["Value"] == producer.physical_id("Topic")
    producer.delete()  # a weak reference does not hold its producer back


def custom(source: str, role: str, aws: LocalAws, **properties: Any) -> dict[str, Any]:
    name = aws.function(source, role)
    arn = f"arn:aws:lambda:us-east-1:000000000000:function:{name}"
    return {"Type": "Custom::Thing", "Properties": {"ServiceToken": arn} | properties}


ANSWERS = """
import json, urllib.request
def handler(event, context):
    body = {"Status": "SUCCESS", "PhysicalResourceId": "mine", "StackId": event["StackId"],
            "RequestId": event["RequestId"], "LogicalResourceId": event["LogicalResourceId"],
            "Data": {"Given": event["ResourceProperties"]["Given"]}}
    request = urllib.request.Request(event["ResponseURL"], json.dumps(body).encode(), method="PUT")
    urllib.request.urlopen(request)
"""


def test_a_custom_resource_answers_with_attributes(stack: Stack) -> None:
    thing = custom(ANSWERS, stack.aws.role("lambda"), stack.aws, Given=7)
    outputs = stack.deploy(
        {"Thing": thing}, {"Id": {"Ref": "Thing"}, "Given": {"Fn::GetAtt": ["Thing", "Given"]}}
    )
    assert outputs == {"Id": "mine", "Given": "7"}


def test_a_custom_resource_that_crashes_fails_at_once_with_its_traceback(stack: Stack) -> None:
    source = "def handler(event, context):\n    raise RuntimeError('the handler is broken')"
    assert (
        stack.attempt({"Thing": custom(source, stack.aws.role("lambda"), stack.aws)}) == "ROLLBACK_COMPLETE"
    )
    assert "RuntimeError: the handler is broken" in stack.reasons()
    assert "line 2, in handler" in stack.reasons()


def test_a_custom_resource_that_cannot_be_imported_fails_at_once(stack: Stack) -> None:
    thing = custom("import no_such_module", stack.aws.role("lambda"), stack.aws)
    assert stack.attempt({"Thing": thing}) == "ROLLBACK_COMPLETE"
    assert "no_such_module" in stack.reasons()


def test_buckets_are_emptied_where_cdk_asks_for_it(stack: Stack) -> None:
    s3 = stack.aws.client("s3")
    bucket = unique("emptied")
    properties = {"ServiceToken": "unused", "BucketName": {"Ref": "Bucket"}}
    resources = {
        "Bucket": resource("S3::Bucket", BucketName=bucket, VersioningConfiguration={"Status": "Enabled"}),
        "Emptied": {"Type": "Custom::S3AutoDeleteObjects", "Properties": properties},
    }
    stack.deploy(resources)
    for _ in range(2):
        s3.put_object(Bucket=bucket, Key="a", Body=b"1")
    s3.delete_object(Bucket=bucket, Key="a")
    stack.delete()
    with pytest.raises(ClientError, match="404"):
        s3.head_bucket(Bucket=bucket)


def test_a_bucket_has_the_encryption_and_the_tags_of_its_template(stack: Stack) -> None:
    s3 = stack.aws.client("s3")
    key = stack.aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    encryption = [{"ServerSideEncryptionByDefault": default, "BucketKeyEnabled": "true"}]
    encrypted = {"BucketEncryption": {"ServerSideEncryptionConfiguration": encryption}}
    tags = [{"Key": "team", "Value": "reviews"}]
    outputs = {"Name": {"Ref": "Bucket"}}
    bucket = stack.deploy({"Bucket": resource("S3::Bucket", Tags=tags, **encrypted)}, outputs)["Name"]
    (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"] == default
    assert rule["BucketKeyEnabled"] is True
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tags
    assert s3.put_object(Bucket=bucket, Key="a", Body=b"1")["SSEKMSKeyId"] == key
    assert stack.deploy({"Bucket": resource("S3::Bucket")}, outputs)["Name"] == bucket
    (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"


def test_a_role_of_a_stack_is_enforced(stack: Stack) -> None:
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
    bucket = stack.aws.bucket()
    statement = allow("s3:PutObject", resource=f"arn:aws:s3:::{bucket}/*")
    policy = {"PolicyName": "p", "PolicyDocument": {"Version": "2012-10-17", "Statement": [statement]}}
    role = resource("IAM::Role", AssumeRolePolicyDocument=trust, Policies=[policy])
    arn = stack.deploy({"Role": role}, {"Arn": {"Fn::GetAtt": ["Role", "Arn"]}})["Arn"]
    s3 = stack.aws.session_for_role(arn).client("s3")
    s3.put_object(Bucket=bucket, Key="a", Body=b"1")
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.get_object(Bucket=bucket, Key="a")
