"""The AWS front door: one function from request to answer, without I/O of its own.

The order of the checks is AWS's, as recorded: content type, target, body, signature, types, limits, and then the
operation's own. Errors are encoded in the format of the request. What is not a ServiceError is a bug: one log line with
the request id, and InternalFailure without a text.
"""

from __future__ import annotations

from asyncio import CancelledError, current_task, get_running_loop

import structlog

from apps.access.credentials import Credential, Credentials
from apps.access.source import ENDPOINT_PREFIX
from apps.base.errors import ServiceError
from apps.gateway.body import Bodies, ClientGone, Reading, RequestEntityTooLarge
from apps.gateway.claims import claims
from apps.gateway.failures import as_service_error
from apps.gateway.invoke import run
from apps.gateway.protocols import USUAL, chosen, signing_region
from apps.gateway.protocols import identified as identified_slowly
from apps.gateway.request import PROTECTION, Headers, IdMaker, Ids, Request, Response, Stream
from apps.gateway.services import Route
from apps.gateway.standing import Standing
from apps.gateway.stream import Frames
from apps.runtime import Call, Runtime
from apps.streams.addressing import Unadmitted
from apps.wire import sigv4
from apps.wire.codec import Codec
from apps.wire.errors import ExpiredToken, UnrecognizedClient
from apps.wire.eventstream import CONTENT_TYPE as EVENT_STREAM
from apps.wire.identify import Identified, Refusal, cors_headers, preflight
from apps.wire.service_codec import ServiceCodec

__all__ = ["USUAL", "Gateway", "claims", "runtime", "use"]

log = structlog.get_logger(__name__)

STRANGER_BYTES_MAX = 64 * 1024
"""What is read of a body whose sender is not known, only to tell a malformed body from a missing signature."""

SOME_BODY = b"{}"
"""Stands for a body that was too large or too slow to be read for a refusal's sake."""

RETRY_AFTER = ("retry-after", "1")
RETRY_LATER = frozenset({429, 503})


