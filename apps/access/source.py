"""Where a call comes from, and the condition keys of one request: looked up only if a policy asks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from apps.access.callers import iso
from apps.access.models import Identity
from apps.runtime import Call

ENDPOINT_PREFIX = "vpce-"
ENDPOINT_CHARS = 22
CACHED = 4_096
HEADER_CHARS = 2_048
"""Of a header that policies ask for: its sender chooses its length, and a policy's author what it is matched with."""

FORWARDED_MAX = 20
"""Addresses of X-Forwarded-For that are looked at."""

Network = IPv4Network | IPv6Network


class Source:
    """One request's whereabouts. request None: the call comes from inside. endpoint_id: of the host name, if it has one."""

    __slots__ = ("_ip", "endpoint_id", "proxies", "request")

    def __init__(self, request: Any, proxies: tuple[Network, ...]) -> None:
        self.request = request
        self.proxies = proxies
        self._ip: str | None = None
        self.endpoint_id = endpoint_of(request.headers.get("host", "")) if request is not None else ""

    @property
    def ip(self) -> str:
        """The caller's address; empty from inside, or over a unix socket. Behind a trusted proxy it is the last
        address that no trusted proxy has."""
        if self._ip is None:
            self._ip = self._address() if self.request is not None else ""
        return self._ip

    @property
    def secure(self) -> bool:
        """Over TLS? Behind a trusted proxy, what that says."""
        if self.proxies and _is_in(_plain(self.request.peer), self.proxies):
            said = self.request.headers.get("x-forwarded-proto")
            if said is not None:
                return said.rpartition(",")[2].strip().lower() == "https"
        return bool(self.request.secure)

    def _address(self) -> str:
        address = _plain(self.request.peer)
        if not self.proxies or not _is_in(address, self.proxies):
            return address
        said = self.request.headers.get("x-forwarded-for", "").split(",")[-FORWARDED_MAX:]
        for part in reversed(said):
            forwarded = _plain(part.strip())
            if not forwarded:
                break
            address = forwarded
            if not _is_in(address, self.proxies):
                break
        return address


def source_of(call: Call) -> Source:
    """The source of a call."""
    proxies = call.runtime.config.trusted_proxies
    return Source(call.source, _networks(proxies) if proxies else ())


def address_of(request: Any, proxies: tuple[str, ...]) -> str:
    """The caller's address of a request that has a peer and headers. proxies: those that are trusted, as ranges."""
    return Source(request, _networks(proxies) if proxies else ()).ip


def endpoint_of(host: str) -> str:
    """The network endpoint that a host name is of: `vpce-` and 17 digits at its beginning; empty if it is of none."""
    if not host.startswith(ENDPOINT_PREFIX):
        return ""
    return host.partition(".")[0].partition(":")[0][:ENDPOINT_CHARS]


@lru_cache(maxsize=CACHED)
def _networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ip_network(text, strict=False) for text in texts)


def _plain(peer: str) -> str:
    """The address of `address:port`, `[address]:port` or `address`; empty if it is none. IPv4 in IPv6 as IPv4."""
    if peer.startswith("["):
        return _address(peer[1:].partition("]")[0])
    return _address(peer.partition(":")[0] if peer.count(":") == 1 else peer)


@lru_cache(maxsize=CACHED)
def _address(host: str) -> str:
    try:
        found = ip_address(host)
    except ValueError:
        return ""
    mapped = found.ipv4_mapped if found.version == 6 else None
    return str(mapped or found)


def _is_in(address: str, networks: Iterable[Network]) -> bool:
    if not address:
        return False
    parsed = ip_address(address)
    return any(parsed in network for network in networks)


def is_within(address: str, cidrs: Iterable[str]) -> bool:
    """Is an address in one of the ranges?"""
    return _is_in(address, _networks(tuple(cidrs)))


