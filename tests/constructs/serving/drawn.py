"""How options are drawn that constructs are built of."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, Phase, settings


def quiet(examples: int) -> Any:
    """Without looking for smaller examples, which would build hundreds of constructs."""
    return settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
