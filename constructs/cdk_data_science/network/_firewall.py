"""The firewalls that stand between a network and its NAT gateways."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Fn, Names
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_networkfirewall as firewall
from constructs import Construct

from cdk_data_science.network.egress import MOST_DOMAINS

# What a rule group may hold cannot be changed later, so it has room for every list that is allowed.
_CAPACITY = 2 * MOST_DOMAINS
_FORWARD = ["aws:forward_to_sfe"]


class Firewalls(Construct):
    """One firewall in each subnet, all with one policy: TLS to named hosts, and nothing else.

    A firewall over several zones tells its endpoints in no fixed order, so that no route could name the one
    of its zone. With one in each zone there is nothing to confuse, and the price is the same: it is that of
    the endpoints.
    """

    log_group: logs.LogGroup
    """What was dropped."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        vpc_id: str,
        subnet_ids: Sequence[str],
        domains: Sequence[str],
        key: kms.IKey,
    ) -> None:
        super().__init__(scope, id)
        policy = self._policy(domains)
        self.log_group = logs.LogGroup(
            self, "Dropped", encryption_key=key, retention=logs.RetentionDays.ONE_YEAR
        )
        self.firewalls = [
            self._firewall(number, vpc_id, subnet_id, policy)
            for number, subnet_id in enumerate(subnet_ids, 1)
        ]

    def endpoint_id(self, number: int) -> str:
        """The VPC endpoint that routes lead to, of the firewall of this number, counted from 0."""
        # "us-east-1a:vpce-0123456789abcdef0"
        one = Fn.select(0, self.firewalls[number].attr_endpoint_ids)
        return Fn.select(1, Fn.split(":", one))

    def _policy(self, domains: Sequence[str]) -> firewall.CfnFirewallPolicy:
        strict = "STRICT_ORDER"
        group = firewall.CfnRuleGroup(
            self,
            "Allowed",
            rule_group_name=_name(self, "Allowed"),
            description="Hosts that may be reached by TLS",
            type="STATEFUL",
            capacity=_CAPACITY,
            rule_group=firewall.CfnRuleGroup.RuleGroupProperty(
                rules_source=firewall.CfnRuleGroup.RulesSourceProperty(
                    rules_source_list=firewall.CfnRuleGroup.RulesSourceListProperty(
                        generated_rules_type="ALLOWLIST", target_types=["TLS_SNI"], targets=list(domains)
                    )
                ),
                stateful_rule_options=firewall.CfnRuleGroup.StatefulRuleOptionsProperty(rule_order=strict),
            ),
        )
        return firewall.CfnFirewallPolicy(
            self,
            "Policy",
            firewall_policy_name=_name(self, "Policy"),
            description="TLS to named hosts, and nothing else",
            firewall_policy=firewall.CfnFirewallPolicy.FirewallPolicyProperty(
                stateless_default_actions=_FORWARD,
                stateless_fragment_default_actions=_FORWARD,
                # Not drop_strict, which would drop the handshake that the name is read from.
                stateful_default_actions=["aws:drop_established", "aws:alert_established"],
                stateful_engine_options=firewall.CfnFirewallPolicy.StatefulEngineOptionsProperty(
                    rule_order=strict, stream_exception_policy="DROP"
                ),
                stateful_rule_group_references=[
                    firewall.CfnFirewallPolicy.StatefulRuleGroupReferenceProperty(
                        resource_arn=group.attr_rule_group_arn, priority=1
                    )
                ],
            ),
        )

    def _firewall(
        self, number: int, vpc_id: str, subnet_id: str, policy: firewall.CfnFirewallPolicy
    ) -> firewall.CfnFirewall:
        made = firewall.CfnFirewall(
            self,
            f"Firewall{number}",
            firewall_name=_name(self, f"Firewall{number}"),
            firewall_policy_arn=policy.attr_firewall_policy_arn,
            vpc_id=vpc_id,
            subnet_mappings=[firewall.CfnFirewall.SubnetMappingProperty(subnet_id=subnet_id)],
        )
        firewall.CfnLoggingConfiguration(
            self,
            f"Logging{number}",
            firewall_arn=made.attr_firewall_arn,
            logging_configuration=firewall.CfnLoggingConfiguration.LoggingConfigurationProperty(
                log_destination_configs=[
                    firewall.CfnLoggingConfiguration.LogDestinationConfigProperty(
                        log_type="ALERT",
                        log_destination_type="CloudWatchLogs",
                        log_destination={"logGroup": self.log_group.log_group_name},
                    )
                ]
            ),
        )
        return made


def _name(scope: Construct, part: str) -> str:
    """CloudFormation has no names of its own for these types: one from the construct's place."""
    return f"{Names.unique_resource_name(scope, max_length=100, separator='-')}-{part}"
