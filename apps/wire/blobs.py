"""Base64 texts to bytes, many at once and as strictly as AWS: no stray characters, no bits beyond the last byte."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import repeat
from typing import Final

from pybase64 import b64decode

LAST_BEFORE_PAD: Final = {1: "AEIMQUYcgkosw048", 2: "AQgw"}
"""By the number of pad characters: which last characters leave no bits beyond the last byte."""

_CLEAN_ENDS = re.compile(rf"(?:[^=]{{3}}|[^=][{LAST_BEFORE_PAD[1]}]=|[{LAST_BEFORE_PAD[2]}]==)*")


def decode_all(texts: Sequence[str]) -> list[bytes]:
    """The blobs of so many members. Raises ValueError if one of them is not base64, or not as it is written.

    pybase64 does several bytes at a step; but it ignores bits that the last character has too many.
    """
    blobs = list(map(b64decode, texts, repeat(None), repeat(True)))  # True: validate
    if _CLEAN_ENDS.fullmatch("".join([text[-3:] for text in texts])) is None:
        raise ValueError("bits beyond the last byte")
    return blobs
