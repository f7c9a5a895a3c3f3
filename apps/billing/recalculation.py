"""What a draft of prices would have made of the last full month and of this one so far, beside what they cost now.

The same functions that bill, over the same ledger, with a price list in which the draft is valid on every day. Usage alone:
corrections and credits are the same either way.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from apps.accounts.models import Team
from apps.billing import price_book, publishing, reckoning, team_usage
from apps.billing.models import PriceBook
from apps.billing.months import Month
from apps.billing.price_book import Lists
from apps.billing.showback import TEAMS_MAX


@dataclass(frozen=True, slots=True)
class Amounts:
    """Cents of usage: at the prices that there are, and at those of the draft."""

    now: int
    tried: int

    @property
    def change(self) -> int:
        """What the draft adds."""
        return self.tried - self.now

    def __add__(self, other: Amounts) -> Amounts:
        return Amounts(self.now + other.now, self.tried + other.tried)


@dataclass(frozen=True, slots=True)
class TeamPreview:
    """One team's last full month and this one so far."""

    slug: str
    name: str
    last: Amounts
    this: Amounts


@dataclass(frozen=True, slots=True)
class Preview:
    """teams: the ones that used anything, those that change most first. Totals are of all of them."""

    last_month: Month
    this_month: Month
    teams: tuple[TeamPreview, ...]

    @property
    def last(self) -> Amounts:
        """All teams' last full month."""
        return sum((team.last for team in self.teams), Amounts(0, 0))

    @property
    def this(self) -> Amounts:
        """All teams' month so far."""
        return sum((team.this for team in self.teams), Amounts(0, 0))


def preview(book: PriceBook, now_ms: int) -> Preview:
    """Of a draft: its own team, or every team; about nine queries."""
    teams = Team.objects.order_by("name", "pk")
    asked = list((teams if book.team_id is None else teams.filter(pk=book.team_id))[:TEAMS_MAX])
    now, tried = price_book.price_lists(book.region), publishing.always(book)
    this = Month.at(now_ms)
    last_of = _amounts([team.pk for team in asked], this.previous, now, tried)
    this_of = _amounts([team.pk for team in asked], this, now, tried)
    found = [TeamPreview(team.slug, team.name, last_of[team.pk], this_of[team.pk]) for team in asked]
    used = [one for one in found if any((one.last.now, one.last.tried, one.this.now, one.this.tried))]
    used.sort(key=lambda one: -abs(one.last.change) - abs(one.this.change))
    return Preview(this.previous, this, tuple(used))


def _amounts(team_ids: Iterable[int], month: Month, now: Lists, tried: Lists) -> dict[int, Amounts]:
    from_ms, to_ms = month.start_ms, month.end_ms
    edges = {*now.edges(from_ms, to_ms), *tried.edges(from_ms, to_ms)}
    used = team_usage.of_teams(list(team_ids), from_ms, to_ms, edges)
    found = {}
    for team_id, usage in used.items():
        costs = [
            sum(line.cents for line in reckoning.priced_lines(usage.rows, month, lists.of_team(team_id), {}))
            for lists in (now, tried)
        ]
        found[team_id] = Amounts(*costs)
    return found
