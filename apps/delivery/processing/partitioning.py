"""MetadataExtraction with jq, and which partition a record belongs to."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

from apps.base.units import SECOND_MS
from apps.delivery.prefixes import partition_problem
from apps.delivery.processing.configuration import wanted_keys
from apps.delivery.processing.jq_queries import Queries
from apps.delivery.processing.work import Failure, Item, Work

if TYPE_CHECKING:
    from apps.runtime import Runtime

Json = dict[str, Any]

ERROR_TYPE: Final = "metadata-extraction-failed"
CODE: Final = "DynamicPartitioning.MetadataExtractionFailed"
NO_JSON: Final = "Non JSON record provided"
NO_VALUE: Final = "Partition key's value should not be null or empty"
CHECKED_MAX: Final = 2_048
"""Combinations of partition keys that are remembered to be fit for a path."""

_any_json = msgspec.json.Decoder(msgspec.Raw).decode


class MetadataExtraction:
    """Asks the query of each record. routes: the answer says which table the record belongs to, not which partition."""

    def __init__(self, runtime: Runtime, owner: int, query: str, *, routes: bool) -> None:
        self._runtime, self._owner, self._query, self._routes = runtime, owner, query, routes

    def run(self, work: Work) -> None:
        """See Step.run."""
        began_s = time.monotonic()
        answers = self._runtime.part(Queries).ask(self._owner, self._query, [one.record.data for one in work.items])
        work.done.metrics.append(("JQProcessing.Duration", (time.monotonic() - began_s) * SECOND_MS))
        kept: list[Item] = []
        for item, answer in zip(work.items, answers, strict=True):
            if isinstance(answer, str):
                reason = answer if _is_json(item.record.data) else NO_JSON
                work.fail(item, Failure(ERROR_TYPE, CODE, reason))
                continue
            if self._routes:
                item.record = msgspec.structs.replace(item.record, routing={**(item.record.routing or {}), **answer})
            item.queried = answer
            kept.append(item)
        work.items = kept


class Partitioning:
    """Gives each record the partition keys that Prefix names, from where Prefix says; without one of them it fails."""

    def __init__(self, description: Json) -> None:
        self._queried, self._answered = (sorted(names) for names in wanted_keys(description))
        self._problem = lru_cache(CHECKED_MAX)(lambda keys: partition_problem(description, dict(keys)))

    def run(self, work: Work) -> None:
        """See Step.run."""
        kept: list[Item] = []
        for item in work.items:
            keys = [(name, (item.queried or {}).get(name)) for name in self._queried]
            keys += [(name, (item.answered or {}).get(name)) for name in self._answered]
            missing = [name for name, value in keys if not value]
            problem = f"{NO_VALUE}: {', '.join(missing)}" if missing else self._problem(tuple(keys))
            if problem:
                work.fail(item, Failure(ERROR_TYPE, CODE, problem))
                continue
            item.record = msgspec.structs.replace(item.record, partition_keys=dict(keys))
            kept.append(item)
        work.items = kept


def _is_json(data: bytes) -> bool:
    """One JSON text, and nothing behind it."""
    try:
        _any_json(data)
        data.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True
