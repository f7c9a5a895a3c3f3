"""invoke: one operation, as a principal. A signed request ends here, and so does everything console, REST and workers do.

`async def` operations are awaited on the loop. Plain `def` operations run in a thread, in one database transaction.
"""

from __future__ import annotations

import uuid
from typing import Any

import structlog
from django.db import IntegrityError, transaction

from apps.accounts.bridge import in_thread
from apps.accounts.principal import Principal
from apps.gateway.plain import plain_answer, typed_request
from apps.gateway.rates import ControlRates
from apps.gateway.services import Route, route
from apps.runtime import Call, Runtime
from apps.wire import validate


async def invoke(
    runtime: Runtime,
    principal: Principal,
    service: str,
    operation: str,
    params: dict[str, Any],
    request_id: str | None = None,
) -> Any:
    """Call an operation by its AWS name, with params and answer keyed by AWS's member names.

    Blobs are bytes, times int UTC milliseconds. Raises ServiceError, as an AWS client would be answered.
    """
    found, request = _prepare(service, operation, params)
    return plain_answer(found, await run(found, _call(runtime, principal, request_id), request))


def invoke_sync(
    runtime: Runtime,
    principal: Principal,
    service: str,
    operation: str,
    params: dict[str, Any],
    request_id: str | None = None,
) -> Any:
    """The same from synchronous code (a page, a command, a worker), never on the runtime's own loop thread."""
    found, request = _prepare(service, operation, params)
    call = _call(runtime, principal, request_id)
    if found.on_loop:
        assert found.function is not None
        return plain_answer(found, runtime.wait_for(found.function(call, request)))
    return plain_answer(found, _in_transaction(found, call, request))


async def run(found: Route, call: Call, request: Any) -> Any:
    """Call a route's function with a request that was validated already. Raises ServiceError."""
    assert found.function is not None
    if found.on_loop:
        return await found.function(call, request)
    await call.runtime.part(ControlRates).take(found, call, request)
    return await in_thread(_in_transaction, found, call, request)


def _in_transaction(found: Route, call: Call, request: Any) -> Any:
    try:
        return _once(found, call, request)
    except IntegrityError:
        # Two callers made the same thing at once, which PostgreSQL notices only here. The second look sees the first's row.
        return _once(found, call, request)


def _once(found: Route, call: Call, request: Any) -> Any:
    assert found.function is not None
    with (
        structlog.contextvars.bound_contextvars(request_id=call.request_id, operation=found.name),
        transaction.atomic(),
    ):
        return found.function(call, request)


def _prepare(service: str, operation: str, params: dict[str, Any]) -> tuple[Route, Any]:
    found = route(service, operation)
    if found.function is None:
        raise found.refuse()
    validate.check(found.operation, params)
    if found.request_type is None:
        return found, params
    return found, typed_request(found, params)


def _call(runtime: Runtime, principal: Principal, request_id: str | None) -> Call:
    return Call(runtime, principal, request_id or str(uuid.uuid4()), runtime.clock.now_ms())
