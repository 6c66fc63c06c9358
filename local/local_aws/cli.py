"""The command line: ``local-aws up | down | status | logs | report | doctor | faults | budgets | …``."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

from local_aws import budget_commands, environment, fault_commands, launcher, reports
from local_aws.settings import DEFAULT_PORT, STATE_DIR_VARIABLE, Settings, default_state_dir

_DISTRIBUTION = "cdk-data-science-local"


def main() -> int:
    signal.signal(signal.SIGTERM, _as_interrupt)
    # The caller's profiles and credentials are for another AWS: neither we nor a deploy command may use them.
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    arguments = _parser().parse_args()
    try:
        return int(arguments.run(arguments))
    except launcher.LaunchError as error:
        print(f"local-aws: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("local-aws: interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="local-aws",
        description="A local AWS that really runs SageMaker training jobs. No Docker, no account.",
    )
    parser.add_argument("--version", action="version", version=f"local-aws {version(_DISTRIBUTION)}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    up = _command(commands, "up", _up, "start in the background; returns when it is ready")
    up.add_argument("--port", type=_port, default=DEFAULT_PORT, help="port on 127.0.0.1 (default 4566)")
    up.add_argument(
        "--spot-notice",
        type=float,
        default=120.0,
        metavar="SECONDS",
        help="seconds between SIGTERM and SIGKILL for stopped and interrupted jobs (default 120, as in AWS)",
    )
    up.add_argument(
        "--mlflow",
        type=_port,
        nargs="?",
        const=0,
        metavar="PORT",
        help="start MLflow, too, for the runs of jobs; its page is at this port (default: one above --port)",
    )
    up.add_argument(
        "--no-schedules",
        action="store_true",
        help="let no schedule fire by the clock: for tests whose result the time of day must not change",
    )
    up.add_argument("--json", action="store_true", help="print where it listens as JSON")

    down = _command(commands, "down", _down, "end it and everything that it started")
    down.add_argument("--all", action="store_true", help="every instance of this user, of any state folder")
    down.add_argument("--json", action="store_true", help="as JSON")

    status = _command(commands, "status", _status, "what runs, and where")
    status.add_argument("--json", action="store_true", help="as JSON")

    env = _command(commands, "env", _env, 'what points tools at it: eval "$(local-aws env)"')
    env.add_argument("--json", action="store_true", help="as JSON")

    logs = _command(commands, "logs", _logs, "print the emulator's log")
    logs.add_argument("-f", "--follow", action="store_true", help="go on as it grows")

    report = _command(commands, "report", _report, "what each role used, did not use and was denied")
    report.add_argument(
        "--role", help="only roles whose name contains this text; also roles that never called"
    )
    report.add_argument("--json", action="store_true", help="as JSON")

    doctor = _command(
        commands,
        "doctor",
        _doctor,
        "check each hook of the emulator that this version relies on; end what killed instances left behind",
    )
    doctor.add_argument("--json", action="store_true", help="as JSON")

    faults = commands.add_parser("faults", help="make something fail, on purpose")
    kinds = faults.add_subparsers(required=True, metavar="FAULT")
    fault_commands.add_to(kinds, _command)
    interrupt = _command(kinds, "interrupt", _interrupt, "take the Spot capacity of a training job away")
    interrupt.add_argument("job", help="name of a running training job that uses managed Spot training")
    interrupt.add_argument("--json", action="store_true", help="as JSON")

    budgets = commands.add_parser("budgets", help="say what was spent, and see what budget actions did")
    budget_commands.add_to(budgets.add_subparsers(required=True, metavar="COMMAND"), _command)

    watch = _command(commands, "deploy-watch", _deploy_watch, "run a deploy command under the watchdog")
    watch.add_argument(
        "--timeout",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="no stack event for so long is a hang (default 60)",
    )
    watch.add_argument(
        "--show",
        choices=("resources", "stacks"),
        default="resources",
        help="a line for each event of each resource, or of each stack and what failed (default resources)",
    )
    watch.add_argument(
        "command", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="for example: -- cdk deploy --all"
    )
    return parser


def _command(commands: Any, name: str, run: Any, text: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    command.add_argument(
        "--state-dir",
        type=lambda value: Path(value).absolute(),
        default=default_state_dir(),
        help=f"folder of the instance (default .local/aws, or ${STATE_DIR_VARIABLE})",
    )
    command.set_defaults(run=run)
    return command


def _listed(ended: list[launcher.Ended]) -> list[dict[str, Any]]:
    return [
        {"state_dir": str(each.state_dir) if each.state_dir else None, "processes": each.processes}
        for each in ended
    ]


def _up(arguments: argparse.Namespace) -> int:
    mlflow = 0 if arguments.mlflow is None else arguments.mlflow or arguments.port + 1
    settings = Settings(
        state_dir=arguments.state_dir,
        port=arguments.port,
        spot_notice_seconds=arguments.spot_notice,
        mlflow_port=mlflow,
        schedules=not arguments.no_schedules,
    )
    if mlflow and not arguments.json:
        print("Starting with MLflow, which is installed the first time: that takes a minute …", flush=True)
    launched = launcher.up(settings)
    there = launched.settings
    if arguments.json:
        answer = {"endpoint": there.endpoint, "state_dir": str(there.state_dir), "started": launched.started}
        answer |= {"mlflow": there.mlflow_url}
        answer |= {"outdated": launched.outdated, "ended": _listed(launched.left)}
        print(json.dumps(answer))
    elif launched.started:
        for left in launched.left:
            print(f"Ended what a killed instance had left behind: {left}.")
        print(f"The local AWS is up at {there.endpoint} ({launched.seconds:.1f} s).")
        print(f"  account {there.account}, region {there.region}, state in {there.state_dir}")
        if there.mlflow_url is not None:
            print(f"  MLflow's page is at {there.mlflow_url}")
        print('  to point your tools at it: eval "$(local-aws env)"')
    else:
        print(f"The local AWS is up already at {there.endpoint} (state in {there.state_dir}).")
        if launched.outdated:
            renew = f"local-aws down --state-dir {there.state_dir} && local-aws up --port {there.port}"
            print(f"It was started by other code than this. To renew it (what is deployed is lost): {renew}")
    return 0


def _down(arguments: argparse.Namespace) -> int:
    if arguments.all:
        ended = launcher.down_all()
    else:
        processes = launcher.down(arguments.state_dir)
        ended = [launcher.Ended(arguments.state_dir, processes)] if processes else []
    if arguments.json:
        print(json.dumps({"ended": _listed(ended)}, indent=2))
    elif arguments.all:
        for each in ended:
            print(f"Ended {each}.")
        print("No local AWS is up." if ended else "No local AWS was up.")
    else:
        print("The local AWS is down." if ended else "The local AWS was not up.")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    status = launcher.status(arguments.state_dir)
    if arguments.json:
        print(json.dumps(status or {"state_dir": str(arguments.state_dir), "endpoint": None}, indent=2))
    elif status is None:
        print(f"No local AWS is up for {arguments.state_dir}.")
    else:
        reports.show_status(status)
    return 0 if status is not None else 3


def _env(arguments: argparse.Namespace) -> int:
    status = launcher.running(arguments.state_dir)
    if arguments.json:
        print(json.dumps(environment.variables(status), indent=2))
    else:
        print(environment.exports(status))
    return 0


def _logs(arguments: argparse.Namespace) -> int:
    file = arguments.state_dir / "emulator.log"
    if not file.exists():
        print(f"local-aws: there is no log in {arguments.state_dir}", file=sys.stderr)
        return 1
    with file.open(errors="replace") as log, contextlib.suppress(KeyboardInterrupt):
        while True:
            sys.stdout.write(log.read())
            sys.stdout.flush()
            if not arguments.follow:
                return 0
            time.sleep(0.3)
    return 0  # Ctrl-C is how one stops to follow


def _report(arguments: argparse.Namespace) -> int:
    answer = launcher.ask(arguments.state_dir, "report", {"role": arguments.role})
    if arguments.json:
        print(json.dumps(answer, indent=2))
    else:
        reports.show_access(answer["roles"])
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    from local_aws.emulator import hooks

    problems, ended = hooks.problems(), launcher.end_leftovers()
    if arguments.json:
        hooked = {"ministack": hooks.MINISTACK, "hooks": len(hooks.HOOKS), "broken": problems}
        print(json.dumps(hooked | {"ended": _listed(ended)}, indent=2))
        return 1 if problems else 0
    for problem in problems:
        print(f"broken: {problem}")
    if not problems:
        print(f"All {len(hooks.HOOKS)} hooks of ministack {hooks.MINISTACK} are as expected.")
    for left in ended:
        print(f"Ended what a killed instance had left behind: {left}.")
    return 1 if problems else 0


def _interrupt(arguments: argparse.Namespace) -> int:
    answer = launcher.ask(arguments.state_dir, "faults/interrupt", {"job": arguments.job})
    if arguments.json:
        print(json.dumps(answer))
        return 0
    print(f"Training job {arguments.job} loses its Spot capacity.")
    return 0


def _deploy_watch(arguments: argparse.Namespace) -> int:
    from local_aws import watchdog

    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if not command:
        message = "give the deploy command after --, for example: local-aws deploy-watch -- cdk deploy --all"
        raise launcher.LaunchError(message)
    return watchdog.watch(
        command,
        launcher.running(arguments.state_dir),
        arguments.timeout,
        each_resource=arguments.show == "resources",
    )


def _port(text: str) -> int:
    try:
        port = int(text)
    except ValueError:
        port = 0
    if not 1 <= port <= 65535:
        message = f"{text!r} is not a port: give a number from 1 to 65535"
        raise argparse.ArgumentTypeError(message)
    return port


def _as_interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt
