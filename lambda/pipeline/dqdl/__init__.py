"""The rule language of the quality gate: a subset of AWS Glue's DQDL, in the standard library alone.

A rule that Glue would understand differently is refused, so that a ruleset written here gives the same answer
there. The language and its limits are described in `docs/quality-rules.md`.

    rules = parse('Rules = [ RowCount > 100, IsComplete "text" ]')
    result = evaluate(rules, ["id", "text"], [(2, ["1", "good"]), (3, ["2", ""])])
"""

from .evaluation import Evaluation, Outcome, TooManyDistinctValuesError, evaluate
from .model import Composite, Condition, Keyword, Rule, Simple
from .parser import parse
from .tokens import RulesError

__all__ = [
    "Composite",
    "Condition",
    "Evaluation",
    "Keyword",
    "Outcome",
    "Rule",
    "RulesError",
    "Simple",
    "TooManyDistinctValuesError",
    "evaluate",
    "parse",
]
