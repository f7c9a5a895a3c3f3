"""Which service and which operation does a request mean, and in which format? For all services and protocols.

1. Usual requests (POST, known content type, known X-Amz-Target) are one look into USUAL.
2. `smithy-protocol: rpc-v2-cbor`: the path says it.
3. A known X-Amz-Target of another service than Kinesis, with a content type that is only nearly right.
4. No target, and the signature is for a service that speaks query: a form names the operation. The body is read and
   proven first, so its route is the service's FORMS until chosen() finds the real one.
5. The rest is Kinesis' (apps/wire/identify.py), which alone speaks CBOR 1.1 and has AWS's recorded texts.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote

from apps.base.errors import UnknownOperationException
from apps.gateway.request import Request
from apps.gateway.services import ROUTES, SERVICES, TARGETS, Route, Service
from apps.wire import cbor, json11, rpc_cbor
from apps.wire.codec import Codec
from apps.wire.identify import Identified, Refusal, identify
from apps.wire.json10 import Json10
from apps.wire.model import NOTHING, Operation
from apps.wire.query import Query
from apps.wire.rpc_cbor import RpcCbor

GLOBAL_REGIONS: Final = frozenset({"us-east-1", "aws-global"})
"""What SDKs may sign for when a service has one endpoint for the world."""

FORM_METHODS: Final = frozenset({"GET", "POST"})


def _codecs(service: Service) -> dict[str, Codec]:
    """What a service speaks under X-Amz-Target, by content type."""
    model = service.model
    if not model.target_prefix:
        return {}
    if model.is_query_compatible:
        codec = Json10(model)
        return {codec.CONTENT_TYPE: codec}
    return (
        {json11.CONTENT_TYPE: json11, cbor.CONTENT_TYPE: cbor}
        if service.name == "kinesis"
        else {json11.CONTENT_TYPE: json11}
    )


CODECS: Final = {name: _codecs(service) for name, service in SERVICES.items()}

USUAL: dict[tuple[str, str | None, str | None], Identified[Route]] = {
    ("POST", content_type, target): Identified(codec, route)
    for target, route in TARGETS.items()
    for content_type, codec in CODECS[route.service].items()
}
"""What identified() says of the requests that clients usually send, without asking it each time."""

KINESIS: Final = MappingProxyType({target: route for target, route in TARGETS.items() if route.service == "kinesis"})

RPC: Final = {
    service.model.target_prefix: RpcCbor(service.model)
    for service in SERVICES.values()
    if f"smithy-{rpc_cbor.PROTOCOL}" in service.model.protocols
}
"""By the service's name in paths, which is that in X-Amz-Target."""


def _unnamed(service: Service) -> Route:
    """Stands for an operation that the body will name, or for one that the service does not have."""
    nothing = Operation(service.name, "", NOTHING, None, (), None, None)
    return Route(service.name, "", nothing, None, None, on_loop=False, signing_name=service.model.signing_name)


UNNAMED: Final = {name: _unnamed(service) for name, service in SERVICES.items()}

PREFIXES: Final = {
    service.model.target_prefix: service.name for service in SERVICES.values() if service.name != "kinesis"
}

FORMS: Final = {
    service.model.signing_name: service for service in SERVICES.values() if "query" in service.model.protocols
}
"""Services that speak query, by the name in credential scopes."""

_SCOPE = re.compile(r"Credential=[^/,\s]*/[^/,\s]*/([^/,\s]*)/([^/,\s&]*)/")


def identified(request: Request, request_id: str) -> Identified[Route] | Refusal:
    """The route and the codec of a request that is not in USUAL. request_id: for answers that repeat it in the body."""
    headers = request.headers
    if headers.get(rpc_cbor.PROTOCOL_HEADER) == rpc_cbor.PROTOCOL and request.method == "POST":
        named = rpc_cbor.operation_of(request.path)
        if named is not None and named[0] in RPC:
            return Identified(RPC[named[0]], TARGETS.get(f"{named[0]}.{named[1]}", UNNAMED[PREFIXES[named[0]]]))
    target = headers.get("x-amz-target", "")
    content_type = headers.get("content-type", "")
    service = PREFIXES.get(target.partition(".")[0]) if target else None
    if service is not None and request.method == "POST":
        codec = CODECS[service].get(content_type.partition(";")[0].strip())
        if codec is not None:
            return Identified(codec, TARGETS.get(target, UNNAMED[service]))
    if not target and request.method in FORM_METHODS:
        speaks = FORMS.get(_scope(request)[1])
        if speaks is not None:
            return Identified(Query(speaks.model, request_id, request.query), UNNAMED[speaks.name])
    return identify(
        request.method,
        content_type,
        target,
        signed="authorization" in headers or "X-Amz-Algorithm" in request.query,
        targets=KINESIS,
    )


def chosen(route: Route, codec: Codec, body: bytes) -> Route:
    """The route of a request whose operation was not known, or that leads nowhere, now that its body is proven.

    Raises UnknownOperationException, UnsupportedOperationException, SerializationException.
    """
    if not route.name and isinstance(codec, Query):
        action = codec.action(body)
        found = ROUTES.get((route.service, action))
        if found is None:
            raise codec.no_operation(action)
        route = found
    if not route.name:
        raise UnknownOperationException
    if route.function is None:
        raise route.refuse()
    return route


def signing_region(request: Request, route: Route, region: str) -> str:
    """The region that a signature must be for: ours, or, for services that AWS has once for the world, also theirs."""
    if SERVICES[route.service].model.is_global:
        asked, _ = _scope(request)
        return asked if asked in GLOBAL_REGIONS else region
    return region


def _scope(request: Request) -> tuple[str, str]:
    """Region and service that a signature is for, by what it says itself; empty if there is no signature."""
    found = _SCOPE.search(request.headers.get("authorization") or unquote(request.query))
    return (found.group(1), found.group(2)) if found else ("", "")
