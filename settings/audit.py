"""The table ``[audit]``: what is recorded of everybody."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from settings.section import Section


class Audit(Section):
    """A locked trail of every call and of every read and write in the lake. It costs 0.10 USD for 100,000
    reads and writes, 0.50 USD a GB in its log group, and 1 USD a month for its key."""

    management_events: bool = True
    """Record calls that manage resources. The first copy in an account is free, a second one costs 2 USD for
    100,000: false where the organization has a trail."""
    lock_days: Annotated[int, Field(ge=0, le=36_500)] = 365
    """How long nothing of the trail can be deleted; 0 locks nothing, for accounts that are torn down."""
    compliance_lock: bool = False
    """Let nobody end the lock early, the account's root included."""
    config_rules: bool = False
    """Add AWS Config's rules about what the platform builds. The region needs a configuration recorder."""
    access_analyzer: bool = True
    """Find what is open to others. An account can have one such analyzer in a region: false where it has one,
    or the deployment fails."""
