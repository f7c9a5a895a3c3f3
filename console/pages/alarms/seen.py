"""A preview of an alarm as a page shows it: a sentence, a chart, and the times in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from apps.base.units import SECOND_MS
from apps.cloudwatch.preview import Preview, preview
from apps.cloudwatch.reading import Reader
from console import calls
from console.pages import words
from console.pages.alarms import rules
from console.pages.alarms.rules import span
from console.pages.plot import Line, Plot
from console.pages.shell import TeamRequest

TIMES_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Seen:
    """headline: the sentence. times: the newest ones, (when, how long). more: how many others there were."""

    headline: str
    note: str
    plot: Plot | None
    times: list[tuple[int, str]]
    more: int
    threshold: str
    fired: int
    label: str


def seen_of(found: Preview, label: str, unit: str) -> Seen:
    """Of what was worked out."""
    whole = span(_rounded(found.end_s - found.start_s))
    fired = len(found.fired)
    if found.problem:
        return Seen("It cannot be said what this alarm would have done", found.problem, None, [], 0, "", 0, label)
    headline = f"Would have fired {words.plural(fired, 'time')} in {whole}"
    note = f"Looked at every {span(found.every_s).removeprefix('1 ')}, by the rule that the alarm itself follows."
    if not found.has_data:
        note = f"The metric has no values in the last {whole}, so only the rule for missing data was at work."
    points = found.points
    step_s = points[1][0] - points[0][0] if len(points) > 1 else found.every_s
    drawn = Plot(
        found.start_s, found.end_s, [Line(label, points)], step_s, unit, [(found.threshold, "Threshold")], found.fired,
        description=f"{label} over the last {whole} with the threshold {rules.exact(found.threshold, unit)}. {headline}.",
    )  # fmt: skip
    times = [(since_s * SECOND_MS, _lasted(since_s, until_s)) for since_s, until_s in reversed(found.fired)]
    return Seen(
        headline,
        note,
        drawn,
        times[:TIMES_SHOWN],
        max(0, fired - TIMES_SHOWN),
        rules.exact(found.threshold, unit),
        fired,
        label,
    )


def _lasted(since_s: int, until_s: int | None) -> str:
    return "still in alarm" if until_s is None else f"for {words.duration((until_s - since_s) * SECOND_MS)}"


def _rounded(seconds: int) -> int:
    """Seven days less some seconds are seven days to a reader."""
    for size in (86_400, 3_600, 60):
        if seconds >= size * 0.9:
            return round(seconds / size) * size
    return seconds


def look(request: TeamRequest, settings: dict[str, Any]) -> Seen:
    """What an alarm's rule would have done, from what is kept of its metric."""
    found = preview(Reader(request.team.id, calls.runtime().clock), settings)
    unit = rules.unit_of(settings)
    return seen_of(found, rules.watched(settings).label, unit)
