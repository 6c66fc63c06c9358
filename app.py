"""The CDK app: read one environment's settings, compose its stacks. `cdk synth -c environment=dev`."""

import sys

import aws_cdk as cdk

from cdk_data_science import ConfigurationError
from settings.model import SettingsError, load
from stacks import checks
from stacks.platform import compose


def main() -> None:
    app = cdk.App()
    checks.attach(app)
    try:
        compose(app, load(app.node.try_get_context("environment") or "dev"))
    except (SettingsError, ConfigurationError) as error:
        sys.exit(f"{error}")
    app.synth()


if __name__ == "__main__":
    main()
