"""A month as FOCUS 1.2, the FinOps Foundation's cost and usage columns, so that other cost tools read it.

One row for each UTC day, resource, dimension and price; corrections and credits as the statement has them; and one row
Adjustment with what rounding the statement's lines makes. BilledCost of all rows adds up to the statement's total exactly;
of a draft, to what the statement is when the usage is read.
Read by the day, so that memory holds one day of a team whatever its size.

Of the columns that FOCUS asks for only under conditions, those are left out whose condition is never true here: sub accounts
(a team is a billing account), capacity reservations, commitment discounts, prices in another currency, availability zones.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import chain
from typing import NamedTuple

from apps.base.units import DAY_MS
from apps.billing import price_book, usage
from apps.billing.bills import LineKind, Statement, StatementLine
from apps.billing.dimensions import DIMENSIONS, FIREHOSE, STREAMS, Dimension
from apps.billing.exports import cells
from apps.billing.models import BilledResource
from apps.billing.months import Month
from apps.billing.price_book import Books, NoPrice
from apps.billing.rating import Charge, LineSums, Part, PriceList, Row, decimal_text, rate

PROVIDER = "Tidegate"
RESOURCES_PER_QUERY = 500


@dataclass(frozen=True, slots=True)
class Column:
    """type: string, decimal, time or json. nullable: by FOCUS 1.2, for any row. level: mandatory, conditional, recommended."""

    name: str
    type: str
    nullable: bool
    level: str
    meaning: str
    allowed: tuple[str, ...] = ()


M, C, R = "mandatory", "conditional", "recommended"

COLUMNS = (
    Column("BilledCost", "decimal", False, M, "What is billed; all rows add up to the statement's total."),
    Column("BillingAccountId", "string", False, M, "The team's account id."),
    Column("BillingAccountName", "string", True, M, "The team's name."),
    Column("BillingAccountType", "string", True, C, "Team."),
    Column("BillingCurrency", "string", False, M, "Of all amounts."),
    Column("BillingPeriodEnd", "time", False, M, "First moment after the month."),
    Column("BillingPeriodStart", "time", False, M, "Begin of the month, UTC."),
    Column("ChargeCategory", "string", False, M, "Usage, Credit, or Adjustment for the row of rounding.",
           ("Usage", "Purchase", "Tax", "Credit", "Adjustment")),
    Column("ChargeClass", "string", True, M, "Correction for usage of an earlier month.", ("Correction",)),
    Column("ChargeDescription", "string", True, M, "The line in words."),
    Column("ChargeFrequency", "string", False, R, "Usage-Based; One-Time for credits and rounding.",
           ("One-Time", "Recurring", "Usage-Based")),
    Column("ChargePeriodEnd", "time", False, M, "First moment after the day."),
    Column("ChargePeriodStart", "time", False, M, "Begin of the day, UTC."),
    Column("ConsumedQuantity", "decimal", True, C, "What the meter counted."),
    Column("ConsumedUnit", "string", True, C, "Of the meter."),
    Column("ContractedCost", "decimal", False, M, "At the team's price; the same as BilledCost."),
    Column("ContractedUnitPrice", "decimal", True, C, "The team's price."),
    Column("EffectiveCost", "decimal", False, M, "The same as BilledCost: nothing is paid up front."),
    Column("InvoiceId", "string", True, R, "The statement's number once it is closed."),
    Column("InvoiceIssuerName", "string", False, M, "Tidegate."),
    Column("ListCost", "decimal", False, M, "At AWS's list price, as shipped."),
    Column("ListUnitPrice", "decimal", True, C, "AWS's list price; the average where a tier cuts through the row."),
    Column("PricingCategory", "string", True, C, "Standard.", ("Standard", "Dynamic", "Committed", "Other")),
    Column("PricingQuantity", "decimal", True, M, "In units of sale."),
    Column("PricingUnit", "string", True, M, "The unit of sale."),
    Column("ProviderName", "string", False, M, "Tidegate."),
    Column("PublisherName", "string", False, M, "Tidegate."),
    Column("RegionId", "string", True, C, "The installation's region."),
    Column("RegionName", "string", True, C, "The same."),
    Column("ResourceId", "string", True, C, "As stream/orders; empty for what belongs to no resource."),
    Column("ResourceName", "string", True, C, "As orders."),
    Column("ResourceType", "string", True, C, "Data stream, Delivery stream, Channel, Queue."),
    Column("ServiceCategory", "string", False, M, "Analytics.", ("Analytics", "Media", "Other")),
    Column("ServiceName", "string", False, M, "Data Streams, Firehose; Tidegate for credits and rounding."),
    Column("ServiceSubcategory", "string", True, R, "Streaming Analytics or Data Processing.",
           ("Streaming Analytics", "Data Processing", "Other (Analytics)", "Other (Media)", "Other (Other)")),
    Column("SkuId", "string", True, C, "The dimension, as the price book has it."),
    Column("SkuMeter", "string", True, C, "The dimension in words."),
    Column("SkuPriceDetails", "json", True, C, "The tier, where a dimension has several."),
    Column("SkuPriceId", "string", True, C, "The dimension, with the number of its tier where it has several."),
    Column("Tags", "json", True, C, "The resource's tags as they were last seen."),
)  # fmt: skip
"""In the order of the file: by name, as FOCUS has them."""

NAMES = tuple(column.name for column in COLUMNS)

_SUBCATEGORIES = {STREAMS: "Streaming Analytics", FIREHOSE: "Data Processing"}
_TYPES = {"stream": "Data stream", "deliverystream": "Delivery stream", "channel": "Channel", "queue": "Queue"}


class Listed(NamedTuple):
    """What a part of a charge costs by the shipped list; None: the list has no price."""

    unit_price: Fraction | None
    cost: Fraction


def file(of: Statement, region: str) -> Iterator[bytes]:
    """The CSV, piece by piece. An empty cell is FOCUS's null."""
    return cells.lines(NAMES, ([row.get(name) or "" for name in NAMES] for row in rows(of, region)))


def rows(of: Statement, region: str) -> Iterator[dict[str, str]]:
    """Every row, with the columns that are not null."""
    assert of.team_id is not None, "a statement of a team that is gone has no usage"
    common, total, sums = _common(of, region), Decimal(0), LineSums(of.month)
    for row in chain(_usage(of, of.team_id, region, sums), _others(of)):
        total += Decimal(row["BilledCost"])
        yield {**common, **row}
    rounding = Decimal(cells.money(_total_cents(of, sums))) - total
    if rounding:
        yield {
            **common,
            **_single(of, "Adjustment", "Rounding: each line of the statement is rounded to the cent", rounding),
        }


def _total_cents(of: Statement, sums: LineSums) -> int:
    """Of a draft, what the usage in the file comes to: it may be newer than the statement."""
    if of.closed_at_ms is not None:
        return of.total_cents
    others = sum(line.cents for line in of.lines if line.kind != LineKind.USAGE)
    return others + sum(line.cents for line in sums.lines())


def _common(of: Statement, region: str) -> dict[str, str]:
    return {
        "BillingAccountId": of.account_id,
        "BillingAccountName": cells.text(of.team_name),
        "BillingAccountType": "Team",
        "BillingCurrency": of.currency,
        "BillingPeriodStart": cells.time(of.month.start_ms),
        "BillingPeriodEnd": cells.time(of.month.end_ms),
        "InvoiceId": of.number if of.closed_at_ms is not None else "",
        "InvoiceIssuerName": PROVIDER,
        "ProviderName": PROVIDER,
        "PublisherName": PROVIDER,
        "RegionId": region,
        "RegionName": region,
    }


def _usage(of: Statement, team_id: int, region: str, sums: LineSums) -> Iterator[dict[str, str]]:
    """The rows of the ledger; what they come to is added to sums."""
    prices, listed = price_book.price_list(team_id, region), price_book.list_prices(region)
    used: dict[str, int] = defaultdict(int)
    for day_ms in range(of.month.start_ms, of.month.end_ms, DAY_MS):
        found = sorted(
            usage.rows(team_id, day_ms, day_ms + DAY_MS, "resource"), key=lambda row: (row.label, row.dimension)
        )
        day = [row for row in found if row.metered and _has_price(prices, row)]
        costs = _list_costs(day, listed, of.month, used)
        tags = _tags(team_id, {row.label for row in day})
        for charge in rate(day, prices, of.month, used):
            sums.add(charge)
            for part in charge.parts:
                yield _row(charge, part, costs.get(charge.row), tags.get(charge.row.label, {}))
        for row in day:
            used[row.dimension] += row.metered


def _has_price(prices: PriceList, row: Row) -> bool:
    try:
        prices.of(row.dimension, row.day_ms)
    except NoPrice:
        return False
    return True


def _list_costs(day: Iterable[Row], listed: Books, month: Month, used: dict[str, int]) -> dict[Row, Charge]:
    """What each row costs by the list; those of which it has no price are not in it."""
    known = [row for row in day if _has_price(listed, row)]
    return {charge.row: charge for charge in rate(known, listed, month, used)}


def _tags(team_id: int, resources: set[str]) -> dict[str, dict[str, str]]:
    names = sorted(resources)
    found: dict[str, dict[str, str]] = {}
    for first in range(0, len(names), RESOURCES_PER_QUERY):
        some = BilledResource.objects.filter(team_id=team_id, resource__in=names[first : first + RESOURCES_PER_QUERY])
        found.update(some.values_list("resource", "tags"))
    return found


