"""An HTTP API in front of an inference function: for callers without IAM credentials, with bounds."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import jsii
from aws_cdk import Duration
from aws_cdk import aws_apigateway as rest
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_apigatewayv2_authorizers as authorizers
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from cdk_data_science._validation import Problems, is_token

LONGEST_SECONDS = 30
_ORIGIN = re.compile(r"https://[^/?#*\s]+")
_FIELDS = {
    "requestId": "$context.requestId",
    "time": "$context.requestTime",
    "route": "$context.routeKey",
    "status": "$context.status",
    "latencyMs": "$context.responseLatency",
    "functionMs": "$context.integration.latency",
    "bytes": "$context.responseLength",
    "sourceIp": "$context.identity.sourceIp",
    "caller": "$context.identity.userArn",
    "subject": "$context.authorizer.claims.sub",
    "refused": "$context.error.message",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Jwt:
    """Callers who bring a token of an OpenID Connect provider, such as a Cognito user pool."""

    issuer: str
    """``https://…`` as in the token's ``iss``; API Gateway fetches its keys from there."""
    audience: Sequence[str]
    """What the token's ``aud`` or ``client_id`` must be, one of them."""
    scopes: Sequence[str] = ()
    """The token needs one of these, if there are any."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PredictionApi:
    """What an HTTP API in front of the function takes, of whom, and how much of it."""

    jwt: Jwt | None = None
    """Whose tokens are taken. Default: callers sign with IAM credentials."""
    rate: float = 100
    """Requests a second on the average; more are answered 429 and cost nothing of the function."""
    burst: int = 200
    """Requests at once."""
    origins: Sequence[str] = ()
    """Web pages that may call it from a browser, such as ``https://shop.example.com``. Default: none."""

    def check(self, problems: Problems, *, timeout: Duration) -> None:
        """Report what API Gateway would refuse, and answers that would never arrive."""
        problems.check(
            timeout.is_unresolved() or timeout.to_seconds(integral=False) <= LONGEST_SECONDS,
            given=f"http_api with timeout={timeout.to_seconds(integral=False):g} s"
            if not timeout.is_unresolved()
            else "http_api",
            allowed=f"at most {LONGEST_SECONDS} s: an HTTP API waits no longer for its function",
            write=f"timeout=Duration.seconds({LONGEST_SECONDS})",
        )
        for name, value in (("rate", self.rate), ("burst", self.burst)):
            problems.check(
                is_token(value) or 0 < value < math.inf,
                given=f"http_api with {name}={value}",
                allowed="more than 0, and finite",
                write=f"{name}={100 if name == 'rate' else 200}",
            )
        problems.check(
            all(is_token(origin) or _ORIGIN.fullmatch(origin) is not None for origin in self.origins),
            given=f"http_api with origins={list(self.origins)!r}",
            allowed="https addresses without a path: anything else lets pages in that nobody can vouch for",
            write='origins=["https://shop.example.com"]',
        )
        if self.jwt is not None:
            problems.check(
                is_token(self.jwt.issuer) or self.jwt.issuer.startswith("https://"),
                given=f"http_api with issuer={self.jwt.issuer!r}",
                allowed="an https address, as in the token",
                write='issuer="https://cognito-idp.<region>.amazonaws.com/<pool>"',
            )
            problems.check(
                bool(self.jwt.audience),
                given="http_api with an empty audience",
                allowed="one at least: without it, tokens that were made for others would be taken",
                write='audience=["<client id>"]',
            )


class PredictionEndpoint(Construct):
    """The API, its only stage, and its two routes: ``POST /`` and ``POST /models/{name}``."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        options: PredictionApi,
        alias: lambda_.IAlias,
        log_key: kms.IKey,
    ) -> None:
        super().__init__(scope, id)
        self._signed = options.jwt is None
        authorizer: apigateway.IHttpRouteAuthorizer = (
            authorizers.HttpIamAuthorizer()
            if options.jwt is None
            else authorizers.HttpJwtAuthorizer(
                "Tokens", options.jwt.issuer, jwt_audience=list(options.jwt.audience)
            )
        )
        self.api = apigateway.HttpApi(
            self,
            "Api",
            description="Predictions of an ONNX model",
            create_default_stage=False,
            default_authorizer=authorizer,
            default_authorization_scopes=(
                list(options.jwt.scopes) if options.jwt is not None and options.jwt.scopes else None
            ),
            cors_preflight=(
                apigateway.CorsPreflightOptions(
                    allow_origins=list(options.origins),
                    allow_methods=[apigateway.CorsHttpMethod.POST],
                    allow_headers=["authorization", "content-type", "x-amz-date", "x-amz-security-token"],
                    max_age=Duration.hours(1),
                )
                if options.origins
                else None
            ),
        )
        integration = integrations.HttpLambdaIntegration("Function", alias, scope_permission_to_route=True)
        self.routes = [
            route
            for path in ("/", "/models/{name}")
            for route in self.api.add_routes(
                path=path, methods=[apigateway.HttpMethod.POST], integration=integration
            )
        ]
        self.log_group = logs.LogGroup(
            self, "AccessLogs", encryption_key=log_key, retention=logs.RetentionDays.ONE_YEAR
        )
        self.stage = apigateway.HttpStage(
            self,
            "Stage",
            http_api=self.api,
            stage_name="$default",
            auto_deploy=True,
            throttle=apigateway.ThrottleSettings(rate_limit=options.rate, burst_limit=options.burst),
            detailed_metrics_enabled=True,
            access_log_settings=_AccessLogs(self.log_group),
        )

    @property
    def url(self) -> str:
        """Where predictions are asked for."""
        return self.stage.url

    def grant_invoke(self, grantee: iam.IGrantable) -> iam.Grant | None:
        """Let a principal call it with its credentials; nothing where tokens decide."""
        if not self._signed:
            return None
        first, *others = (
            route.grant_invoke(grantee, http_methods=[apigateway.HttpMethod.POST]) for route in self.routes
        )
        for other in others:
            first = first.combine(other)
        return first

    def metric_throttled_or_refused(self) -> cloudwatch.Metric:
        """Requests that were answered 4xx: throttled, without a valid token, or wrong."""
        return self.stage.metric_client_error(statistic="Sum", period=Duration.minutes(1))


@jsii.implements(apigateway.IAccessLogSettings)
class _AccessLogs:
    """One line of JSON for each request, with who asked; no bodies."""

    def __init__(self, log_group: logs.ILogGroup) -> None:
        self._destination = apigateway.LogGroupLogDestination(log_group)

    @property
    def destination(self) -> apigateway.IAccessLogDestination:
        return self._destination

    @property
    def format(self) -> rest.AccessLogFormat:
        return rest.AccessLogFormat.custom(json.dumps(_FIELDS))
