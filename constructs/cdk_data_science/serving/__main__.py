"""``python -m cdk_data_science.serving``: what JumpStart says of a model, noted for an app."""

from __future__ import annotations

import argparse
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any

from cdk_data_science.serving import _jumpstart_specs as specs

Fetch = Callable[[str], Any]
_TIMEOUT_SECONDS = 30


def main(arguments: Sequence[str] | None = None, *, fetch: Fetch | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m cdk_data_science.serving", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    noting = commands.add_parser("jumpstart", help="write what serving a model of JumpStart takes, as JSON")
    noting.add_argument("model_id", help="as JumpStart has it")
    noting.add_argument("--region", required=True, help="where it will be served")
    noting.add_argument("--version", help="default: the newest")
    chosen = parser.parse_args(arguments)
    try:
        entry = _entry(chosen, fetch if fetch is not None else _fetch)
    except (specs.NotServableError, urllib.error.URLError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(entry, indent=2) + "\n")
    if entry["license"] is not None:
        sys.stderr.write(f"Read its licence before you accept it: {entry['license']}\n")
    return 0


def _entry(chosen: argparse.Namespace, fetch: Fetch) -> dict[str, Any]:
    manifest = fetch(specs.manifest_url(chosen.region))
    header = specs.chosen(manifest, chosen.model_id, chosen.version)
    return specs.reduced(fetch(specs.manifest_url(chosen.region, header["spec_key"])), chosen.region)


def _fetch(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310 - always https
        return json.load(answer)


if __name__ == "__main__":
    sys.exit(main())
