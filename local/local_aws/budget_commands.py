"""``local-aws budgets``: what was spent, as somebody says, and what the budgets' actions have done."""

from __future__ import annotations

import argparse
import json
from typing import Any

from local_aws import launcher, tables


def add_to(kinds: Any, command: Any) -> None:
    reached = command(kinds, "reached", _reached, "say that a budget has reached a share of its limit")
    reached.add_argument("budget", help="name of the budget")
    reached.add_argument("percent", type=float, help="percent of its limit")
    reached.add_argument("--forecast", action="store_true", help="forecast for the month, not yet spent")
    listing = command(kinds, "list", _list, "the actions of budgets, and what each has done")
    listing.add_argument("--json", action="store_true", help="as JSON")


def _reached(arguments: argparse.Namespace) -> int:
    request = {name: getattr(arguments, name) for name in ("budget", "percent", "forecast")}
    _show(launcher.ask(arguments.state_dir, "budgets/reached", request)["actions"])
    return 0


def _list(arguments: argparse.Namespace) -> int:
    actions = launcher.ask(arguments.state_dir, "budgets/list", {})["actions"]
    if arguments.json:
        print(json.dumps(actions, indent=2))
    else:
        _show(actions)
    return 0


def _show(actions: list[dict[str, str]]) -> None:
    if not actions:
        print("There are no budget actions.")
        return
    rows = [(action["budget"], action["action"], action["status"]) for action in actions]
    tables.show("Budget actions", ("budget", "action", "status"), rows)
