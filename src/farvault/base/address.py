"""Addresses of networks, as far as we tell who is who by them."""

from __future__ import annotations

import ipaddress


def neighbourhood(host: str) -> str:
    """What one party may be taken to hold: an IPv4 address, of IPv6 the /64. Anything else stays what it is."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))
