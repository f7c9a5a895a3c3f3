"""Usage put right by people who run the installation, and flags they have seen to; each with its entry in the team's trail.

A correction is never changed or removed: what was wrong about one is put right by another. It is billed with the month that is
open now, at the price of the hour it belongs to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Sum

from apps.access import changes
from apps.access.changes import Actor
from apps.accounts.models import Team, User
from apps.base.units import HOUR_MS
from apps.billing import booking, flags
from apps.billing.commitment import ACCOUNT
from apps.billing.meters import METERS
from apps.billing.models import BillingFlag, Correction, CorrectionReason, UsageDay, UsageHour
from apps.teams.authority import Gone, RefusedAt
from apps.teams.operators import for_team, operator

NOTE_CHARS_MAX = 500
QUANTITY_MAX = 2**60
"""Of a correction, and of an hour with all of them: databases add up to 2^63."""
CORRECTIONS_PER_MONTH_MAX = 10_000
"""Of a team, by hand, on one bill."""


class CorrectionRefused(RefusedAt):
    """What the rules forbid. field: resource, meter, hour, meter_key, quantity, note, team."""

    code = "CorrectionRefused"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be put right. hour_ms: a full UTC hour. quantity: in the meter's unit, added; negative takes off."""

    resource: str
    meter: str
    hour_ms: int
    quantity: int
    note: str
    meter_key: str = ""


@transaction.atomic
def correct(actor: Actor, person: User, team_id: int, wanted: Wanted) -> Correction:
    """Book a correction of a team's usage (CorrectUsage). Raises NotAllowed, CorrectionRefused."""
    operator(person)
    team = Team.objects.select_for_update().filter(pk=team_id).first()
    if team is None:
        raise CorrectionRefused("There is no such team.", "team")
    note = " ".join(wanted.note.split())
    _check(team, wanted, note, actor.at_ms)
    month = booking.open_month(team.pk, actor.at_ms)
    by_hand = Correction.objects.filter(team=team, bill_month=str(month), reason=CorrectionReason.MANUAL)
    if by_hand.count() >= CORRECTIONS_PER_MONTH_MAX:
        raise CorrectionRefused(
            f"The bill of {month.title} has {CORRECTIONS_PER_MONTH_MAX} corrections already.", "team"
        )
    made = Correction.objects.create(
        team=team,
        resource=wanted.resource,
        meter=wanted.meter,
        hour_ms=wanted.hour_ms,
        meter_key=wanted.meter_key,
        quantity=wanted.quantity,
        reason=CorrectionReason.MANUAL,
        note=note,
        booked_at_ms=actor.at_ms,
        booked_by=person.email,
        bill_month=str(month),
    )
    changes.write(for_team(actor, team), "CorrectUsage", wanted.resource, None, state(made))
    return made


def state(made: Correction) -> dict[str, Any]:
    """A correction as the trail keeps it."""
    names = ("resource", "meter", "hour_ms", "meter_key", "quantity", "note", "bill_month")
    return {name: getattr(made, name) for name in names}


def _check(team: Team, wanted: Wanted, note: str, now_ms: int) -> None:
    if wanted.meter not in METERS:
        raise CorrectionRefused("There is no such meter.", "meter")
    if wanted.hour_ms % HOUR_MS or not 0 < wanted.hour_ms <= now_ms:
        raise CorrectionRefused("Give a full hour of UTC that has begun.", "hour")
    if not wanted.quantity or abs(wanted.quantity) > QUANTITY_MAX:
        raise CorrectionRefused("Give a whole number that is not zero, with a minus to take usage off.", "quantity")
    if not note or len(note) > NOTE_CHARS_MAX:
        raise CorrectionRefused(f"Say why in 1 to {NOTE_CHARS_MAX} characters.", "note")
    if wanted.resource != ACCOUNT and not _is_known(team, wanted.resource):
        raise CorrectionRefused("The team has never used a resource of this name.", "resource")
    has = booked(team.pk, wanted)
    if has + wanted.quantity < 0:
        unit = METERS[wanted.meter].unit
        raise CorrectionRefused(
            f"That hour has {has:,} of the unit {unit} with its corrections; it cannot become less than nothing.",
            "quantity",
        )
    if has + wanted.quantity > QUANTITY_MAX:
        raise CorrectionRefused(f"With it that hour would have more than {QUANTITY_MAX:,}.", "quantity")


def _is_known(team: Team, resource: str) -> bool:
    return any(model.objects.filter(team=team, resource=resource).exists() for model in (UsageDay, Correction))


def booked(team_id: int, wanted: Wanted) -> int:
    """What that hour has of the meter and key, with all corrections so far."""
    total = 0
    for model in (UsageHour, Correction):
        rows = model.objects.filter(
            team_id=team_id,
            resource=wanted.resource,
            meter=wanted.meter,
            hour_ms=wanted.hour_ms,
            meter_key=wanted.meter_key,
        )
        total += rows.aggregate(n=Sum("quantity"))["n"] or 0
    return total


@transaction.atomic
def acknowledge(actor: Actor, person: User, flag_id: int) -> BillingFlag:
    """A flag was seen to (AcknowledgeBillingFlag); of the clock that jumped ahead: it is right. Raises NotAllowed, Gone."""
    operator(person)
    flag = flags.acknowledge(flag_id, person.email, actor.at_ms)
    if flag is None:
        raise Gone("There is no such flag any more.")
    team = Team.objects.filter(pk=flag.team_id).first() if flag.team_id is not None else None
    after = {"kind": flag.kind, "resource": flag.resource, "text": flag.text}
    changes.write(for_team(actor, team), "AcknowledgeBillingFlag", f"flag/{flag.kind}", None, after)
    return flag
