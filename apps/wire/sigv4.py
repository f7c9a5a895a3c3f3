"""AWS Signature Version 4, both sides: check the signature of a request, and make one.

Checking takes two steps, so that the caller can fetch the secret between them:

    signature = parse(headers, query, now_ms=…, region=…, service=…)     # whose is it, and is it complete, timely, for us?
    payload = verify(signature, secret, body)                            # is it right? → the body without chunk framing

The order of the errors is AWS's, as recorded: both ways at once, none, parts missing, date, too old or too new, `host`
not signed, algorithm, credential, scope; then (the caller's) unknown key; then the signature itself.

A header request costs about 7 µs beside the hash of its body: what a client repeats in every request (the
Authorization header up to the signature, the date within a second, the signing key of a day) is parsed once and cached.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote, unquote

from apps.base.units import MINUTE_MS, SECOND_MS
from apps.wire import aws_chunked
from apps.wire.errors import IncompleteSignature, InvalidSignature, MissingAuthenticationToken

ALGORITHM: Final = "AWS4-HMAC-SHA256"
TERMINATOR: Final = "aws4_request"
UNSIGNED: Final = "UNSIGNED-PAYLOAD"
SKEW_MS: Final = 15 * MINUTE_MS
EXPIRES_S_MAX: Final = 604_800
CACHED: Final = 4_096
CACHED_CHARACTERS_MAX: Final = 1_024
"""Longer headers are parsed each time, so that strangers cannot fill the cache with megabytes."""

DATE_CHARACTERS_MAX: Final = 64

UNSIGNED_HEADERS: Final = frozenset(
    {"authorization", "connection", "expect", "transfer-encoding", "user-agent", "x-amzn-trace-id"}
)
"""What proxies change on the way; sign() leaves it out."""

_AUTHORIZATION_PARTS = ("Credential", "Signature", "SignedHeaders")
_QUERY_PARTS = ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date")


@dataclass(frozen=True, slots=True)
class Claim:
    """What a client says of itself, before any proof: who signed, for which scope, which headers."""

    algorithm: str
    credential: str
    key_id: str
    date: str
    region: str
    service: str
    terminator: str
    signed_headers: tuple[str, ...]
    """Lower-case names, in the order of the request."""
    signs_host: bool
    has_five_parts: bool

    @property
    def scope(self) -> str:
        """`date/region/service/aws4_request`."""
        return f"{self.date}/{self.region}/{self.service}/{self.terminator}"


@dataclass(slots=True)
class Signature:
    """A request's signature: complete, timely and for us, but not proven. verify() does that."""

    claim: Claim
    key_id: str
    value: str
    timestamp: str
    """ISO 8601 basic format, whatever the header had."""
    headers: Mapping[str, str]
    query: str
    session_token: str | None


def parse(headers: Mapping[str, str], query: str, *, now_ms: int, region: str, service: str) -> Signature:
    """Read the signature from the Authorization header, or from a presigned query.

    headers: by lower-case name, doubled ones joined by a comma. query: as sent, without `?`. service: as in scopes.
    Raises MissingAuthenticationToken, IncompleteSignature, InvalidSignature.
    """
    authorization = headers.get("authorization")
    presigned = _pairs(query) if "X-Amz-Algorithm" in query else []
    if not any(name == "X-Amz-Algorithm" for name, _ in presigned):
        if not authorization:
            raise MissingAuthenticationToken
        return _from_header(authorization, headers, query, now_ms, region, service)
    if authorization:
        raise InvalidSignature(
            "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header."
        )
    return _from_query(dict(presigned), headers, query, now_ms, region, service)


def verify(signature: Signature, secret: str, body: bytes, *, method: str = "POST", path: str = "/") -> bytes:
    """The payload that the secret's owner signed: the body, without the framing of `aws-chunked`.

    path: as sent, still percent-encoded. Raises InvalidSignature, IncompleteSignature. Compares in constant time.
    """
    claim = signature.claim
    headers = signature.headers
    declared = headers.get("x-amz-content-sha256")
    if declared is None or not (declared == UNSIGNED or declared.startswith(aws_chunked.STREAMING)):
        payload_hash = hashlib.sha256(body).hexdigest()
        if declared is not None and declared.lower() != payload_hash:
            raise InvalidSignature.mismatch()
    else:
        payload_hash = declared
    query = canonical_query(signature.query, without="X-Amz-Signature") if signature.query else ""
    to_sign = _to_sign(
        signature.timestamp,
        claim.scope,
        _canonical_request(method, path, query, headers, claim.signed_headers, payload_hash),
    )
    expected = _mac(secret, claim, to_sign)
    if not hmac.compare_digest(expected.encode(), signature.value.encode("utf-8", "surrogateescape")):
        raise InvalidSignature.mismatch()
    if not payload_hash.startswith(aws_chunked.STREAMING):
        return body
    key = signing_key(secret, claim.date, claim.region, claim.service)
    seal = aws_chunked.Seal(key, signature.timestamp, claim.scope, expected)
    return aws_chunked.decode(body, payload_hash, headers, seal)


