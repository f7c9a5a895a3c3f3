"""Network endpoints: what AWS calls a VPC endpoint, on a network of one's own.

An endpoint is a host name, `vpce-<17 digits>.<any domain that leads here>`. Which name a caller used stands in the Host
header, and that is part of every signature, so nothing on the way can change it. The addresses that may use it are
checked against the connection; what goes through it needs its policy's word, too. A name decides nothing by itself:
whoever may use an endpoint is known by address.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from ipaddress import ip_network

from apps.access.ids import endpoint_id
from apps.access.models import Endpoint
from apps.access.policy.document import Kind, Malformed, Policy, TooLarge, parse
from apps.access.source import Source, is_within
from apps.accounts.bridge import in_thread
from apps.base.errors import AccessDeniedException
from apps.runtime import Runtime

FRESH_S = 0.5
"""Endpoints are read again before use after this time."""

ENDPOINTS_MAX = 1_000
"""In one installation."""

CIDRS_MAX = 100
"""Address ranges of one endpoint."""


class WrongEndpoint(Exception):
    """An endpoint that cannot be made or changed so; one sentence."""


@dataclass(frozen=True, slots=True)
class EndpointView:
    """An endpoint. policy None: everything."""

    endpoint_id: str
    cidrs: tuple[str, ...]
    policy: Policy | None


class Endpoints:
    """All endpoints, read at most every half second while some are used. One per process: `runtime.part(Endpoints)`."""

    def __init__(self, _runtime: Runtime) -> None:
        self._views: dict[str, EndpointView] = {}
        self._read_at_s = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    async def find(self, wanted: str) -> EndpointView | None:
        """The endpoint of that id."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._read_at_s > FRESH_S:
            if self._reading is None or self._reading.done():
                self._reading = asyncio.create_task(self._read(now_s))
            await asyncio.shield(self._reading)
        return self._views.get(wanted)

    async def _read(self, now_s: float) -> None:
        self._views = {view.endpoint_id: view for view in await in_thread(_all)}
        self._read_at_s = now_s


def read_now(wanted: str) -> EndpointView | None:
    """The endpoint of that id, from its row."""
    row = Endpoint.objects.filter(endpoint_id=wanted).first()
    return _view(row) if row is not None else None


def came_by(source: Source, endpoint: EndpointView | None, *, action: str, resource: str, caller: str) -> None:
    """Raises AccessDeniedException unless there is such an endpoint and the caller's address may use it."""
    if endpoint is not None and is_within(source.ip, endpoint.cidrs):
        return
    raise AccessDeniedException(
        f"User: {caller} is not authorized to perform: {action} on resource: {resource} because the VPC endpoint "
        f"{source.endpoint_id} does not exist or does not accept calls from {source.ip or 'this address'}"
    )


def make(team_id: int, name: str, cidrs: list[str], policy: str, now_ms: int) -> Endpoint:
    """A new endpoint. Raises WrongEndpoint."""
    if Endpoint.objects.count() >= ENDPOINTS_MAX:
        raise WrongEndpoint(f"There are {ENDPOINTS_MAX} endpoints already.")
    return Endpoint.objects.create(
        team_id=team_id,
        endpoint_id=endpoint_id(),
        name=name,
        cidrs=checked_cidrs(cidrs),
        policy=checked_policy(policy),
        created_at_ms=now_ms,
    )


def checked_cidrs(cidrs: list[str]) -> list[str]:
    """The ranges in their usual form. Raises WrongEndpoint."""
    if len(cidrs) > CIDRS_MAX:
        raise WrongEndpoint(f"An endpoint has at most {CIDRS_MAX} address ranges.")
    try:
        return [str(ip_network(cidr)) for cidr in cidrs]
    except ValueError as error:
        raise WrongEndpoint(f"An address range is wrong: {error}.") from None


def checked_policy(text: str) -> str:
    """An endpoint policy; empty for everything. Raises WrongEndpoint."""
    if text:
        try:
            parse(text, Kind.ENDPOINT)
        except Malformed as error:
            raise WrongEndpoint(f"The policy is wrong: {error}") from None
        except TooLarge as error:
            raise WrongEndpoint(f"The policy has more than {error.limit} characters.") from None
    return text


def _all() -> list[EndpointView]:
    return [_view(row) for row in Endpoint.objects.order_by("pk")[:ENDPOINTS_MAX]]


_policies: dict[str, Policy] = {}


def _view(row: Endpoint) -> EndpointView:
    if row.policy and row.policy not in _policies:
        if len(_policies) > ENDPOINTS_MAX:
            _policies.clear()
        _policies[row.policy] = parse(row.policy, Kind.ENDPOINT)
    return EndpointView(row.endpoint_id, tuple(row.cidrs), _policies[row.policy] if row.policy else None)
