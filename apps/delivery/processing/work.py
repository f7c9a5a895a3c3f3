"""Records between two processors, and what came of those that are through."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from apps.delivery.processing.interface import Processed
from apps.delivery.record import Failed, Record


class Item(msgspec.Struct, gc=False):
    """A record as it is by now. raw: what is kept of it if it fails, if not its data: how it came to Tidegate, before
    it was decompressed or transformed, so that it can be put in once more."""

    record: Record
    raw: bytes | None = None
    answered: dict[str, str] | None = None
    """Partition keys that a transform answered."""
    queried: dict[str, str] | None = None
    """What the query of MetadataExtraction answered."""
    pack: Callable[[bytes], bytes] | None = None
    """Of what was decompressed: makes of a piece of it a record that comes to the same piece when it is put in again."""

    @property
    def kept(self) -> bytes | None:
        """What is kept of it if it fails; None: its data."""
        return self.pack(self.record.data) if self.raw is None and self.pack is not None else self.raw

    def with_data(self, data: bytes) -> Item:
        """The same with other data; what it was is what would be kept of it."""
        raw = self.record.data if self.kept is None else self.kept
        return Item(msgspec.structs.replace(self.record, data=data), raw, self.answered, None, self.pack)

    def piece(self, data: bytes, sub: int) -> Item:
        """One of several that it is taken apart into. The whole is not kept of each: a record would become as many times
        as large, and all its pieces would come once more with the one that failed."""
        return Item(msgspec.structs.replace(self.record, data=data, sub=sub), None, self.answered, None, self.pack)


@dataclass(slots=True)
class Failure:
    """Why a record failed, in AWS's words. error_type: AWS's error-output-type."""

    error_type: str
    code: str
    message: str
    attempts: int = 1
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Work:
    """What a list of records has become so far. now_ms: when it began."""

    items: list[Item]
    now_ms: int
    done: Processed = field(default_factory=lambda: Processed([]))

    def fail(self, item: Item, why: Failure, ended_ms: int | None = None) -> None:
        """The record goes to the error prefix."""
        self.done.failed.append(
            Failed(
                item.record,
                why.error_type,
                why.code,
                why.message,
                why.attempts,
                self.now_ms if ended_ms is None else ended_ms,
                item.kept,
                dict(why.extra),
            )
        )


class Step(Protocol):
    """A processor: changes work.items."""

    def run(self, work: Work) -> None:
        """Process all of them; what fails leaves them by `work.fail`."""
        ...
