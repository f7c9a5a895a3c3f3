"""The rate card as rows: what each dimension costs on a day, beside AWS's list."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from apps.billing.book_rules import day_text
from apps.billing.dimensions import COMMITTED_IN, COMMITTED_OUT, DIMENSIONS, SERVICES, Dimension
from apps.billing.price_book import Books, ShippedList, Tiers, number_text
from apps.billing.rating import Priced
from console.pages import money

FROM_MEMORY = "Unconfirmed, check it"
NOT_PUBLISHED = "AWS publishes none, check it"
SHIPPED = "the shipped list"

DERIVED = frozenset((COMMITTED_IN.name, COMMITTED_OUT.name))
"""Of no meter, yet billed: what hours of the commitment lack."""


@dataclass(frozen=True, slots=True)
class Step:
    """One tier in words: `$0.0290`, `up to 512,000`. An only one has no range."""

    price: str
    range: str


@dataclass(frozen=True, slots=True)
class Rate:
    """One dimension. everybody: what others pay, where it is the team's own. later: from when on another price holds, and
    which. difference: against AWS's list, and whether it is dearer (1), cheaper (-1) or neither (0)."""

    dimension: Dimension
    steps: tuple[Step, ...]
    since: str
    everybody: tuple[Step, ...]
    later: tuple[str, tuple[Step, ...]] | None
    listed: tuple[Step, ...]
    doubt: str
    difference: str
    direction: int
    is_own: bool
    is_billed: bool


def by_service(
    prices: Books, common: Books, listed: Books, shipped: ShippedList, day_ms: int
) -> list[tuple[str, list[Rate]]]:
    """All dimensions in the order of the table, by service. Raises NoPrice."""
    rates = {service: list[Rate]() for service in SERVICES}
    for name, dimension in DIMENSIONS.items():
        rates[dimension.service].append(_rate(dimension, prices, common, listed.of(name, day_ms), shipped, day_ms))
    return [(service, found) for service, found in rates.items() if found]


def steps(tiers: Tiers) -> tuple[Step, ...]:
    """Tiers in words."""
    return tuple(_steps(tiers))


def difference(tiers: Tiers, listed: Tiers) -> tuple[str, int]:
    """How prices differ from others, in words and as a direction."""
    if tiers == listed:
        return "same", 0
    if [tier.up_to for tier in tiers] != [tier.up_to for tier in listed]:
        return "other tiers", 0
    ratios = {(one.price - other.price) / other.price for one, other in zip(tiers, listed, strict=True) if other.price}
    changed = [one.price - other.price for one, other in zip(tiers, listed, strict=True) if not other.price]
    direction = _direction([*ratios, *changed])
    if len(ratios) == 1 and not any(changed):
        return f"{_signed_percent(ratios.pop())}", direction
    if not ratios and len(changed) == 1:
        return f"{'+' if changed[0] > 0 else ''}{money.price(changed[0])}", direction
    return "by tier", direction


def _rate(
    dimension: Dimension, prices: Books, common: Books, listed: Priced, shipped: ShippedList, day_ms: int
) -> Rate:
    name = dimension.name
    priced = prices.of(name, day_ms)
    is_own = prices.is_own(name, day_ms)
    words, direction = difference(priced.tiers, listed.tiers)
    doubt = NOT_PUBLISHED if name in shipped.not_published else FROM_MEMORY if name in shipped.from_memory else ""
    later = None
    if priced.to_ms is not None:
        later = (day_text(priced.to_ms), steps(prices.of(name, priced.to_ms).tiers))
    return Rate(
        dimension=dimension,
        steps=steps(priced.tiers),
        since=day_text(priced.from_ms) if priced.from_ms else SHIPPED,
        everybody=steps(common.of(name, day_ms).tiers) if is_own else (),
        later=later,
        listed=steps(listed.tiers),
        doubt=doubt,
        difference=words,
        direction=direction,
        is_own=is_own,
        is_billed=bool(dimension.meters) or name in DERIVED,
    )


def _steps(tiers: Tiers) -> Iterator[Step]:
    for tier in tiers:
        text = "free" if not tier.price and len(tiers) > 1 else money.price(tier.price)
        if len(tiers) == 1:
            yield Step(text, "")
        elif tier.up_to is None:
            yield Step(text, "above")
        else:
            number = number_text(tier.up_to)
            whole, point, rest = number.partition(".")
            yield Step(text, f"up to {int(whole):,}{point}{rest}")


def _direction(changes: list[Decimal]) -> int:
    ups, downs = any(one > 0 for one in changes), any(one < 0 for one in changes)
    return int(ups) - int(downs)


def _signed_percent(ratio: Decimal) -> str:
    percent = round(ratio * 100, 1)
    text = number_text(abs(percent))
    return f"{'+' if ratio > 0 else '-'}{text}%" if percent else f"{'+' if ratio > 0 else '-'}<0.1%"