def sign(
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    key_id: str,
    secret: str,
    region: str,
    service: str,
    now_ms: int,
    query: str = "",
    session_token: str | None = None,
) -> dict[str, str]:
    """The headers to add to a request: date and Authorization (and the session token). headers must name the host."""
    timestamp = _timestamp(now_ms)
    added = {"x-amz-date": timestamp}
    if session_token is not None:
        added["x-amz-security-token"] = session_token
    signed = {name.lower(): value for name, value in headers.items()} | added
    names = tuple(sorted(name for name in signed if name not in UNSIGNED_HEADERS))
    assert "host" in names, "the host is signed, always"
    payload_hash = signed.get("x-amz-content-sha256") or hashlib.sha256(body).hexdigest()
    scope = f"{timestamp[:8]}/{region}/{service}/{TERMINATOR}"
    request = _canonical_request(method, path, canonical_query(query), signed, names, payload_hash)
    key = signing_key(secret, timestamp[:8], region, service)
    value = hmac.digest(key, _to_sign(timestamp, scope, request), "sha256").hex()
    added["authorization"] = (
        f"{ALGORITHM} Credential={key_id}/{scope}, SignedHeaders={';'.join(names)}, Signature={value}"
    )
    return added


def presign(
    method: str,
    path: str,
    headers: Mapping[str, str],
    *,
    key_id: str,
    secret: str,
    region: str,
    service: str,
    now_ms: int,
    expires_s: int,
    query: str = "",
    payload_hash: str = UNSIGNED,
) -> str:
    """The query of a presigned request, signature included. All of headers are signed and must be sent with it.

    payload_hash: the body's SHA-256 in hex; UNSIGNED-PAYLOAD needs a header x-amz-content-sha256 that says so, too.
    """
    timestamp = _timestamp(now_ms)
    signed = {name.lower(): value for name, value in headers.items()}
    names = tuple(sorted(signed))
    scope = f"{timestamp[:8]}/{region}/{service}/{TERMINATOR}"
    parameters = [
        ("X-Amz-Algorithm", ALGORITHM),
        ("X-Amz-Credential", f"{key_id}/{scope}"),
        ("X-Amz-Date", timestamp),
        ("X-Amz-Expires", str(expires_s)),
        ("X-Amz-SignedHeaders", ";".join(names)),
    ]
    whole = _join([*_pairs(query), *parameters])
    request = _canonical_request(method, path, whole, signed, names, payload_hash)
    key = signing_key(secret, timestamp[:8], region, service)
    return f"{whole}&X-Amz-Signature={hmac.digest(key, _to_sign(timestamp, scope, request), 'sha256').hex()}"


@lru_cache(maxsize=CACHED)
def signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    """The key of one day, region and service. Cached: four HMACs otherwise, in each request."""
    key = f"AWS4{secret}".encode("utf-8", "surrogateescape")
    for part in (date, region, service, TERMINATOR):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


@lru_cache(maxsize=CACHED)
def _begun_macs(secret: str, date: str, region: str, service: str) -> tuple[Any, Any]:
    """The inner and outer hash of an HMAC with a day's key, the key already taken in: what does not change per request."""
    key = signing_key(secret, date, region, service).ljust(hashlib.sha256().block_size, b"\0")
    return hashlib.sha256(bytes(byte ^ 0x36 for byte in key)), hashlib.sha256(bytes(byte ^ 0x5C for byte in key))


def _mac(secret: str, claim: Claim, to_sign: bytes) -> str:
    """HMAC-SHA256 in hex; in less than half the time of hmac.digest, which starts anew each time."""
    begun_inner, begun_outer = _begun_macs(secret, claim.date, claim.region, claim.service)
    inner, outer = begun_inner.copy(), begun_outer.copy()
    inner.update(to_sign)
    outer.update(inner.digest())
    return str(outer.hexdigest())


def canonical_query(query: str, without: str | None = None) -> str:
    """Names and values encoded by AWS's rules (space is %20), sorted; one name may be left out."""
    return _join((name, value) for name, value in _pairs(query) if name != without)


def canonical_path(path: str, *, double: bool = True) -> str:
    """The path in a canonical request. path: as sent, percent-encoded once.

    double: encode it a second time, without empty and dot segments, as every service but S3 has it.
    """
    if path in {"", "/"}:
        return "/"
    if not double:
        return quote(unquote(path), safe="/~")
    segments: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del segments[-1:]
        elif segment not in {"", "."}:
            segments.append(segment)
    end = "/" if segments and path.endswith("/") else ""
    return quote(f"/{'/'.join(segments)}{end}", safe="/~")


