"""NextToken of the list calls: where a page ended, signed, good for five minutes.

A token is bound to its operation and its team, so it opens nothing for anybody else. Any process of the installation
can open what another one issued.
"""

from __future__ import annotations

import binascii
import hmac
from base64 import urlsafe_b64encode
from typing import Any

import orjson

from apps.base.keys import derive
from apps.base.units import MINUTE_MS
from apps.runtime import Call
from apps.streams.errors import ExpiredNextTokenException, InvalidArgumentException

TOKEN_LIFE_MS = 5 * MINUTE_MS
SIGNATURE_BYTES = 32

_STANDARD = str.maketrans("-_+/", "+/  ")
"""From base64's alphabet for addresses to the usual one; the usual one's own signs become no base64."""


def issue(call: Call, operation: str, **position: Any) -> str:
    """A token that `open_token` of the same operation and team gives the position back for."""
    body = orjson.dumps([operation, call.principal.team_id, call.now_ms, position])
    return urlsafe_b64encode(_signature(call, body) + body).decode()


def open_token(call: Call, operation: str, token: str) -> dict[str, Any]:
    """The position in a token. Raises InvalidArgumentException and ExpiredNextTokenException."""
    try:
        raw = binascii.a2b_base64(token.translate(_STANDARD).encode("ascii"), strict_mode=True)
    except ValueError:
        raise _invalid() from None
    signature, body = raw[:SIGNATURE_BYTES], raw[SIGNATURE_BYTES:]
    if not hmac.compare_digest(signature, _signature(call, body)):
        raise _invalid()
    issued_for, team_id, issued_ms, position = orjson.loads(body)
    if issued_for != operation or team_id != call.principal.team_id:
        raise _invalid()
    if call.now_ms - issued_ms > TOKEN_LIFE_MS:
        raise ExpiredNextTokenException(
            f"NextToken expired. It was issued {call.now_ms - issued_ms} milliseconds ago; "
            f"the tolerated delay is {TOKEN_LIFE_MS} milliseconds."
        )
    assert isinstance(position, dict)
    return position


def _signature(call: Call, body: bytes) -> bytes:
    return hmac.digest(derive(call.runtime.config.master_key_path, "page-tokens"), body, "sha256")


def _invalid() -> InvalidArgumentException:
    return InvalidArgumentException("Invalid NextToken.")
