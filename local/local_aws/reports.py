"""How the command line shows what the instance answered."""

from __future__ import annotations

from typing import Any

from local_aws import tables

_SHOWN = 3


def show_access(roles: list[dict[str, Any]]) -> None:
    if not roles:
        print("No role has called anything yet.")
    for role in roles:
        rows = [
            *(
                ("denied", call["action"], str(call["calls"]), _some(call["resources"]))
                for call in role["denied"]
            ),
            *(
                ("used", call["action"], str(call["calls"]), _some(call["resources"]))
                for call in role["used"]
            ),
            *(("unused", p["action"], "", _some(p["resources"])) for p in role["unused"]),
            *(("not seen here", p["action"], "", _some(p["resources"])) for p in role["unseen"]),
        ]
        tables.show(role["role"], ("", "action", "calls", "resources"), rows)


def _some(resources: list[str]) -> str:
    more = len(resources) - _SHOWN
    return ", ".join(resources[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
