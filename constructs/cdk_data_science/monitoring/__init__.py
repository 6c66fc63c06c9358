"""Monitoring: who hears of what goes wrong."""

from cdk_data_science.monitoring.alarms import alarm
from cdk_data_science.monitoring.alerts import AlertTopic

__all__ = ["AlertTopic", "alarm"]
