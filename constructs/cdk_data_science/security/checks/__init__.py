"""A rule pack for data science on AWS, for any CDK app."""

from cdk_data_science.security.checks.plugin import DataScienceChecks
from cdk_data_science.security.checks.rule import Rule, Severity, Unknown
from cdk_data_science.security.checks.rules import RULES

__all__ = ["RULES", "DataScienceChecks", "Rule", "Severity", "Unknown"]
