"""``local-aws faults``: what goes wrong on purpose."""

from __future__ import annotations

import argparse
import json
from typing import Any

from local_aws import faults, launcher, tables


def add_to(kinds: Any, command: Any) -> None:
    add = command(kinds, "add", _add, "let the next calls of an API fail, be throttled or be slow")
    add.add_argument(
        "--api", required=True, metavar="SERVICE:OPERATION", help="as in policies; s3:Get* is fine"
    )
    add.add_argument("--code", default="", help="the error's code, for example SlowDown")
    add.add_argument("--throttle", action="store_true", help="the code with which this service throttles")
    add.add_argument("--status", type=int, help="HTTP status (default: what fits the code)")
    add.add_argument("--delay", type=float, default=0.0, metavar="SECONDS", help="answer so much later")
    add.add_argument("--after", action="store_true", help="the call takes effect, and its answer is lost")
    add.add_argument("--times", type=int, default=1, help="how many calls meet the fault (default 1)")
    add.add_argument("--role", default="*", help="only calls of this role (name or ARN, with wildcards)")
    add.add_argument("--resource", default="*", help="only calls on this ARN (with wildcards)")

    kill = command(kinds, "kill", _kill, "kill a function in flight: the running calls, or the next one")
    kill.add_argument("function", help="name of the function")
    kill.add_argument("--delay", type=float, default=0.0, metavar="SECONDS", help="into the next call")
    kill.add_argument("--times", type=int, default=1, help="of the next calls (default 1)")

    duplicate = command(kinds, "duplicate", _duplicate, "deliver the next events of a rule twice")
    duplicate.add_argument("--rule", default="*", help="name of the EventBridge rule, with wildcards")
    duplicate.add_argument("--times", type=int, default=1, help="how many events (default 1)")

    listing = command(kinds, "list", _list, "which faults there are, and how often they were met")
    clear = command(kinds, "clear", _clear, "forget all faults; calls that are delayed go on")
    for each in (add, kill, duplicate, listing, clear):
        each.add_argument("--json", action="store_true", help="as JSON")


def _add(arguments: argparse.Namespace) -> int:
    names = ("api", "code", "throttle", "status", "delay", "after", "times", "role", "resource")
    return _added(arguments, {name: getattr(arguments, name) for name in names})


def _kill(arguments: argparse.Namespace) -> int:
    killed = launcher.ask(arguments.state_dir, "faults/kill", {"function": arguments.function})["killed"]
    if killed and arguments.json:
        print(json.dumps({"killed": killed}))
        return 0
    if killed:
        print(f"Killed {killed} running call{'s' if killed > 1 else ''} of {arguments.function}.")
        return 0
    fault = {"kind": faults.KILL, "resource": arguments.function}
    return _added(arguments, fault | {"delay": arguments.delay, "times": arguments.times})


def _duplicate(arguments: argparse.Namespace) -> int:
    fault = {"kind": faults.DUPLICATE, "resource": arguments.rule, "times": arguments.times}
    return _added(arguments, fault)


def _added(arguments: argparse.Namespace, request: dict[str, Any]) -> int:
    fault = launcher.ask(arguments.state_dir, "faults/add", request)
    if arguments.json:
        print(json.dumps(fault, indent=2))
        return 0
    often = "once" if fault["left"] == 1 else f"{fault['left']} times"
    print(f"Fault {fault['number']}: {_described(fault)}, {often}.")
    return 0


def _list(arguments: argparse.Namespace) -> int:
    answer = launcher.ask(arguments.state_dir, "faults/list", {})
    if arguments.json:
        print(json.dumps(answer, indent=2))
    elif not answer["faults"]:
        print("There are no faults.")
    else:
        rows = [
            (str(f["number"]), _described(f), f["role"], f["resource"], str(f["left"]), str(f["hits"]))
            for f in answer["faults"]
        ]
        tables.show("Faults", ("", "what", "role", "resource", "to come", "met"), rows)
    return 0


def _clear(arguments: argparse.Namespace) -> int:
    cleared = launcher.ask(arguments.state_dir, "faults/clear", {})["cleared"]
    if arguments.json:
        print(json.dumps({"cleared": cleared}))
        return 0
    print(f"No faults any more ({cleared} had not been used up).")
    return 0


def _described(fault: dict[str, Any]) -> str:
    if fault["kind"] == faults.KILL:
        return f"calls of {fault['resource']} are killed"
    if fault["kind"] == faults.DUPLICATE:
        return f"events of the rule {fault['resource']} are delivered twice"
    slow = f" after {fault['delay']:g} s" if fault["delay"] else ""
    if not fault["code"]:
        return f"{fault['api']} answers{slow}"
    lost = ", having taken effect" if fault["after"] else ""
    return f"{fault['api']} fails with {fault['code']} ({fault['status']}){slow}{lost}"
