"""How far metering has read everything. Each kind of metering goes round and round over all there is, in slices; a month
closes once every kind has read a whole round that began after its end."""

from __future__ import annotations

from django.db.models import F, Min

from apps.billing.models import MeteringRound


def begin(key: str, now_ms: int) -> None:
    """A slice begins: of a new round, if the last one was read to its end. now_ms: trusted time (clock_guard.py)."""
    row, made = MeteringRound.objects.get_or_create(key=key, defaults={"began_ms": now_ms})
    if not made and row.through_ms >= row.began_ms:
        MeteringRound.objects.filter(key=key).update(began_ms=max(now_ms, row.through_ms + 1))


def end(key: str) -> None:
    """The round that began last has read everything."""
    MeteringRound.objects.filter(key=key).update(through_ms=F("began_ms"))


def through_ms(keys: frozenset[str]) -> int:
    """Up to when every kind of metering has read everything; 0 if one of these has never come to an end."""
    rows = MeteringRound.objects.filter(key__in=keys)
    if rows.count() < len(keys):
        return 0
    return int(rows.aggregate(least=Min("through_ms"))["least"] or 0)
