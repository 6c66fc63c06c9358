"""Where people read alerts: a channel of Slack or Teams, through Amazon Q Developer in chat applications."""

from __future__ import annotations

import re
from dataclasses import dataclass

from aws_cdk import Aws, Names
from aws_cdk import aws_chatbot as chatbot
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from constructs import Construct

from cdk_data_science._validation import Problems, is_token

_SLACK_ID = re.compile(r"[A-Z0-9]{1,255}")
_TEAM_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, kw_only=True, slots=True)
class SlackChannel:
    """A channel of Slack. Somebody has authorized the workspace once in the console of the chat service."""

    workspace_id: str
    """Such as ``T0123ABCD``."""
    channel_id: str
    """Such as ``C0123ABCD``; from the channel's link, not its name."""

    def check(self, problems: Problems) -> None:
        """Record what is no identifier of Slack."""
        for name, text in (("workspace_id", self.workspace_id), ("channel_id", self.channel_id)):
            problems.check(
                is_token(text) or _SLACK_ID.fullmatch(text) is not None,
                given=f"{name}={text!r}",
                allowed="an identifier of Slack, capital letters and digits",
                write=f'{name}="{"T" if name == "workspace_id" else "C"}0123ABCD"',
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class TeamsChannel:
    """A channel of Microsoft Teams. Somebody has authorized the tenant once in the console."""

    team_id: str
    tenant_id: str
    """Both are UUIDs."""
    channel_id: str
    """The channel's identifier as in its link, percent-encoded: ``19%3a…%40thread.tacv2``."""

    def check(self, problems: Problems) -> None:
        """Record what is no identifier of Teams."""
        for name, text in (("team_id", self.team_id), ("tenant_id", self.tenant_id)):
            problems.check(
                is_token(text) or _TEAM_ID.fullmatch(text) is not None,
                given=f"{name}={text!r}",
                allowed="a UUID in small letters",
            )


class ChatNotifications(Construct):
    """A channel that shows the messages of a topic and can do nothing else.

    The channel's role has no permission, and its guardrail, which bounds whatever the role may get later,
    is a policy to read CloudWatch: without one AWS sets that of administrators.

    **Costs at rest**: nothing.
    """

    def __init__(
        self, scope: Construct, id: str, *, channel: SlackChannel | TeamsChannel, topic: sns.ITopic
    ) -> None:
        super().__init__(scope, id)
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("chatbot.amazonaws.com"),
            description="A chat channel that shows cost alerts; no permissions",
        )
        name = Names.unique_resource_name(self, max_length=128, separator="-")
        guardrails = [f"arn:{Aws.PARTITION}:iam::aws:policy/CloudWatchReadOnlyAccess"]
        if isinstance(channel, SlackChannel):
            chatbot.CfnSlackChannelConfiguration(
                self,
                "Slack",
                configuration_name=name,
                slack_workspace_id=channel.workspace_id,
                slack_channel_id=channel.channel_id,
                iam_role_arn=role.role_arn,
                guardrail_policies=guardrails,
                sns_topic_arns=[topic.topic_arn],
            )
        else:
            chatbot.CfnMicrosoftTeamsChannelConfiguration(
                self,
                "Teams",
                configuration_name=name,
                team_id=channel.team_id,
                teams_tenant_id=channel.tenant_id,
                teams_channel_id=channel.channel_id,
                iam_role_arn=role.role_arn,
                guardrail_policies=guardrails,
                sns_topic_arns=[topic.topic_arn],
            )
