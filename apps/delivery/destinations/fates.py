"""What became of each record of a batch: left to be sent, taken, or refused for good and why. A byte for each."""

from __future__ import annotations

import binascii
import zlib
from typing import Final

from apps.delivery.record import Json

LEFT: Final = 0
TAKEN: Final = 1
_FIRST_CAUSE: Final = 2

CAUSES_MAX: Final = 250
DETAILED_CAUSES_MAX: Final = 100
"""So many causes are kept with their message, further ones by their kind: servers put the document's id into it."""

MESSAGE_CHARACTERS_MAX: Final = 400
KEPT_BYTES_MAX: Final = 256 * 1024
"""Of all fates, compressed, where they are remembered. If they are more, the next attempt begins anew."""


class Fates:
    """By the place of a record in its batch, from 0. first: the id of the batch's first record, by which a later attempt
    knows that it counts from the same one (a data stream's retention may have passed it meanwhile)."""

    def __init__(self, first: str = "") -> None:
        self.first = first
        self.taken_bytes = 0
        self._bytes = bytearray()
        self._causes: list[tuple[str, str]] = []

    @classmethod
    def of(cls, kept: Json | None) -> Fates:
        """What was remembered, or nothing."""
        fates = cls()
        if kept:
            fates.first, fates.taken_bytes = kept["first"], kept["taken_bytes"]
            fates._bytes = bytearray(zlib.decompress(binascii.a2b_base64(kept["fates"])))
            fates._causes = [(code, message) for code, message in kept["causes"]]
        return fates

    def kept(self) -> Json | None:
        """To be remembered; None if it is too much."""
        packed = binascii.b2a_base64(zlib.compress(self._bytes, 6), newline=False).decode()
        if len(packed) > KEPT_BYTES_MAX:
            return None
        causes = [list(cause) for cause in self._causes]
        return {"first": self.first, "taken_bytes": self.taken_bytes, "fates": packed, "causes": causes}

    def begin_at(self, first: str) -> None:
        """Forget everything if the batch does not begin at the same record as before."""
        if self.first and self.first != first:
            self.taken_bytes = 0
            self._bytes.clear()
        self.first = first

    def __getitem__(self, place: int) -> int:
        return self._bytes[place] if place < len(self._bytes) else LEFT

    def take(self, place: int, data_bytes: int) -> None:
        """The destination has it."""
        self._set(place, TAKEN)
        self.taken_bytes += data_bytes

    def refuse(self, place: int, code: str, kind: str, message: str) -> None:
        """It will never be taken. kind: the same for like causes."""
        self._set(place, _FIRST_CAUSE + self._cause(code, kind, message))

    def cause(self, place: int) -> tuple[str, str] | None:
        """Code and message of a refusal; None if there was none."""
        fate = self[place]
        return self._causes[fate - _FIRST_CAUSE] if fate >= _FIRST_CAUSE else None

    @property
    def taken(self) -> int:
        """How many were taken."""
        return self._bytes.count(TAKEN)

    @property
    def any_refused(self) -> bool:
        """Was one refused?"""
        return any(self._bytes.count(_FIRST_CAUSE + number) for number in range(len(self._causes)))

    def _set(self, place: int, fate: int) -> None:
        if place >= len(self._bytes):
            self._bytes.extend(bytes(place + 1 - len(self._bytes)))
        self._bytes[place] = fate

    def _cause(self, code: str, kind: str, message: str) -> int:
        wanted = (code, message[:MESSAGE_CHARACTERS_MAX])
        if wanted in self._causes:
            return self._causes.index(wanted)
        if len(self._causes) >= DETAILED_CAUSES_MAX:
            wanted = (code, kind[:MESSAGE_CHARACTERS_MAX])
            if wanted in self._causes:
                return self._causes.index(wanted)
        if len(self._causes) >= CAUSES_MAX:
            return CAUSES_MAX - 1
        self._causes.append(wanted)
        return len(self._causes) - 1
