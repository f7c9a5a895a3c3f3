"""What a delivery stream would cost a month, as far as it is typed into the wizard."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from apps.base.units import KIB
from apps.billing.estimates import DeliveryPlan, traffic_of
from console import calls
from console.pages import costs
from console.pages.shell import TeamRequest

NO_TRAFFIC = "A delivery stream costs by what goes through it. Fill in records per second and their size."


def of_typed(request: TeamRequest, given: dict[str, Any]) -> dict[str, Any]:
    """Context of costs/estimate.html; empty for people who do not see money. given: cleaned data of the wizard."""
    if not costs.may_see(request):
        return {}
    rate, size, source = _traffic(request, given)
    plan = DeliveryPlan(
        rate,
        size,
        converts=given["kind"] == "s3" and bool(given.get("convert")),
        partitions=given["kind"] == "s3" and bool(given.get("partition")),
        iceberg=given["kind"] == "iceberg",
        direct=given["source"] != "stream",
    )
    return {"estimate": costs.of_delivery_plan(request, plan), "estimate_note": " ".join(_notes(given, plan, source))}


def _traffic(request: TeamRequest, given: dict[str, Any]) -> tuple[Fraction, Fraction, str]:
    """As typed; else what its data stream has had lately, and from which."""
    rate, size = given.get("expected_rate"), given.get("expected_kib")
    if rate and size:
        return Fraction(rate), Fraction(size) * KIB, ""
    name: str = (given.get("stream") or "") if given["source"] == "stream" else ""
    found = traffic_of(request.team.id, f"{costs.STREAM}/{name}", calls.now_ms()) if name else None
    return (found.records_per_s, found.record_bytes, name) if found else (Fraction(0), Fraction(0), "")


def _notes(given: dict[str, Any], plan: DeliveryPlan, source: str) -> list[str]:
    if not plan.records_per_s:
        return [NO_TRAFFIC]
    notes = ["At today's prices."]
    if source:
        notes.append(f"With the traffic of {source} in the last 7 days.")
    if plan.partitions:
        notes.append("Objects and the time of jq come on top.")
    if given.get("decompress"):
        notes.append("Decompression comes on top.")
    return notes