def _from_header(
    authorization: str, headers: Mapping[str, str], query: str, now_ms: int, region: str, service: str
) -> Signature:
    prefix, found, value = authorization.rpartition("Signature=")
    claim = None
    if found and value.isalnum():
        claim = (_claim if len(prefix) <= CACHED_CHARACTERS_MAX else _claim.__wrapped__)(prefix)
    date = headers.get("x-amz-date") or headers.get("date")
    if claim is None or not date:
        claim, value = _claim_in_any_order(authorization, has_date=bool(date))
    assert date is not None
    timestamp, time_ms = _moment(date)
    if not now_ms - SKEW_MS <= time_ms <= now_ms + SKEW_MS:
        raise _untimely(timestamp, time_ms, now_ms, SKEW_MS)
    _check(claim, timestamp, region, service)
    return Signature(claim, claim.key_id, value, timestamp, headers, query, headers.get("x-amz-security-token"))


@lru_cache(maxsize=CACHED)
def _claim(prefix: str) -> Claim | None:
    """The usual form, `<algorithm> Credential=…, SignedHeaders=…, ` with the signature cut off; None if it is another.

    Everything up to the last `, SignedHeaders=` is the credential: key ids may contain spaces, commas and such words here.
    """
    algorithm, found, rest = prefix.partition(" Credential=")
    before, separated, signed_headers = rest.rstrip(" ,").rpartition("SignedHeaders=")
    credential = before.rstrip(" ,")
    if not (found and separated and credential and signed_headers) or before == credential or "=" in signed_headers:
        return None
    return _make_claim(algorithm, credential, signed_headers)


