"""Ways out of a network that has none by default."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from cdk_data_science._validation import Problems, is_token

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"\.?{_LABEL}(?:\.{_LABEL})+")
MOST_DOMAINS = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class NatEgress:
    """A way out to the internet, and none in, through NAT gateways.

    Each costs 0.045 USD an hour and 0.045 USD a GB in us-east-1 (AWS's price of November 2026).
    """

    gateways: int | None = None
    """How many NAT gateways, 1 to the number of zones. Fewer than zones are cheaper, and a zone that fails
    takes the others' way out with it. Default: one in each zone."""

    def check(self, problems: Problems, *, zones: int, ipv6: bool) -> None:  # noqa: ARG002 -- one of two kinds
        """Report what cannot be built over so many zones."""
        _check_gateways(problems, self.gateways, zones, "NatEgress")


@dataclass(frozen=True, kw_only=True, slots=True)
class FirewallEgress:
    """A way out to named hosts alone, and none in: AWS Network Firewall in front of NAT gateways.

    The firewall lets a TLS connection pass whose client names one of ``domains`` (its server name
    indication), drops everything else, and records what it dropped. It believes the name: a program that
    states an allowed name to another address passes. So this keeps honest programs, such as a package
    installer that is fed a wrong index, from going astray, and makes it harder, not impossible, for others.

    Each zone's firewall costs 0.395 USD an hour, which is 288.35 USD a month (the price table's, of July
    2024), and 0.065 USD a GB (as others quote AWS's page) in us-east-1, beside its NAT gateway. See
    https://aws.amazon.com/network-firewall/pricing/.

    ```python
    from cdk_data_science.network import FirewallEgress, ResearchNetwork

    network = ResearchNetwork(
        self,
        "Network",
        zones=["us-east-1a", "us-east-1b"],
        egress=FirewallEgress(domains=["pypi.org", "files.pythonhosted.org"], gateways=1),
    )
    ```

    Follows https://docs.aws.amazon.com/network-firewall/latest/developerguide/arch-igw-ngw.html and
    https://docs.aws.amazon.com/network-firewall/latest/developerguide/stateful-rule-groups-domain-names.html.
    """

    domains: Sequence[str]
    """Names of hosts, 1 to 500, in lower case: ``pypi.org`` is that host alone, ``.example.com`` the domain
    and all below it."""

    gateways: int | None = None
    """How many firewalls, each with a NAT gateway, 1 to the number of zones. Fewer than zones are cheaper,
    and a zone that fails takes the others' way out with it. Default: one in each zone."""

    def check(self, problems: Problems, *, zones: int, ipv6: bool) -> None:
        """Report what cannot be built over so many zones."""
        _check_gateways(problems, self.gateways, zones, "FirewallEgress")
        domains = [self.domains] if isinstance(self.domains, str) else list(self.domains)
        problems.check(
            not isinstance(self.domains, str) and 1 <= len(domains) <= MOST_DOMAINS,
            given=f"domains={self.domains!r}"
            if len(domains) <= 1
            else f"FirewallEgress with {len(domains)} domains",
            allowed=f"a list of 1 to {MOST_DOMAINS} names",
            write='domains=["pypi.org", "files.pythonhosted.org"]',
        )
        for domain in domains:
            problems.check(
                is_token(domain) or _DOMAIN.fullmatch(domain) is not None,
                given=f"domain {domain!r}",
                allowed="a host's name in lower case without scheme, port, path or *; with a dot in front it "
                "stands for all below it, too",
                write='"pypi.org" or ".example.com"',
            )
        problems.check(
            len(set(domains)) == len(domains), given=f"domains {domains}", allowed="each of them once"
        )
        problems.check(
            not ipv6,
            given="FirewallEgress with ipv6=True",
            allowed="IPv4 alone: an egress-only gateway would lead past the firewall",
            write="ipv6=False",
        )


Egress = NatEgress | FirewallEgress


def _check_gateways(problems: Problems, gateways: int | None, zones: int, kind: str) -> None:
    problems.check(
        gateways is None or 1 <= gateways <= zones,
        given=f"{kind}(gateways={gateways})",
        allowed=f"1 to {zones}, the number of zones",
        write=f"{kind}(gateways=1)",
    )
