"""Writes the tables of ``docs/checks.md``: ``python -m cdk_data_science.security.checks docs/checks.md``."""

from __future__ import annotations

import sys
from pathlib import Path

from cdk_data_science.security.checks.tables import replaced


def main() -> None:
    """Replace the tables in the file that is named."""
    file = Path(sys.argv[1])
    file.write_text(replaced(file.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