_KEYS: dict[str, Callable[[Call, Source], str]] = {
    "aws:sourceip": lambda _call, source: source.ip,
    "aws:vpcsourceip": lambda _call, source: source.ip if source.endpoint_id else "",
    "aws:sourcevpce": lambda _call, source: source.endpoint_id,
    "aws:currenttime": lambda call, _source: iso(call.now_ms),
    "aws:epochtime": lambda call, _source: str(call.now_ms // 1000),
    "aws:requestedregion": lambda call, _source: call.runtime.config.region,
    "aws:securetransport": lambda _call, source: str(source.secure).lower() if source.request is not None else "",
    "aws:useragent": lambda _call, source: _header(source, "user-agent"),
    "aws:referer": lambda _call, source: _header(source, "referer"),
}
"""Keys of the request itself; an empty text is no value."""

_RESOURCE_TAG, _REQUEST_TAG = "aws:resourcetag/", "aws:requesttag/"


@lru_cache(maxsize=CACHED)
def _sorted(names: frozenset[str]) -> tuple[str, ...]:
    return tuple(sorted(names))


def request_values(
    names: frozenset[str], call: Call, source: Source, resource_tags: Mapping[str, str], request: Any
) -> dict[str, str | tuple[str, ...]]:
    """The values of those keys that the request, or what it is about, has."""
    values: dict[str, str | tuple[str, ...]] = {}
    for name in _sorted(names):
        if name in _KEYS:
            value = _KEYS[name](call, source)
            if value:
                values[name] = value
        elif name.startswith((_RESOURCE_TAG, _REQUEST_TAG)) or name == "aws:tagkeys":
            values.update(_tag_value(name, resource_tags, request))
        elif name.startswith("iam:") and isinstance(request, dict):
            value = _of_iam(name, call, request)
            if value:
                values[name] = value
    return values


def _of_iam(name: str, call: Call, request: dict[str, Any]) -> str:
    """iam:PolicyARN: the policy that is attached or detached. iam:PermissionsBoundary: the boundary that is set, or else
    that of the user or role whose policies change. (Only IAM's requests name one, and those run in a transaction.)"""
    if name == "iam:policyarn":
        return str(request.get("PolicyArn") or "")
    if name != "iam:permissionsboundary":
        return ""
    if request.get("PermissionsBoundary"):
        return str(request["PermissionsBoundary"])
    kind = "user" if request.get("UserName") else "role" if request.get("RoleName") else ""
    if not kind:
        return ""
    named = str(request["UserName" if kind == "user" else "RoleName"])
    rows = Identity.objects.filter(team_id=call.principal.team_id, kind=kind, name_key=named.lower())
    return rows.values_list("boundary_arn", flat=True).first() or ""


def _tag_value(name: str, resource_tags: Mapping[str, str], request: Any) -> dict[str, str | tuple[str, ...]]:
    if name == "aws:tagkeys":
        keys = request_tag_keys(request)
        return {name: tuple(keys)} if keys else {}
    tags = resource_tags if name.startswith(_RESOURCE_TAG) else request_tags(request)
    wanted = name.partition("/")[2]
    value = next((value for key, value in tags.items() if key.lower() == wanted), None)
    return {name: value} if value is not None else {}


def request_tags(request: Any) -> dict[str, str]:
    """Tags that a request gives: a map, or a list of Key and Value (KMS: TagKey and TagValue)."""
    tags = request.get("Tags") if isinstance(request, dict) else None
    if isinstance(tags, dict):
        return tags
    given = [tag for tag in tags or () if isinstance(tag, dict)]
    return {
        str(tag.get("Key") or tag.get("TagKey") or ""): str(tag.get("Value") or tag.get("TagValue") or "")
        for tag in given
    }


def request_tag_keys(request: Any) -> list[str]:
    """Keys of the tags that a request gives or takes away."""
    if not isinstance(request, dict):
        return []
    return [*request_tags(request), *(request.get("TagKeys") or ())]


def _header(source: Source, name: str) -> str:
    return str(source.request.headers.get(name, ""))[:HEADER_CHARS] if source.request is not None else ""
