"""What the destinations that are called by HTTP share: where they are, calling them, and what of an answer is kept."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from apps.base import outgoing
from apps.base.outgoing import Answer, OutgoingRefused
from apps.base.units import SECOND_MS
from apps.delivery.destinations.interface import Batch, DeliveryFailed, Target
from apps.delivery.record import Failed, Json, Record

if TYPE_CHECKING:
    from apps.runtime import Runtime

CONNECT_S: Final = 30.0
URL_CHARACTERS_MAX: Final = 2_048 + 256
"""HECEndpoint has 2,048; what is called has a path behind it."""

MESSAGE_CHARACTERS_MAX: Final = 2_048
"""Of an endpoint's answer in an error's message. AWS truncates as well."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a destination is."""

    url: str
    allow_private: bool

    def at(self, path: str) -> str:
        """The URL of a path below it; a query stays at the end."""
        base, mark, query = self.url.partition("?")
        return f"{base.rstrip('/')}{path}{mark}{query}"


def endpoint_of(runtime: Runtime, target: Target, described: str) -> Endpoint:
    """The destination's own URL, or what its connection says instead. Teams chose both, so both are checked."""
    given = target.connections.get("destination", {}).get("endpoint_url", "")
    return Endpoint(given or described, runtime.config.destinations_may_be_private)


def call(
    endpoint: Endpoint,
    url: str,
    body: bytes | Iterator[bytes],
    headers: Mapping[str, str],
    *,
    deadline_s: float,
    answer_bytes_max: int,
) -> Answer:
    """POST. Raises OutgoingRefused, OutgoingFailed, OutgoingTooLarge."""
    return outgoing.request(
        "POST",
        url,
        body,
        headers,
        allow_private=endpoint.allow_private,
        deadline_s=deadline_s,
        answer_bytes_max=answer_bytes_max,
        url_characters_max=URL_CHARACTERS_MAX,
        connect_s=CONNECT_S,
    )


def check_endpoint(url: str, *, allow_private: bool) -> str:
    """Why a URL can be no destination, as far as it can be told without calling it; empty if it can."""
    try:
        outgoing.check_url(url, allow_private=allow_private, characters_max=URL_CHARACTERS_MAX)
    except OutgoingRefused as error:
        return str(error)
    return ""


def said(answer: Answer) -> str:
    """The status and the beginning of the body, printable: for an error's message."""
    text = answer.body[: 4 * MESSAGE_CHARACTERS_MAX].decode(errors="replace")
    shown = "".join(letter if letter.isprintable() else " " for letter in text[:MESSAGE_CHARACTERS_MAX])
    return f"{answer.status}: {shown.strip()}" if shown.strip() else str(answer.status)


def data_id(record: Record) -> str:
    """How AWS names a record in its error lines: the sequence number, a dot, and the place within it."""
    return f"{record.sequence_number or f'{record.ordinal:056d}'}.{record.sub}"


def failed(batch: Batch, record: Record, error_type: str, failure: DeliveryFailed, extra: Json) -> Failed:
    """A record that this attempt did not deliver."""
    return Failed(record, error_type, failure.code, failure.message, batch.attempt, batch.now_ms, extra=extra)


class Waited:
    """Measures how long an attempt waits for its destination: `with waited: …`, then `waited.ms`."""

    def __init__(self) -> None:
        self._since_s = 0.0
        self.ms = 0

    def __enter__(self) -> Self:
        self._since_s = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self.ms += round((time.monotonic() - self._since_s) * SECOND_MS)
