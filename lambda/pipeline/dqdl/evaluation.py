"""One pass over the rows answers all rules.

What the rules need is collected by a few collectors, shared between rules that ask the same of the same
columns. Memory does not grow with the rows, except by some hundred bytes for each distinct value where a rule
asks for distinct values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from math import sqrt
from typing import Protocol, TypeVar, cast

from .model import Condition, Rule, Simple
from .values import Predicate, number_of, satisfies, type_predicate, value_predicate

MAXIMUM_DISTINCT_VALUES = 2_000_000
_SHOWN_CHARACTERS = 60


class TooManyDistinctValuesError(Exception):
    """A rule on distinct values would need more memory than a function has."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one rule of the ruleset came out, and what was seen."""

    rule: str
    passed: bool
    observed: str


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How all of them came out."""

    rows: int
    outcomes: list[Outcome]

    @property
    def passed(self) -> bool:
        return all(outcome.passed for outcome in self.outcomes)


def evaluate(
    rules: Sequence[Rule], header: Sequence[str], rows: Iterable[tuple[int, Sequence[str]]]
) -> Evaluation:
    """Evaluate rules over rows, each given with its line number; every row is as long as the header.

    Raises:
        TooManyDistinctValuesError: a rule on distinct values met more than two million of them.
    """
    plan = _Plan(header)
    judges = [plan.judge(rule) for rule in rules]
    collectors = list(plan.collectors.values())
    count = 0
    for line, row in rows:
        count += 1
        for collector in collectors:
            collector.see(line, row)
    verdicts = [judge(count) for judge in judges]
    return Evaluation(
        count,
        [
            Outcome(str(rule), passed, observed)
            for rule, (passed, observed) in zip(rules, verdicts, strict=True)
        ],
    )


Verdict = tuple[bool, str]
Judge = Callable[[int], Verdict]


class _Collector(Protocol):
    def see(self, line: int, row: Sequence[str]) -> None: ...


C = TypeVar("C", bound=_Collector)


class _Compliance:
    """How many fields of a column meet a predicate, and the first that does not."""

    def __init__(self, index: int, predicate: Predicate) -> None:
        self._index = index
        self._predicate = predicate
        self.compliant = 0
        self.first_failure: tuple[int, str] | None = None

    def see(self, line: int, row: Sequence[str]) -> None:
        value = row[self._index]
        if self._predicate(value):
            self.compliant += 1
        elif self.first_failure is None:
            self.first_failure = (line, value)


class _Frequencies:
    """Which values of one or more columns occur once, and which more often. All missing does not count."""

    def __init__(self, indexes: Sequence[int]) -> None:
        self._indexes = indexes
        self._once: set[bytes] = set()
        self._repeated: set[bytes] = set()
        self.present = 0
        self.first_repetition: tuple[int, str] | None = None

    def see(self, line: int, row: Sequence[str]) -> None:
        values = [row[index] for index in self._indexes]
        if not any(values):
            return
        self.present += 1
        key = blake2b("\0".join(values).encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if key in self._repeated:
            return
        if key in self._once:
            self._once.remove(key)
            self._repeated.add(key)
            if self.first_repetition is None:
                self.first_repetition = (line, ", ".join(values))
            return
        if len(self._once) + len(self._repeated) >= MAXIMUM_DISTINCT_VALUES:
            raise TooManyDistinctValuesError(
                f"more than {MAXIMUM_DISTINCT_VALUES} distinct values up to line {line}: too many to "
                "be counted here; evaluate this rule with AWS Glue"
            )
        self._once.add(key)

    @property
    def unique(self) -> int:
        return len(self._once)

    @property
    def distinct(self) -> int:
        return len(self._once) + len(self._repeated)


class _Moments:
    """Count, sum, mean and spread of the numbers in a column, in a numerically stable way."""

    def __init__(self, index: int) -> None:
        self._index = index
        self._compensation = 0.0
        self._sum = 0.0
        self._running_mean = 0.0
        self._squares = 0.0
        self.count = 0
        self.first_failure: tuple[int, str] | None = None

    def see(self, line: int, row: Sequence[str]) -> None:
        value = row[self._index]
        if value == "":
            return
        number = number_of(value)
        if number is None:
            if self.first_failure is None:
                self.first_failure = (line, value)
            return
        self.count += 1
        # Neumaier's compensated sum and Welford's running variance.
        total = self._sum + number
        larger, smaller = (self._sum, number) if abs(self._sum) >= abs(number) else (number, self._sum)
        self._compensation += (larger - total) + smaller
        self._sum = total
        difference = number - self._running_mean
        self._running_mean += difference / self.count
        self._squares += difference * (number - self._running_mean)

    @property
    def sum(self) -> float:
        return self._sum + self._compensation

    @property
    def mean(self) -> float:
        return self.sum / self.count

    @property
    def standard_deviation(self) -> float:
        return sqrt(self._squares / self.count)


class _Plan:
    """Turns rules into collectors, and into judges that read them once all rows were seen."""

    def __init__(self, header: Sequence[str]) -> None:
        self._header = list(header)
        self._indexes = {name: index for index, name in enumerate(header)}
        self.collectors: dict[tuple[object, ...], _Collector] = {}

    def judge(self, rule: Rule) -> Judge:
        if not isinstance(rule, Simple):
            judges = [self.judge(operand) for operand in rule.operands]
            decide = all if rule.operator == "and" else any
            return lambda rows: _combined(decide, [judge(rows) for judge in judges])
        if rule.kind == "ColumnExists":
            verdict = self._existence(rule.columns[0])
            return lambda _: verdict
        missing = [column for column in rule.columns if column not in self._indexes]
        if missing:
            verdict = self._existence(missing[0])
            return lambda _: verdict
        return self._judge_columns(rule)

    def _existence(self, column: str) -> Verdict:
        if column in self._indexes:
            return True, "the column exists"
        columns = ", ".join(self._header[:30]) + (", …" if len(self._header) > 30 else "")
        return False, f'there is no column "{column}"; the columns are {columns}'

    def _judge_columns(self, rule: Simple) -> Judge:
        match rule.kind:
            case "RowCount":
                return lambda rows: _compared(float(rows), rule.condition, f"{rows} rows")
            case "ColumnCount":
                count = len(self._header)
                return lambda _: _compared(float(count), rule.condition, f"{count} columns")
            case "IsComplete" | "Completeness":
                return self._completeness(rule)
            case "ColumnValues" | "ColumnLength" | "ColumnDataType":
                return self._compliance(rule)
            case "Mean" | "Sum" | "StandardDeviation":
                return self._moments(rule)
            case "IsPrimaryKey":
                return self._primary_key(rule)
        return self._frequencies(rule)

    def _collect_compliance(self, column: str, asked: object, predicate: Predicate) -> _Compliance:
        key = ("compliance", column, asked)
        return self._shared(key, lambda: _Compliance(self._indexes[column], predicate))

    def _collect_frequencies(self, columns: tuple[str, ...]) -> _Frequencies:
        return self._shared(
            ("frequencies", *columns), lambda: _Frequencies([self._indexes[name] for name in columns])
        )

    def _shared(self, key: tuple[object, ...], make: Callable[[], C]) -> C:
        # Equal keys are only ever made together with the same kind of collector.
        return cast("C", self.collectors.setdefault(key, make()))

    def _completeness(self, rule: Simple) -> Judge:
        collector = self._collect_compliance(rule.columns[0], "present", bool)

        def judge(rows: int) -> Verdict:
            share = _share(collector.compliant, rows)
            observed = f"{_shown(share)} of {rows} rows have a value"
            if collector.first_failure is not None:
                observed += f"; the first without is line {collector.first_failure[0]}"
            if rule.condition is None:
                return collector.compliant == rows, observed
            return _compared(share, rule.condition, observed)

        return judge

    def _compliance(self, rule: Simple) -> Judge:
        condition = _required(rule.condition)
        match rule.kind:
            case "ColumnValues":
                predicate = value_predicate(condition)
            case "ColumnDataType":
                predicate = type_predicate(str(condition.operands[0]))
            case _:
                predicate = _length_predicate(condition)
        collector = self._collect_compliance(rule.columns[0], (rule.kind, condition), predicate)

        def judge(rows: int) -> Verdict:
            share = _share(collector.compliant, rows)
            observed = f"{_shown(share)} of {rows} rows comply"
            if collector.first_failure is not None:
                line, value = collector.first_failure
                observed += f"; the first that does not is line {line} with {_excerpt(value)}"
                if rule.kind == "ColumnLength":
                    observed += f" of length {len(value)}"
            if rule.threshold is None:
                return collector.compliant == rows, observed
            return _compared(share, rule.threshold, observed)

        return judge

    def _moments(self, rule: Simple) -> Judge:
        column = rule.columns[0]
        collector = self._shared(("moments", column), lambda: _Moments(self._indexes[column]))

        def judge(rows: int) -> Verdict:
            if collector.first_failure is not None:
                line, value = collector.first_failure
                return False, f"line {line} has {_excerpt(value)}, which is not a number"
            if collector.count == 0:
                return False, f"none of {rows} rows has a value"
            if rule.kind == "Sum":
                return _compared(collector.sum, rule.condition, f"a sum of {_shown(collector.sum)}")
            if rule.kind == "Mean":
                return _compared(collector.mean, rule.condition, f"a mean of {_shown(collector.mean)}")
            deviation = collector.standard_deviation
            return _compared(deviation, rule.condition, f"a standard deviation of {_shown(deviation)}")

        return judge

    def _frequencies(self, rule: Simple) -> Judge:
        collector = self._collect_frequencies(rule.columns)

        def judge(rows: int) -> Verdict:
            if rule.kind == "DistinctValuesCount":
                distinct = collector.distinct
                return _compared(float(distinct), rule.condition, f"{distinct} distinct values")
            if collector.present == 0:
                return False, f"none of {rows} rows has a value"
            observed = f"{collector.unique} of {collector.present} values occur once"
            if collector.first_repetition is not None:
                line, value = collector.first_repetition
                observed += f"; the first repeated is line {line} with {_excerpt(value)}"
            if rule.kind == "UniqueValueRatio":
                share = collector.unique / collector.distinct
                return _compared(share, rule.condition, f"{_shown(share)} of the distinct values occur once")
            if rule.condition is None:
                return collector.unique == collector.present, observed
            return _compared(collector.unique / collector.present, rule.condition, observed)

        return judge

    def _primary_key(self, rule: Simple) -> Judge:
        complete = [self._completeness(Simple("IsComplete", (column,))) for column in rule.columns]
        unique = self._frequencies(Simple("IsUnique", rule.columns))
        return lambda rows: _combined(all, [judge(rows) for judge in [*complete, unique]])


def _combined(decide: Callable[[Iterable[bool]], bool], verdicts: Sequence[Verdict]) -> Verdict:
    passed = decide(verdict for verdict, _ in verdicts)
    # Of a failure only the failing parts are told.
    return passed, "; ".join(observed for verdict, observed in verdicts if passed or not verdict)


def _compared(value: float, condition: Condition | None, observed: str) -> Verdict:
    return satisfies(value, _required(condition)), observed


def _required(condition: Condition | None) -> Condition:
    if condition is None:
        raise AssertionError("the parser gives this rule type a condition")
    return condition


def _length_predicate(condition: Condition) -> Predicate:
    return lambda value: satisfies(float(len(value)), condition)


def _share(part: int, rows: int) -> float:
    return part / rows if rows else 1.0


def _shown(number: float) -> str:
    return f"{number:.6g}" if abs(number) < 1e15 else f"{number:.6e}"


def _excerpt(value: str) -> str:
    if value == "":
        return "no value"
    short = value if len(value) <= _SHOWN_CHARACTERS else value[:_SHOWN_CHARACTERS] + "…"
    return repr(short)
