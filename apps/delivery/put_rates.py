"""What teams may put into a Direct PUT delivery stream per second: AWS's numbers of the region, or an administrator's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from apps.capacity.models import QuotaOverride
from apps.streams.quotas import QUOTAS


class Rates(NamedTuple):
    """Per second: records, bytes of data, and PutRecord and PutRecordBatch calls."""

    records: int
    size_bytes: int
    requests: int


NAMES = ("delivery-records-per-s", "delivery-bytes-per-s", "delivery-requests-per-s")
"""Of the quotas, in the order of Rates."""


def read(team_ids: Iterable[int], region: str) -> dict[int, Rates]:
    """By team, in one query."""
    usual = {name: QUOTAS[name].default_in(region) for name in NAMES}
    found = {team_id: dict(usual) for team_id in team_ids}
    rows = QuotaOverride.objects.filter(team_id__in=list(found), name__in=NAMES)
    for team_id, name, value in rows.values_list("team_id", "name", "value"):
        found[team_id][name] = value
    return {team_id: Rates(*(values[name] for name in NAMES)) for team_id, values in found.items()}
