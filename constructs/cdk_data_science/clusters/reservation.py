"""Capacity that is reserved in EC2."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cdk_data_science._validation import Problems, is_token

_RESERVATION = re.compile(r"cr-[0-9a-f]{8,17}")


@dataclass(frozen=True, kw_only=True, slots=True)
class CapacityReservation:
    """Capacity that is reserved: On-Demand, which is billed until it is cancelled, or a block for days."""

    id: str
    """``cr-`` and its number."""
    block: bool = False
    """Whether it is a Capacity Block for ML."""

    def check(self, problems: Problems) -> None:
        """Report what is no reservation."""
        problems.check(
            is_token(self.id) or _RESERVATION.fullmatch(self.id) is not None,
            given=f"reservation {self.id!r}",
            allowed="the number of a capacity reservation",
            write='CapacityReservation(id="cr-0123456789abcdef0")',
        )
