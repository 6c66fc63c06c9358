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


def show_status(status: dict[str, Any]) -> None:
    rows = [
        ("endpoint", status["endpoint"]),
        ("account", f"{status['account']}, {status['region']}"),
        ("state", status["state_dir"]),
        ("mlflow", status["mlflow"] or "not started (local-aws up --mlflow)"),
        *((f"{kind} jobs", _counted(counts)) for kind, counts in status["jobs"].items()),
        ("endpoints", str(status["endpoints"])),
        ("moto", f"port {status['moto']}" if status["moto"] else "not started (starts when needed)"),
    ]
    for name, value in rows:
        print(f"{name:15} {value}")
    recorded = status["recorded_without_effect"]
    print(f"{'without effect':15} {'' if recorded else 'nothing deployed'}".rstrip())
    for name, count in recorded.items():
        print(f"  {name} ({count})")


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "none"


def _some(resources: list[str]) -> str:
    more = len(resources) - _SHOWN
    return ", ".join(resources[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