def _claim_in_any_order(authorization: str, *, has_date: bool) -> tuple[Claim, str]:
    """Parameters separated by commas or spaces. Raises IncompleteSignature, naming all that is missing."""
    words = authorization.replace(",", " ").split(" ")
    found: dict[str, str] = {}
    for word in words[1:]:
        name, _, value = word.strip().partition("=")
        found[name] = value
    missing = [
        f"Authorization header requires '{name}' parameter." for name in _AUTHORIZATION_PARTS if not found.get(name)
    ]
    if not has_date:
        missing.append("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    if missing:
        raise IncompleteSignature(f"{' '.join(missing)} Authorization={authorization}")
    return _make_claim(words[0], found["Credential"], found["SignedHeaders"]), found["Signature"]


def _from_query(
    parameters: Mapping[str, str], headers: Mapping[str, str], query: str, now_ms: int, region: str, service: str
) -> Signature:
    missing = [
        f"AWS query-string parameters must include '{name}'." for name in _QUERY_PARTS if not parameters.get(name)
    ]
    if missing:
        raise IncompleteSignature(f"{' '.join(missing)} Re-examine the query-string parameters.")
    timestamp, time_ms = _moment(parameters["X-Amz-Date"])
    lasts_ms = _lasts_ms(parameters.get("X-Amz-Expires"))
    if not now_ms - lasts_ms <= time_ms <= now_ms + SKEW_MS:
        raise _untimely(timestamp, time_ms, now_ms, lasts_ms)
    claim = _make_claim(
        parameters["X-Amz-Algorithm"], parameters["X-Amz-Credential"], parameters["X-Amz-SignedHeaders"]
    )
    _check(claim, timestamp, region, service)
    return Signature(
        claim,
        claim.key_id,
        parameters["X-Amz-Signature"],
        timestamp,
        headers,
        query,
        parameters.get("X-Amz-Security-Token"),
    )


def _make_claim(algorithm: str, credential: str, signed_headers: str) -> Claim:
    """A credential is cut from its end: a key id may contain slashes. Slashes at the very end do not count."""
    parts = credential.rstrip("/").rsplit("/", 4)
    five = len(parts) == 5
    key_id, date, region, service, terminator = parts if five else ("", "", "", "", "")
    names = tuple(signed_headers.lower().split(";"))
    return Claim(
        algorithm,
        credential,
        key_id,
        date,
        region,
        service,
        terminator,
        names,
        "host" in names or ":authority" in names,  # JavaScript v3 signs HTTP/2's own name for it
        has_five_parts=five,
    )


def _check(claim: Claim, timestamp: str, region: str, service: str) -> None:
    """Everything about a claim that needs no secret, in AWS's order."""
    if not claim.signs_host:
        raise InvalidSignature("'Host' must be a 'SignedHeader' in the AWS Authorization.")
    if claim.algorithm != ALGORITHM:
        raise IncompleteSignature(f"Unsupported AWS 'algorithm': '{claim.algorithm}' (only {ALGORITHM} for now). ")
    if not claim.has_five_parts:
        raise IncompleteSignature(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, "
            f"got '{claim.credential}'"
        )
    if (
        claim.region != region
        or claim.service != service
        or claim.terminator != TERMINATOR
        or claim.date != timestamp[:8]
    ):
        raise _out_of_scope(claim, timestamp, region, service)


def _out_of_scope(claim: Claim, timestamp: str, region: str, service: str) -> InvalidSignature:
    wrong = []
    if claim.region != region:
        wrong.append("Credential should be scoped to a valid region. ")
    if claim.service != service:
        wrong.append(f"Credential should be scoped to correct service: '{service}'. ")
    if claim.terminator != TERMINATOR:
        wrong.append(f"Credential should be scoped with a valid terminator: '{TERMINATOR}', not '{claim.terminator}'. ")
    if claim.date != timestamp[:8]:
        wrong.append(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{claim.date}' != '{timestamp[:8]}', from '{timestamp}'."
        )
    return InvalidSignature("".join(wrong))


def _untimely(timestamp: str, time_ms: int, now_ms: int, lasts_ms: int) -> InvalidSignature:
    """Too old, or from the future."""
    now = _timestamp(now_ms)
    if time_ms > now_ms:
        limit = _timestamp(now_ms + SKEW_MS)
        return InvalidSignature(f"Signature not yet current: {timestamp} is still later than {limit} ({now} + 15 min.)")
    limit = _timestamp(now_ms - lasts_ms)
    lasts = f"{lasts_ms // MINUTE_MS} min." if lasts_ms % MINUTE_MS == 0 else f"{lasts_ms // SECOND_MS} sec."
    return InvalidSignature(f"Signature expired: {timestamp} is now earlier than {limit} ({now} - {lasts})")


def _lasts_ms(expires: str | None) -> int:
    """How long a presigned request may be used. Without X-Amz-Expires as long as any other."""
    if expires is None:
        return SKEW_MS
    if not (expires.isascii() and expires.removeprefix("-").isdigit()) or len(expires) > 18:
        raise InvalidSignature("X-Amz-Expires should be a number")
    if int(expires) < 0:
        raise InvalidSignature("X-Amz-Expires must be non-negative")
    if int(expires) > EXPIRES_S_MAX:
        raise InvalidSignature(
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than "
            f"{EXPIRES_S_MAX} seconds"
        )
    return int(expires) * SECOND_MS


def _moment(date: str) -> tuple[str, int]:
    """A date header as ISO 8601 basic format and as milliseconds. A `Date` may also be as HTTP has it."""
    try:
        return _parsed(date[:DATE_CHARACTERS_MAX])
    except (ValueError, OverflowError, IndexError, TypeError):
        raise IncompleteSignature(
            f"Date must be in ISO-8601 'basic format'. Got '{date}'. See http://en.wikipedia.org/wiki/ISO_8601"
        ) from None


@lru_cache(maxsize=CACHED)
def _parsed(date: str) -> tuple[str, int]:
    """Cached: a client's requests of one second share it. Raises whatever the parsers raise."""
    if len(date) == 16 and date.isascii() and date[8] == "T" and date[15] == "Z":
        moment = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    else:
        moment = parsedate_to_datetime(date)
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    time_ms = int(moment.timestamp()) * SECOND_MS
    return _timestamp(time_ms), time_ms


def _timestamp(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms // SECOND_MS, UTC).strftime("%Y%m%dT%H%M%SZ")


def _canonical_request(
    method: str, path: str, query: str, headers: Mapping[str, str], signed: Iterable[str], payload_hash: str
) -> bytes:
    lines = []
    for name in signed:
        value = headers.get(name) or ""
        if "  " in value or "\t" in value or value[:1] == " " or value[-1:] == " ":
            value = " ".join(word for word in value.replace("\t", " ").split(" ") if word)
        lines.append(f"{name}:{value}")
    where = "/" if path == "/" else canonical_path(path)
    text = "\n".join((method, where, query, *lines, "", ";".join(signed), payload_hash))
    return _bytes(text)


def _to_sign(timestamp: str, scope: str, request: bytes) -> bytes:
    return _bytes(f"{ALGORITHM}\n{timestamp}\n{scope}\n{hashlib.sha256(request).hexdigest()}")


def _bytes(text: str) -> bytes:
    """Header bytes come as Latin-1 characters; a signer's own texts may be anything."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape")


def _pairs(query: str) -> list[tuple[str, str]]:
    """Decoded names and values, in the order sent. A plus is a plus: AWS's signers write a space as %20."""
    pairs = []
    for part in query.split("&") if query else ():
        name, _, value = part.partition("=")
        pairs.append((unquote(name), unquote(value)))
    return pairs


def _join(pairs: Iterable[tuple[str, str]]) -> str:
    encoded = sorted((quote(name, safe="~"), quote(value, safe="~")) for name, value in pairs)
    return "&".join(f"{name}={value}" for name, value in encoded)
