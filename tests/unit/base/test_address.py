"""Who may be taken for one party."""

from __future__ import annotations

import pytest

from farvault.base.address import neighbourhood


@pytest.mark.parametrize(
    ("host", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("no address", "no address"),
    ],
)
def test_an_ipv6_host_counts_with_its_network(host: str, counted: str) -> None:
    assert neighbourhood(host) == counted
