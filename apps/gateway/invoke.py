"""invoke: one operation, as a principal. A signed request ends here, and so does everything console, REST and workers do.

`async def` operations are awaited on the loop. Plain `def` operations run in a thread, in one database transaction.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import structlog
from django.db import DatabaseError, IntegrityError, transaction

from apps.access import audit
from apps.access.audit import Switches, Trail
from apps.access.changes import Actor
from apps.access.models import AuditEntry
from apps.access.source import source_of
from apps.accounts.bridge import in_thread
from apps.accounts.principal import Principal
from apps.base.errors import InternalFailure, ServiceError
from apps.gateway.admission import admit, admit_now
from apps.gateway.plain import plain_answer, typed_request
from apps.gateway.rates import ControlRates
from apps.gateway.services import Route, route
from apps.gateway.states import Change
from apps.runtime import Call, Runtime
from apps.wire import validate

log = structlog.get_logger(__name__)


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
    *,
    actor: Actor | None = None,
    then: Callable[[], None] | None = None,
) -> Any:
    """The same from synchronous code (a page, a command, a worker), never on the runtime's own loop thread.

    actor: the person behind it, for the audit trail.
    then: what belongs to a call of the control plane and is no part of AWS's; in the same transaction, after it.
    """
    found, request = _prepare(service, operation, params)
    call = _call(runtime, principal, request_id or (actor.request_id if actor is not None else None), actor)
    if found.on_loop:
        return plain_answer(found, runtime.wait_for(_data(found, call, request)))
    if found.ahead is not None:
        request = runtime.wait_for(_ahead(found, call, request))
    return plain_answer(found, _control(found, call, request, then))


async def run(found: Route, call: Call, request: Any) -> Any:
    """Ask all policies, call a route's function with a request that was validated already, and write the audit trail.

    Raises ServiceError.
    """
    if found.on_loop:
        return await _data(found, call, request)
    await call.runtime.part(ControlRates).take(found, call, request)
    if found.ahead is not None:
        request = await _ahead(found, call, request)
    return await in_thread(_control, found, call, request)


async def _ahead(found: Route, call: Call, request: Any) -> Any:
    """What a control-plane operation needs from afar, asked before its transaction begins: none waits for a network."""
    assert found.ahead is not None
    try:
        return await found.ahead(await admit(found, call, request), request)
    except ServiceError as error:
        await in_thread(_write_failure, found, call, request, error)
        raise


async def _data(found: Route, call: Call, request: Any) -> Any:
    assert found.function is not None
    audits = call.principal.audits
    try:
        admitted = await admit(found, call, request)
        if admitted.principal.team_id != call.principal.team_id and not audits:
            audits = await call.runtime.part(Switches).is_on(admitted.principal.team_id)
        answer = await found.function(admitted, request)
    except ServiceError as error:
        if audits:
            _note(found, call, request, error)
        raise
    if audits:
        _note(found, call, request, None)
    return answer


def _note(found: Route, call: Call, request: Any, error: ServiceError | None) -> None:
    call.runtime.part(Trail).note(_entry(found, call, request, error))


def _control(found: Route, call: Call, request: Any, then: Callable[[], None] | None = None) -> Any:
    """One call of the control plane, with its entry in the audit trail whatever becomes of it."""
    try:
        return _in_transaction(found, call, request, then)
    except ServiceError as error:
        _write_failure(found, call, request, error)
        raise
    except Exception:
        _write_failure(found, call, request, InternalFailure())
        raise


def _write_failure(found: Route, call: Call, request: Any, error: ServiceError) -> None:
    """The entry of a call that changed nothing. If the database does not take it, the call's own error is told."""
    if not _is_audited(found, call):
        return
    try:
        with transaction.atomic():
            audit.write(_entry(found, call, request, error))
    except DatabaseError as failure:
        log.warning("audit_not_written", entries=1, error=str(failure))


def _is_audited(found: Route, call: Call) -> bool:
    """All that is signed, and all that changes something. Not the looks that pages of the console take by themselves,
    every few seconds: they would fill the trail with nothing."""
    return call.source is not None or not found.only_reads


def _entry(found: Route, call: Call, request: Any, error: ServiceError | None) -> AuditEntry:
    try:
        resource = found.locate(call, request)
    except ServiceError:
        resource = ""  # a token that is not ours, or too old, names nothing
    return audit.entry(
        call,
        found.service,
        found.name,
        resource,
        source_of(call),
        is_data=found.on_loop,
        outcome="" if error is None else error.code,
        message="" if error is None else error.message or "",
    )


def _in_transaction(found: Route, call: Call, request: Any, then: Callable[[], None] | None) -> Any:
    try:
        return _once(found, call, request, then)
    except IntegrityError:
        # Two callers made the same thing at once, which PostgreSQL notices only here. The second look sees the first's row.
        return _once(found, call, request, then)


def _once(found: Route, call: Call, request: Any, then: Callable[[], None] | None) -> Any:
    assert found.function is not None
    with (
        structlog.contextvars.bound_contextvars(request_id=call.request_id, operation=found.name),
        transaction.atomic(),
    ):
        admitted = admit_now(found, call, request)
        made = _entry(found, call, request, None) if _is_audited(found, call) else None
        change = Change(found, call, request, made.resource) if made is not None else None
        answer = found.function(admitted, request)
        if then is not None:
            then()
        if made is not None and change is not None:
            change.note(made, answer)
            audit.write(made)
        return answer


def _prepare(service: str, operation: str, params: dict[str, Any]) -> tuple[Route, Any]:
    found = route(service, operation)
    if found.function is None:
        raise found.refuse()
    validate.check(found.operation, params)
    if found.request_type is None:
        return found, params
    return found, typed_request(found, params)


def _call(runtime: Runtime, principal: Principal, request_id: str | None, actor: Actor | None = None) -> Call:
    return Call(runtime, principal, request_id or str(uuid.uuid4()), runtime.clock.now_ms(), actor=actor)
