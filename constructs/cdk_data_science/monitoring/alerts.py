"""One encrypted topic for everything that a person has to hear of."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as cloudwatch_actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from cdk_data_science._encryption import allow_alarms, operations_key
from cdk_data_science._validation import Problems, is_token


class AlertTopic(Construct):
    """An SNS topic, encrypted, that the alarms of this account may publish to.

    SNS's own AWS-managed key cannot be used by alarms, so the topic has a customer-managed key: one that is
    given, or one of its own. Publishing needs TLS.

    An event rule may publish once it targets ``targets.SnsTopic(alerts.topic)``, which adds what it takes to
    the policies of the topic and of its key. Both statements are without a condition then: EventBridge
    supports none in a topic's policy, and neither ``aws:SourceAccount`` nor ``aws:SourceArn`` in the policy
    of a topic's key. That is why they are not there before.

    At rest it costs 1 USD a month for a key of its own, and nothing with a given one.

    Example:
        ```python
        import aws_cdk as cdk
        from cdk_data_science import AlertTopic

        stack = cdk.Stack(cdk.App(), "Operations")
        alerts = AlertTopic(stack, "Alerts", emails=["data-platform@example.com"])
        ```

    Args:
        key: Key of the topic; a new one if not given. A given key that this app owns is extended so that
            alarms may use it; one that is imported must allow them already.
        emails: Addresses that are subscribed; each has to confirm the first message.
        display_name: Sender that mail programs show, at most 100 characters.

    Raises:
        ConfigurationError: an address or a name that SNS would refuse.

    See https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html and, for event rules,
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        key: kms.IKey | None = None,
        emails: Sequence[str] = (),
        display_name: str | None = None,
    ) -> None:
        super().__init__(scope, id)
        _check(self, emails, display_name)
        if key is None:
            self.key: kms.IKey = operations_key(self, "Key", description=f"Alerts of {self.node.path}")
        else:
            self.key = key
            allow_alarms(key)
        topic = sns.Topic(self, "Topic", master_key=self.key, enforce_ssl=True, display_name=display_name)
        self.topic: sns.ITopic = topic
        # CDK writes a policy of its own for TLS, which replaces the default one that lets the account
        # publish.
        self._let_alarms_publish()
        for email in emails:
            topic.add_subscription(subscriptions.EmailSubscription(email))
        self.node.default_child = topic.node.default_child

    @staticmethod
    def from_topic(scope: Construct, id: str, topic: sns.ITopic, *, key: kms.IKey) -> AlertTopic:
        """Send alerts to a topic that is there already, such as that of an organization.

        A topic and a key of this app are given the permissions that alarms need. Those that something else
        owns have to let ``cloudwatch.amazonaws.com`` publish and use the key, and ``events.amazonaws.com``
        where constructs tell of events: CDK cannot change their policies.

        ```python
        from aws_cdk import aws_kms as kms
        from aws_cdk import aws_sns as sns
        from cdk_data_science import AlertTopic

        arn = "arn:aws:sns:us-east-1:111122223333:operations"
        key_arn = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
        AlertTopic.from_topic(
            self,
            "Alerts",
            sns.Topic.from_topic_arn(self, "Topic", arn),
            key=kms.Key.from_key_arn(self, "TopicKey", key_arn),
        )
        ```

        Args:
            topic: The topic, in this region.
            key: What it is encrypted with: a key of yours, since alarms cannot use SNS's own.

        Raises:
            ConfigurationError: A topic of another region, or a FIFO topic, to which neither alarms nor
                people's addresses can be added.
        """
        return _AlertsOfATopic(scope, id, topic, key)

    def _let_alarms_publish(self) -> None:
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="AlarmsOfThisAccount",
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[self.topic.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": Stack.of(self).account}},
            )
        )

    def notify(self, *alarms: cloudwatch.Alarm) -> None:
        """Send a message when one of the alarms goes off."""
        action = cloudwatch_actions.SnsAction(self.topic)
        for alarm in alarms:
            alarm.add_alarm_action(action)

    def grant_publish(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a principal publish, with the use of the key that it takes."""
        return self.topic.grant_publish(grantee)

    def metric_failed_notifications(self) -> cloudwatch.Metric:
        """Messages that could not be delivered to a subscriber."""
        return self.topic.metric_number_of_notifications_failed()


class _AlertsOfATopic(AlertTopic):
    """Alerts to a topic that is there already. Nothing is made."""

    def __init__(self, scope: Construct, id: str, topic: sns.ITopic, key: kms.IKey) -> None:
        Construct.__init__(self, scope, id)
        problems = Problems("AlertTopic.from_topic", self)
        problems.check_constructs("topic", topic, write='sns.Topic.from_topic_arn(self, "Topic", …)')
        problems.check_constructs("key", key, write='kms.Key.from_key_arn(self, "TopicKey", …)')
        problems.raise_if_any()
        problems.check(
            not topic.fifo,
            given=f"the FIFO topic {topic.topic_arn}",
            allowed="a standard topic: alarms send to no other",
            write="sns.Topic.from_topic_arn(…) of a name without .fifo",
        )
        here, there = Stack.of(self).region, topic.env.region
        problems.check(
            is_token(here) or is_token(there) or here == there,
            given=f"a topic in {there}",
            allowed=f"one in {here}: alarms send to topics of their own region alone",
        )
        problems.raise_if_any()
        self.topic, self.key = topic, key
        allow_alarms(key)
        self._let_alarms_publish()


def _check(scope: Construct, emails: Sequence[str], display_name: str | None) -> None:
    problems = Problems("AlertTopic", scope)
    for email in emails:
        problems.check(
            is_token(email)
            or (email.count("@") == 1 and not email.startswith("@") and not email.endswith("@")),
            given=f"email {email!r}",
            allowed="an address such as data-platform@example.com",
        )
    if display_name is not None and not is_token(display_name):
        problems.check(
            len(display_name) <= 100,
            given=f"display_name of {len(display_name)} characters",
            allowed="at most 100",
        )
    problems.raise_if_any()
