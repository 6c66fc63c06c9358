"""The matrix of personas, actions and resources in docs/security.md, made from the roles themselves.

``python -m tests.constructs.security.matrix`` writes it anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cdk_data_science.security import Persona
from tests.compliance.templates import as_list
from tests.constructs import support
from tests.constructs.security import example
from tests.constructs.security.simulator import Simulator

PAGE = Path(__file__).parents[3] / "docs" / "security.md"
BEGIN, END = "<!-- personas: begin -->", "<!-- personas: end -->"

_HEAD = ["| Actions | On | If |", "| --- | --- | --- |"]
_OPERATORS = {"StringEquals": "is", "StringLike": "is like"}


def render() -> str:
    """The tables of all personas, in Markdown."""
    resources = support.resources(example.build())
    lines: list[str] = []
    for persona in Persona:
        name = "".join(part.capitalize() for part in persona.split("-"))
        statements = Simulator(resources, f"People{name}").statements()
        title = persona.replace("-", " ").capitalize().replace("Ml ", "ML ")
        lines += [f"#### {title}", "", *_HEAD]
        lines += sorted(_row(statement) for statement in statements)
        lines.append("")
    return "\n".join(lines)


def written(page: str) -> str:
    """What the page has between its marks."""
    return page.split(BEGIN)[1].split(END)[0].strip("\n") + "\n"


def _row(statement: dict[str, Any]) -> str:
    actions = ", ".join(f"`{action}`" for action in sorted(as_list(statement["Action"])))
    resources = ", ".join(f"`{_short(each)}`" for each in sorted(as_list(statement["Resource"])))
    return f"| {actions} | {resources} | {'; '.join(_conditions(statement))} |"


def _conditions(statement: dict[str, Any]) -> Iterator[str]:
    for operator, keys in statement.get("Condition", {}).items():
        for key, values in keys.items():
            if operator == "Null":
                yield f"`{key}` is given"
            else:
                wanted = " or ".join(f"`{value}`" for value in as_list(values))
                yield f"`{key}` {_OPERATORS[operator]} {wanted}"


def _short(arn: str) -> str:
    """An ARN without account and region, and the lake's resources by what they are."""
    zone = re.fullmatch(r"arn:aws:s3:::Lake(\w+?)Bucket[0-9A-F]{8}(.*)", arn)
    if zone is not None:
        return f"lake.{zone[1].lower()}{zone[2]}"
    text = re.sub(r"^arn:aws:kms:.*:key/Lake.*$", "lake.key", arn)
    text = re.sub(r"^arn:aws:iam::\d+:role/(\w+?)Role[0-9A-F]{8}$", r"role \1", text)
    text = re.sub(r"LakeRawDatabase\w*|LakeCuratedDatabase\w*|LakeFeaturesDatabase\w*", "<database>", text)
    return text.replace(f":{support.REGION}:{support.ACCOUNT}:", ":").replace("arn:aws:", "")


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{render()}\n{END}{rest.split(END)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
