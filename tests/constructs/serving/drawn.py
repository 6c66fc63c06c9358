"""Options that are drawn, and constructs that are built of them or refuse them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from cdk_data_science import ConfigurationError


def built_or_refused(
    legal: st.SearchStrategy[Any],
    anything: st.SearchStrategy[Any],
    *,
    reasons: Callable[[Any], set[str]],
    build: Callable[[Any], object],
    built: int,
    refused: int,
) -> None:
    """As many that are legal are built, and as many that are not are refused with each of their reasons.

    The two are drawn apart, so that no draw decides how many there are of either. A search builds no more of
    them: all are in one template, which holds 500 resources.
    """
    seen = {True: 0, False: 0}

    @_quiet(built)
    @given(legal.filter(lambda drawn: not reasons(drawn)))
    def each_is_built(drawn: Any) -> None:
        build(drawn)
        seen[True] += 1

    @_quiet(refused)
    @given(anything.filter(lambda drawn: bool(reasons(drawn))))
    def each_is_refused(drawn: Any) -> None:
        with pytest.raises(ConfigurationError) as failure:
            build(drawn)
        seen[False] += 1
        assert {reason for reason in reasons(drawn) if reason not in str(failure.value)} == set()

    each_is_built()
    each_is_refused()
    assert seen == {True: built, False: refused}


def _quiet(examples: int) -> Any:
    """No smaller example is looked for: that would build hundreds of constructs."""
    return settings(max_examples=examples, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
