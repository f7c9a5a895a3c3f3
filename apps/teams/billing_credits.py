"""Money given to teams by people who run the installation; each gift has its entry in the team's audit trail.

A credit never changes. One that no closed bill has taken anything of can be taken back.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from django.db import transaction

from apps.access import changes
from apps.access.changes import Actor
from apps.accounts.models import Team, User
from apps.billing import book_rules
from apps.billing.models import Credit
from apps.billing.months import BadMonth, Month
from apps.teams.authority import Gone, RefusedAt
from apps.teams.operators import for_team, operator

REASON_CHARS_MAX = 200
CREDITS_PER_TEAM_MAX = 500
MONTHS_AHEAD_MAX = 120

_AMOUNT = re.compile(r"[0-9]{1,9}(\.[0-9]{1,2})?")


class CreditRefused(RefusedAt):
    """What the rules of credits forbid. field: amount, reason, from_month, to_month, team, or empty."""

    code = "CreditRefused"


@transaction.atomic
def give(
    actor: Actor, person: User, team_id: int, amount: str, reason: str, from_month: str, to_month: str = ""
) -> Credit:
    """Give a team money for its bills (GiveCredit). amount: as people write it, 250 or 99.50. from_month, to_month: the first
    and the last month it is good for (2026-11); no last one: until it is used up. Raises NotAllowed, CreditRefused, Gone."""
    operator(person)
    team = _held(team_id)
    cents = _cents(amount)
    words = " ".join(reason.split())
    if not words or len(words) > REASON_CHARS_MAX:
        raise CreditRefused(f"A reason has 1 to {REASON_CHARS_MAX} characters: it stands on the bill.", "reason")
    first, last = _months(team, from_month, to_month, Month.at(actor.at_ms))
    if Credit.objects.filter(team=team).count() >= CREDITS_PER_TEAM_MAX:
        raise CreditRefused(
            f"The team has had {CREDITS_PER_TEAM_MAX} credits, which is as many as there can be.", "team"
        )
    made = Credit.objects.create(
        team=team,
        amount_cents=cents,
        reason=words,
        from_month=str(first),
        to_month="" if last is None else str(last),
        created_at_ms=actor.at_ms,
        created_by=person.email,
    )
    changes.write(for_team(actor, team), "GiveCredit", f"credit/{made.pk}", None, state(made))
    return made


@transaction.atomic
def take_back(actor: Actor, person: User, credit_id: int) -> None:
    """Take back a credit that no closed bill has used (TakeBackCredit). Raises NotAllowed, CreditRefused, Gone."""
    operator(person)
    team_id = Credit.objects.filter(pk=credit_id).values_list("team_id", flat=True).first()
    if team_id is None:
        raise Gone("There is no such credit.")
    team = _held(team_id)
    found = Credit.objects.select_for_update().filter(pk=credit_id).first()
    if found is None:
        raise Gone("There is no such credit.")
    if found.uses.exists():
        raise CreditRefused("A closed bill has used it; what is on a bill stays.")
    before = state(found)
    found.delete()
    changes.write(for_team(actor, team), "TakeBackCredit", f"credit/{credit_id}", before, None)


def state(credit: Credit) -> dict[str, Any]:
    """A credit as the trail keeps it."""
    return {
        "amount_cents": credit.amount_cents,
        "reason": credit.reason,
        "from_month": credit.from_month,
        "to_month": credit.to_month or None,
    }


def _held(team_id: int) -> Team:
    team = Team.objects.select_for_update().filter(pk=team_id).first()
    if team is None:
        raise CreditRefused("There is no such team.", "team")
    return team


def _cents(amount: str) -> int:
    given = amount.strip()
    if not _AMOUNT.fullmatch(given):
        raise CreditRefused("An amount is written as 250 or 99.50, below 1,000,000,000.", "amount")
    cents = int(Decimal(given) * 100)
    if not cents:
        raise CreditRefused("A credit of nothing is none.", "amount")
    return cents


def _months(team: Team, from_month: str, to_month: str, now: Month) -> tuple[Month, Month | None]:
    first = _month(from_month, "from_month")
    last = _month(to_month, "to_month") if to_month.strip() else None
    if last is not None and last < first:
        raise CreditRefused("It would be over before it begins.", "to_month")
    if first.year - now.year > MONTHS_AHEAD_MAX // 12:
        raise CreditRefused(f"At most {MONTHS_AHEAD_MAX // 12} years ahead.", "from_month")
    newest = book_rules.newest_closed(team.pk)
    if newest is not None and first <= newest:
        raise CreditRefused(f"The bill of {newest.title} is closed; the next one is of {newest.next}.", "from_month")
    return first, last


def _month(text: str, field: str) -> Month:
    try:
        return Month.named(text.strip())
    except BadMonth as error:
        raise CreditRefused("Write the month as 2026-11.", field) from error
