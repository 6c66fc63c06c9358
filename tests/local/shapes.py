"""Raw answers of SageMaker checked against botocore's output shapes: nothing unknown, missing or mistyped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "boolean": (bool,),
    "timestamp": (int, float),
    "list": (list,),
    "map": (dict,),
    "structure": (dict,),
}
# Required by the model, and left out by the service: a version of a group has no name of its own.
_LEFT_OUT = {"DescribeModelPackage.ModelPackageName is missing"}


def checked(client: Any) -> Any:
    """The client, each of whose answers must fit its operation's output shape."""

    def check(operation_model: Any, response_dict: dict[str, Any], **_: Any) -> None:
        if response_dict["status_code"] == 200 and operation_model.output_shape is not None:
            answer = json.loads(response_dict["body"] or b"{}")
            found = set(violations(answer, operation_model.output_shape, operation_model.name))
            assert found <= _LEFT_OUT, found

    client.meta.events.register("before-parse.sagemaker", check)
    return client


def violations(value: Any, shape: Any, path: str) -> Iterator[str]:
    kind = shape.type_name
    allowed = _TYPES.get(kind, (object,))
    if not isinstance(value, allowed) or (isinstance(value, bool) and kind != "boolean"):
        yield f"{path}: {value!r} is no {kind}"
    elif kind == "structure":
        yield from (f"{path}.{name} is missing" for name in shape.required_members if name not in value)
        for name, item in value.items():
            if name in shape.members:
                yield from violations(item, shape.members[name], f"{path}.{name}")
            else:
                yield f"{path}.{name} is unknown"
    elif kind == "list":
        for item in value:
            yield from violations(item, shape.member, f"{path}[]")
    elif kind == "map":
        for item in value.values():
            yield from violations(item, shape.value, f"{path}{{}}")
    elif kind == "string" and shape.enum and value not in shape.enum:
        yield f"{path}: {value!r} is not in the enum"
