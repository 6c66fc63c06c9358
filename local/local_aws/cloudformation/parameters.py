"""Parameters without a name get one as CloudFormation gives it: ministack's begin with a slash, which changes
their ARNs."""

from __future__ import annotations

import secrets
import string
from typing import Any

TYPE = "AWS::SSM::Parameter"
_ALPHABET = string.ascii_letters + string.digits


def handlers(base: dict[str, Any]) -> dict[str, Any]:
    """ministack's own handlers of the type, with another name at creation."""

    def create(logical_id: str, props: dict[str, Any], stack: str) -> Any:
        unique = "".join(secrets.choice(_ALPHABET) for _ in range(12))
        return base["create"](logical_id, {"Name": f"CFN-{logical_id}-{unique}"} | props, stack)

    return base | {"create": create}
