"""RecordDeAggregation: several JSON objects, or pieces between delimiters, in one record, each made a record of its own.

What cannot be taken apart stays one record and goes on as it is; so does, as observed of AWS, a record with more than 500
pieces. Where a query comes later, that is where such a record fails.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Final

from apps.delivery.processing.work import Item, Work

SUB_RECORDS_MAX: Final = 500
"""Of one record; AWS's guide."""
RUN_RECORDS_MAX: Final = 100_000
"""That records of a run, of which there is a MiB (configuration.py), are taken apart into; ours. Later ones stay whole."""
DELIMITERS_MAX: Final = 10_000
"""In one record, most of them with nothing between; ours."""
WHITESPACE: Final = " \t\r\n"

_scan = json.JSONDecoder().raw_decode


class Deaggregation:
    """delimiter None: JSON objects, one behind the other, with or without whitespace between them."""

    def __init__(self, delimiter: bytes | None) -> None:
        self._delimiter = delimiter

    def run(self, work: Work) -> None:
        """See Step.run. All records of one ordinal are numbered anew, so that each has a name of its own."""
        numbers: Counter[int] = Counter()
        items: list[Item] = []
        for item in work.items:
            record = item.record
            pieces = self._pieces(record.data) if len(items) < RUN_RECORDS_MAX else [record.data]
            for data in pieces:
                sub = numbers[record.ordinal]
                numbers[record.ordinal] += 1
                one = item.piece(data, sub)
                if len(pieces) == 1:
                    one.raw = item.raw
                items.append(one)
        work.items = items

    def _pieces(self, data: bytes) -> list[bytes]:
        if self._delimiter is None:
            return json_objects(data) or [data]
        if data.count(self._delimiter) > DELIMITERS_MAX:
            return [data]
        found = [piece for piece in data.split(self._delimiter) if piece]
        return found if 0 < len(found) <= SUB_RECORDS_MAX else [data]


def json_objects(data: bytes) -> list[bytes]:
    """The objects that the data consists of; empty: it is something else, or more than there may be."""
    try:
        text = data.decode()
        found: list[bytes] = []
        at, end = _after_whitespace(text, 0), len(text)
        while at < end:
            if text[at] != "{" or len(found) == SUB_RECORDS_MAX:
                return []
            begins, at = at, _scan(text, at)[1]
            found.append(text[begins:at].encode())
            at = _after_whitespace(text, at)
    except (ValueError, RecursionError):
        return []
    return found


def _after_whitespace(text: str, at: int) -> int:
    while at < len(text) and text[at] in WHITESPACE:
        at += 1
    return at
