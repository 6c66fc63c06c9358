"""What a person sees: live progress in a terminal, plain lines elsewhere, and the tables at the end."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from examples.review_sentiment import runs
from examples.review_sentiment.predictions import Answer
from examples.review_sentiment.runs import Outcome, Progress, State


class RunProgress:
    """Shows the states of a run as they come: a table that lives, or one line for each event."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=8) if console.is_terminal else None
        self._told: set[tuple[str, int, bool]] = set()

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()

    def show(self, progress: Progress) -> None:
        now = runs.now()
        if self._live:
            self._live.update(states_table(progress.states, now))
            return
        for state in progress.states:
            for ended in (False, True) if state.ended else (False,):
                event = (state.name, state.visits, ended)
                if event not in self._told:
                    self._told.add(event)
                    self._console.print(_line(state, now) if ended else f"  {state.name} …", highlight=False)


def _line(state: State, now: datetime) -> str:
    failure = f" failed: {state.error}" if state.error else ""
    return escape(f"  {state.name} {state.seconds(now):.1f} s{failure}")


def states_table(states: Iterable[State], now: datetime) -> Table:
    table = Table(box=None, show_header=False, pad_edge=True)
    for state in states:
        mark = (
            "[yellow]…[/]" if state.ended is None else "[red]failed[/]" if state.error else "[green]done[/]"
        )
        name = state.name if state.visits == 1 else f"{state.name} (x{state.visits})"
        table.add_row(mark, escape(name), f"{state.seconds(now):6.1f} s")
    return table


def predictions_table(answer: Answer) -> Table:
    table = Table(title="Predictions", title_justify="left")
    table.add_column("sentence")
    table.add_column("label")
    table.add_column("probability", justify="right")
    for prediction in answer.predictions:
        colour = "green" if prediction.label == "positive" else "red"
        label = Text(prediction.label, style=colour)
        table.add_row(Text(prediction.text), label, f"{prediction.probability:.3f}")
    return table


def quality_table(outcome: Outcome) -> Table:
    """The model's quality on the reviews that its training did not see."""
    metrics, counts = outcome.metrics, outcome.counts
    table = Table(title="On held-out reviews", title_justify="left", show_header=False)
    interval = metrics.get("auroc_ci95")
    table.add_row(
        "AUROC",
        _number(metrics.get("auroc"))
        + (f" (95 % interval {_number(interval[0])} to {_number(interval[1])})" if interval else ""),
    )
    for key, name in (
        ("accuracy", "accuracy"),
        ("base_rate", "share of the commoner class"),
        ("log_loss", "log loss"),
        ("brier", "Brier score"),
    ):
        if key in metrics:
            table.add_row(name, _number(metrics[key]))
    if counts:
        table.add_row(
            "sentences",
            f"{counts.get('train')} for training, {counts.get('holdout')} held out, "
            f"{counts.get('skipped', 0)} left out",
        )
        table.add_row("reviews", f"{counts.get('groups_train')} and {counts.get('groups_holdout')}")
    return table


def places_table(places: dict[str, str | None]) -> Table:
    table = Table(title="Where everything lies", title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, place in places.items():
        if place:
            table.add_row(name, Text(place))
    return table


def timing_table(steps: dict[str, float], states: Iterable[State], now: datetime) -> Table:
    table = Table(title="Time", title_justify="left", show_header=False)
    for name, seconds in steps.items():
        table.add_row(name, f"{seconds:.2f} s")
        if name == "pipeline":
            for state in states:
                table.add_row(Text(f"  {state.name}"), f"{state.seconds(now):.2f} s")
    return table


def _number(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, int | float) else "unknown"
