"""Who works in Studio, on what, since when."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge
from cdk_data_science._functions import PlatformFunction
from cdk_data_science._validation import Problems, is_whole
from cdk_data_science.studio._domain_base import IStudioDomain

NAMESPACE = "CdkDataScience/Studio"
_SHORTEST, _LONGEST = 1, 60
_BY = ("owner", "space", "sharing", "type", "instance")
_QUERY = (
    "filter ispresent(app.owner)",
    f"stats max(app.hours) as hours, max(@timestamp) as seen by {', '.join(f'app.{n} as {n}' for n in _BY)}",
    "sort hours desc",
    "limit 100",
)


class StudioActivity(Construct):
    """A dashboard of the apps that run in a domain, with their owners, instances and hours.

    SageMaker publishes no metric of Studio's apps. A function lists them every few minutes. Sums are metrics;
    who runs what is in its log, which the dashboard queries, so that the cost does not grow with the people.

    **Costs at rest**, us-east-1, prices of November 2026: 0.90 USD a month for three metrics; the dashboard
    3 USD a month, after an account's first three; the function less than 0.10 USD.

    ```python
    from cdk_data_science import ResearchNetwork, StudioActivity, StudioDomain

    network = ResearchNetwork(self, "Network", zones=["us-east-1a", "us-east-1b"])
    studio = StudioDomain(self, "Studio", vpc=network.vpc, subnets=network.jobs)
    StudioActivity(self, "Activity", domain=studio)
    ```

    Args:
        domain: The domain.
        minutes: How often apps are listed, every 1 to 60 minutes. Default: 5.

    Raises:
        ConfigurationError: For minutes out of range.

    Follows https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format.html.
    """

    dashboard: cloudwatch.Dashboard
    """The dashboard."""

    def __init__(self, scope: Construct, id: str, *, domain: IStudioDomain, minutes: int = 5) -> None:
        super().__init__(scope, id)
        problems = Problems("StudioActivity", self)
        problems.check_constructs("domain", domain, write="StudioDomain.from_domain_attributes(…)")
        problems.check(
            is_whole(minutes, _SHORTEST) and minutes <= _LONGEST,
            given=f"minutes={minutes!r}",
            allowed=f"{_SHORTEST} to {_LONGEST}",
            write="minutes=5",
        )
        problems.raise_if_any()
        self._domain_id, self._period = domain.domain_id, Duration.minutes(minutes)
        dead_letters = domain.ending.dead_letters
        made = PlatformFunction(
            self,
            "Handler",
            asset="studio",
            handler="activity.handler",
            description="Lists the apps that run in a Studio domain",
            log_key=domain.log_key,
            runtime=domain.runtime,
            architecture=domain.architecture,
            memory_size=256,
            timeout=Duration.minutes(1),
            environment={"DOMAIN_ID": domain.domain_id},
            dead_letter_queue=dead_letters,
        )
        self.function = made.function
        made.role.add_to_policy(
            iam.PolicyStatement(
                sid="ListAppsAndOwners",
                actions=["sagemaker:ListApps", "sagemaker:ListSpaces"],
                resources=["*"],
            )
        )
        acknowledge(
            made.role,
            ["AwsSolutions-IAM5[Resource::*]"],
            "IAM has no resource for the lists of apps and spaces; they hold names and states.",
        )
        events.Rule(
            self,
            "Schedule",
            description="Lists the apps that run in Studio",
            schedule=events.Schedule.rate(self._period),
            targets=[
                targets.LambdaFunction(
                    made.function,
                    dead_letter_queue=dead_letters,
                    retry_attempts=2,
                    max_event_age=Duration.minutes(5),
                )
            ],
        )
        self.dashboard = self._draw(made.log_group)

    def metric_running_apps(self) -> cloudwatch.Metric:
        """Apps that are billed now."""
        return self._metric("RunningApps", "Apps")

    def metric_owners(self) -> cloudwatch.Metric:
        """People who have one."""
        return self._metric("Owners", "People")

    def metric_longest_run(self) -> cloudwatch.Metric:
        """Hours that the oldest app has run."""
        return self._metric("LongestRunHours", "Hours")

    def _metric(self, name: str, label: str) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace=NAMESPACE,
            metric_name=name,
            label=label,
            dimensions_map={"DomainId": self._domain_id},
            statistic="Maximum",
            period=self._period,
        )

    def _draw(self, log_group: logs.ILogGroup) -> cloudwatch.Dashboard:
        dashboard = cloudwatch.Dashboard(self, "Dashboard", default_interval=Duration.hours(3))
        running = [self.metric_running_apps(), self.metric_owners()]
        dashboard.add_widgets(
            cloudwatch.GraphWidget(
                title="Running apps and the people who have one",
                left=running,
                left_y_axis=cloudwatch.YAxisProps(min=0, label="", show_units=False),
                width=16,
            ),
            cloudwatch.SingleValueWidget(
                title="Now", metrics=[*running, self.metric_longest_run()], width=8, height=6
            ),
        )
        dashboard.add_widgets(
            cloudwatch.LogQueryWidget(
                title="Who ran what, the longest first",
                log_group_names=[log_group.log_group_name],
                view=cloudwatch.LogQueryVisualizationType.TABLE,
                query_lines=list(_QUERY),
                width=24,
                height=9,
            )
        )
        return dashboard
