"""Readable tables on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def show(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; without rows, nothing."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    if not rows:
        return
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for number, name in enumerate(header):
        table.add_column(name, overflow="fold", no_wrap=number == 0)
    for row in rows:
        table.add_row(*row)
    # In a file or a pipe nothing is cut to the width of a terminal.
    width = None if sys.stdout.isatty() else 240
    Console(highlight=False, markup=False, width=width).print(table)
