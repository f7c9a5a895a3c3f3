"""How long a delivery waits after a failed attempt.

AWS's rule for HTTP endpoints ("Retries" in the published delivery protocol), used for every destination: the wait doubles
from one second up to two minutes and is then varied by up to 15 % either way.
"""

from __future__ import annotations

import hashlib
from typing import Final

from apps.base.units import SECOND_MS

FIRST_MS: Final = 1 * SECOND_MS
LONGEST_MS: Final = 120 * SECOND_MS
VARIED_BY: Final = 0.15


def backoff_ms(attempt: int, identity: str) -> int:
    """Milliseconds to wait after the attempt with this number, 1 for the first: min(120 s, 1 s x 2^n) x (0.85 to 1.15).

    identity: the batch's. The variation derives from it, so lanes that failed together do not come again together, and
    nothing depends on chance.
    """
    doublings = min(max(attempt, 1) - 1, 20)
    wait_ms = min(LONGEST_MS, FIRST_MS << doublings)
    digest = hashlib.blake2b(f"{identity}/{attempt}".encode(), digest_size=4).digest()
    share = int.from_bytes(digest) / 0xFFFF_FFFF
    return round(wait_ms * (1 - VARIED_BY + 2 * VARIED_BY * share))