class Gateway:
    """One per process, made on its event loop."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.bodies = Bodies()
        self.credentials = Credentials(runtime.clock, runtime.config.master_key_path)
        self._region = runtime.config.region
        self._proxies = runtime.config.trusted_proxies
        self._ids = IdMaker()
        self._loop = get_running_loop()

    async def answer(self, request: Request) -> Response | Stream:
        """Answer one request that claims() says is ours. Raises ClientGone, and nothing else."""
        ids = self._ids()
        headers = request.headers
        reading = Reading(current_task(self._loop), self._loop.time())
        region = self._region
        identified = USUAL.get((request.method, headers.get("content-type"), headers.get("x-amz-target")))
        if identified is None:
            found = identified_slowly(request, ids.request_id)
            if isinstance(found, Refusal):
                return await self._refuse(request, ids, found, reading)
            identified = found
            region = signing_region(request, found.target, region)
            if isinstance(found.codec, ServiceCodec):
                ids.headers += found.codec.answer_headers
        if "origin" in headers:
            ids.headers += cors_headers(headers["origin"]).items()
        try:
            return await self._serve(request, ids, identified, reading, region)
        except ServiceError as error:
            return _failed(error, ids.headers, identified.codec, reading)
        except (ClientGone, CancelledError):
            raise
        except Exception as error:  # noqa: BLE001 - the one place where bugs end
            said = as_service_error(error, request_id=ids.request_id, operation=identified.target.name)
            return _failed(said, ids.headers, identified.codec, reading)
        finally:
            self.bodies.release(reading)

    async def _serve(
        self, request: Request, ids: Ids, identified: Identified[Route], reading: Reading, region: str
    ) -> Response | Stream:
        """The straight way: whose is it, body, signature, decode, run, encode."""
        codec, route = identified.codec, identified.target
        now_ms = self.runtime.clock.now_ms()
        try:
            signature = sigv4.parse(
                request.headers, request.query, now_ms=now_ms, region=region, service=route.signing_name
            )
            credential = self.credentials.fresh(signature.key_id, self._loop.time())
            if credential is None or credential.token != signature.session_token:
                credential = await self._credential(signature)
            if credential.token is not None and now_ms >= credential.expires_ms:
                raise ExpiredToken
        except ServiceError:
            codec.check_body(await self._small_body(request, reading))
            raise
        body = await self.bodies.read(
            reading, request.pieces, request.length, to_end=request.to_end, at_once=request.at_once
        )
        try:
            payload = sigv4.verify(signature, credential.secret, body, method=request.method, path=request.path)
        except ServiceError:
            codec.check_body(body)
            raise
        credential.use(now_ms, route.service, request, self._proxies)
        if route.function is None:
            route = chosen(route, codec, payload)
            assert route.function is not None
        params = codec.decode(payload, route.operation, route.request_type)
        del body, payload  # what was decoded is the operation's to bound, and the log's
        self.bodies.release(reading)
        principal = credential.principal
        call = Call(self.runtime, principal, ids.request_id, now_ms, request)
        if (
            principal.watched
            or route.request_type is None
            or request.headers.get("host", "").startswith(ENDPOINT_PREFIX)
        ):
            answer = await run(route, call, params)
        else:
            try:
                answer = await route.function(call, params)
            except Unadmitted:
                answer = await run(route, call, params)
        if route.operation.is_event_stream:
            ids.headers.append(("content-type", EVENT_STREAM))
            standing = Standing(self.credentials, credential, route, call, params)
            return Stream(200, ids.headers, Frames(answer, codec, route.operation, standing, ids.request_id))
        ids.headers.append(("content-type", codec.CONTENT_TYPE))
        return Response(200, ids.headers, codec.encode(route.operation, answer))

    async def _credential(self, signature: sigv4.Signature) -> Credential:
        credential = await self.credentials.find(signature.key_id, signature.session_token)
        if credential is None:
            raise UnrecognizedClient
        return credential

    async def _small_body(self, request: Request, reading: Reading) -> bytes:
        """The body of a sender who is not known; SOME_BODY if it is not small."""
        if request.length is not None and request.length > STRANGER_BYTES_MAX:
            return SOME_BODY
        try:
            return await self.bodies.read(
                reading, request.pieces, request.length, to_end=request.to_end, limit=STRANGER_BYTES_MAX
            )
        except RequestEntityTooLarge:
            return SOME_BODY

    async def _refuse(self, request: Request, ids: Ids, refusal: Refusal, reading: Reading) -> Response:
        """What can never become an operation. A preflight's answer has no x-amz-id-2."""
        headers = request.headers
        origin = headers.get("origin")
        if request.method == "OPTIONS":
            allowed = preflight(
                origin, headers.get("access-control-request-headers"), headers.get("access-control-request-method")
            )
            if allowed is not None:
                return Response(200, [ids.headers[0], *allowed.items(), *PROTECTION], b"", unread=True)
        body = b""
        if refusal.outside is None:
            try:
                body = await self._small_body(request, reading)
            except ServiceError:
                body = SOME_BODY
            finally:
                self.bodies.release(reading)
        answer = refusal.answer(body)
        ids.headers += cors_headers(origin).items()
        if answer.content_type is not None:
            ids.headers.append(("content-type", answer.content_type))
        return Response(answer.status, ids.headers, answer.body, unread=not reading.whole)


def _failed(error: ServiceError, headers: Headers, codec: Codec, reading: Reading) -> Response:
    status = error.status
    if isinstance(codec, ServiceCodec):
        status, more = codec.failure(error)
        headers += more
    headers.append(("content-type", codec.CONTENT_TYPE))
    if status in RETRY_LATER:
        headers.append(RETRY_AFTER)
    return Response(status, headers, codec.encode_error(error), unread=not reading.whole)


_process: list[Gateway] = []


def use(gateway: Gateway | None) -> None:
    """Set (None: take away) this process's gateway."""
    _process[:] = [gateway] if gateway is not None else []


def runtime() -> Runtime:
    """The Runtime of this web process: for pages and REST, which call operations by invoke_sync."""
    assert _process, "this process does not serve: nothing has opened the gateway"
    return _process[0].runtime


def credentials() -> Credentials:
    """The access keys of this web process, used on its loop."""
    assert _process, "this process does not serve: nothing has opened the gateway"
    return _process[0].credentials
