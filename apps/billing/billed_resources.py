"""The tags of things that usage is booked on, as they were last seen: reports by tag go on when a thing is gone."""

from __future__ import annotations

from collections.abc import Mapping

from apps.billing.models import BilledResource

ROWS_PER_STATEMENT = 200


def note(tags: Mapping[tuple[int, str], Mapping[str, str]], now_ms: int) -> int:
    """Keep the tags of things, by team and resource; answers how many were new or had changed. Only those are written."""
    names = [name for _, name in tags]
    rows = BilledResource.objects.filter(team_id__in={team_id for team_id, _ in tags}, resource__in=names)
    known = {(row.team_id, row.resource): row.tags for row in rows}
    changed = [
        BilledResource(team_id=thing[0], resource=thing[1], tags=dict(now), seen_at_ms=now_ms)
        for thing, now in sorted(tags.items())
        if known.get(thing) != dict(now)
    ]
    BilledResource.objects.bulk_create(
        changed,
        batch_size=ROWS_PER_STATEMENT,
        update_conflicts=True,
        unique_fields=["team", "resource"],
        update_fields=["tags", "seen_at_ms"],
    )
    return len(changed)