def _row(charge: Charge, part: Part, by_list: Charge | None, tags: dict[str, str]) -> dict[str, str]:
    row, sold = charge.row, DIMENSIONS[charge.row.dimension]
    share = Fraction(1) if len(charge.parts) == 1 else part.quantity / charge.quantity
    cost = decimal_text(part.amount)
    listed = _listed(part, by_list, share)
    return {
        "BilledCost": cost,
        "EffectiveCost": cost,
        "ContractedCost": cost,
        "ListCost": decimal_text(listed.cost),
        "ContractedUnitPrice": f"{part.price:f}",
        "ListUnitPrice": "" if listed.unit_price is None else decimal_text(listed.unit_price),
        "ChargeCategory": "Usage",
        "ChargeDescription": f"{sold.title}, {sold.unit} at {part.price:f}",
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodStart": cells.time(row.day_ms),
        "ChargePeriodEnd": cells.time(row.day_ms + DAY_MS),
        "ConsumedQuantity": str(row.metered) if share == 1 else decimal_text(row.metered * share),
        "ConsumedUnit": sold.meter.unit if sold.meter is not None else "bytes",
        "PricingCategory": "Standard",
        "PricingQuantity": decimal_text(part.quantity),
        "PricingUnit": sold.unit,
        **_service(sold.service),
        **_sku(sold, charge, part),
        **_resource(row.label),
        "Tags": json.dumps(tags, ensure_ascii=False, sort_keys=True) if tags else "{}",
    }


def _listed(part: Part, by_list: Charge | None, share: Fraction) -> Listed:
    """Of the part's share of what the row costs by the list."""
    if by_list is None:
        return Listed(None, part.amount)
    if share == 1 and len(by_list.parts) == 1:
        return Listed(Fraction(by_list.parts[0].price), by_list.parts[0].amount)
    cost = by_list.amount * share
    return Listed(cost / part.quantity, cost)


def _service(name: str) -> dict[str, str]:
    if name not in _SUBCATEGORIES:
        return {"ServiceName": name or PROVIDER, "ServiceCategory": "Other", "ServiceSubcategory": "Other (Other)"}
    return {"ServiceName": name, "ServiceCategory": "Analytics", "ServiceSubcategory": _SUBCATEGORIES[name]}


def _sku(sold: Dimension, charge: Charge, part: Part) -> dict[str, str]:
    tiers = charge.priced.tiers
    sku = {"SkuId": sold.name, "SkuMeter": sold.title, "SkuPriceId": sold.name}
    if len(tiers) > 1:
        tier = next(n for n, one in enumerate(tiers, 1) if one.price == part.price)
        sku |= {"SkuPriceId": f"{sold.name}/{tier}", "SkuPriceDetails": json.dumps({"Tier": tier})}
    return sku


def _resource(label: str) -> dict[str, str]:
    kind, _, name = label.partition("/")
    if kind not in _TYPES:
        return {}
    return {"ResourceId": cells.text(label), "ResourceName": cells.text(name), "ResourceType": _TYPES[kind]}


def _others(of: Statement) -> Iterator[dict[str, str]]:
    """Corrections and credits: the statement's lines, to the cent."""
    for line in of.lines:
        if line.kind == LineKind.CORRECTION:
            yield _correction(line)
        elif line.kind == LineKind.CREDIT:
            yield _single(of, "Credit", line.title, Decimal(cells.money(line.cents)))


def _correction(line: StatementLine) -> dict[str, str]:
    cost, sold = cells.money(line.cents), DIMENSIONS[line.dimension]
    return {
        **dict.fromkeys(("BilledCost", "EffectiveCost", "ContractedCost", "ListCost"), cost),
        "ChargeCategory": "Usage",
        "ChargeClass": "Correction",
        "ChargeDescription": line.title,
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodStart": cells.time(line.from_ms),
        "ChargePeriodEnd": cells.time(line.to_ms),
        "ContractedUnitPrice": f"{line.price:f}",
        "PricingCategory": "Standard",
        "PricingQuantity": decimal_text(line.quantity),
        "PricingUnit": line.unit,
        **_service(line.service),
        "SkuId": sold.name,
        "SkuMeter": sold.title,
        "SkuPriceId": sold.name,
    }


def _single(of: Statement, category: str, words: str, cost: Decimal) -> dict[str, str]:
    """A charge of the whole month that belongs to no resource."""
    return {
        **dict.fromkeys(("BilledCost", "EffectiveCost", "ContractedCost", "ListCost"), f"{cost:f}"),
        "ChargeCategory": category,
        "ChargeDescription": cells.text(words),
        "ChargeFrequency": "One-Time",
        "ChargePeriodStart": cells.time(of.month.start_ms),
        "ChargePeriodEnd": cells.time(of.month.end_ms),
        **_service(""),
    }
