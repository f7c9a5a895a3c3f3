"""The shard map: a stream's shards on the hash key range, with their load and their lineage. Drawn as SVG by a template."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from apps.metrics.shard_load import Load, ShardLoad, shard_load
from apps.streams import topology
from apps.streams.models import Shard, Stream
from apps.streams.operations.shards import shown
from console.pages import words
from console.pages.shell import TeamRequest

ROWS_MAX = 4
"""Rows of closed shards in the map; older ones are counted below it."""

LABEL_PERCENT = 4.5
"""Narrower shards have no words in them, only their title."""

SHARE_PERCENT = 6
"""Narrower shards have no room for a share with its decimals, and a rounded one would not add up."""

TIGHT_PERCENT, TIGHT_FOR_SHARE_PERCENT = 12, 15
ROW_HEIGHT = 23
STEPS = ((90, "h5"), (65, "h4"), (45, "h3"), (20, "h2"), (0, "h1"))
"""Colour classes by the per cent from which they hold."""

SHARDS_MAX = 1_000
"""Shards in a map."""

ELEMENTS_MAX = 500
"""Of a map, as the whole page has 1,500. The more shards, the less each has: a link and a title, then a title, then only its
part of a path of its colour. Generations of closed ones for which nothing is left are counted below the map."""

ELEMENTS_OF_TWO = 200
"""Of each of two maps on one page."""


IDLE = Load(0, 0, 0, 0, 0, 0)
"""Of a shard that nobody used."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A shard as it is drawn: left edge and width in per cent of the hash key range."""

    shard: Shard
    left: float
    width: float
    load: Load | None = None
    row: int = 0
    fate: str = ""

    @property
    def short(self) -> str:
        """0006"""
        return f"{self.shard.index:04d}"

    @property
    def is_open(self) -> bool:
        """Takes records."""
        return self.shard.closed_at_ms is None

    @property
    def percent(self) -> int | None:
        """Share of the write limit that was offered, refused included; None: not known."""
        return None if self.load is None else round(100 * self.load.share)

    @property
    def step(self) -> str:
        """Colour class h1 … h5."""
        if self.percent is None:
            return "wait"
        return next(name for least, name in STEPS if self.percent >= least)

    @property
    def ink(self) -> str:
        """Text colour class on that ground."""
        return {"h5": "inv", "h4": "inv", "h3": "h3t"}.get(self.step, "")

    @property
    def is_hot(self) -> bool:
        """Over the limit."""
        return (self.percent or 0) > 100

    @property
    def labelled(self) -> bool:
        """Wide enough for words."""
        return self.width >= LABEL_PERCENT

    @property
    def drawn_width(self) -> float:
        """With a gap to its neighbour."""
        return self.width * 0.986

    @property
    def radius(self) -> float:
        """Of the corners, in pixels: narrow shards would be nothing but corners."""
        return 3 if self.width >= 1.5 else 1

    @property
    def is_tight(self) -> bool:
        """Too narrow for words on a phone."""
        return self.width < TIGHT_PERCENT

    @property
    def is_tight_for_share(self) -> bool:
        """Too narrow for a share with its decimals on a phone."""
        return self.width < TIGHT_FOR_SHARE_PERCENT

    @property
    def y(self) -> int:
        """Of a closed shard's row, in pixels."""
        return 2 + self.row * ROW_HEIGHT

    @property
    def title(self) -> str:
        """All of it in words."""
        if not self.is_open:
            return f"{self.shard.shard_id}: {self.fate}"
        share = "load not known" if self.percent is None else f"{self.percent}% of its write limit"
        return f"{self.shard.shard_id}: {share}"

    @property
    def plain_share(self) -> str:
        """The share as it is written into a cell of a plan; empty where the whole of it would not fit."""
        return self.share_of_space if self.width >= SHARE_PERCENT else ""

    @property
    def plain_title(self) -> str:
        """All of a cell of a plan in words: nothing is known of its load."""
        return f"{self.shard.shard_id}: {self.share_of_space} of the hash key range"

    @property
    def share_of_space(self) -> str:
        """Of the hash key range: 12.5%."""
        return f"{self.width:.3g}%"


@dataclass(frozen=True, slots=True)
class ShardMap:
    """What templates/stream/map.html draws."""

    cells: list[Cell]
    closed: list[Cell]
    rows: int
    hidden: int
    loads_known: bool
    hot: list[Cell] = field(default_factory=list)
    elements_max: int = ELEMENTS_MAX

    @property
    def is_linked(self) -> bool:
        """Is each open shard a link? Link, title and area, and words in the few that are wide."""
        return 4 * len(self.cells) <= self.elements_max

    @property
    def is_titled(self) -> bool:
        """Does each open shard have its title?"""
        return 2 * len(self.cells) <= self.elements_max

    @property
    def has_closed_titles(self) -> bool:
        """Does each closed shard have its title?"""
        return 2 * len(self.closed) <= self.elements_max - _elements_of_open(len(self.cells), self.elements_max)

    @property
    def strips(self) -> list[tuple[str, str]]:
        """Colour class and path of all open shards of that colour, in per cent of the width: where there are too many for
        an element each."""
        by_step: dict[str, list[str]] = {}
        for cell in self.cells:
            by_step.setdefault(cell.step, []).append(
                f"M{cell.left:.4f} 1h{cell.drawn_width:.4f}v52h-{cell.drawn_width:.4f}z"
            )
        return [(step, "".join(parts)) for step, parts in sorted(by_step.items())]

    @property
    def open_y(self) -> int:
        """Top of the open shards."""
        return 6 + self.rows * ROW_HEIGHT

    @property
    def axis_y(self) -> int:
        """Foot of the lines that mark quarters."""
        return self.open_y + 64

    @property
    def height(self) -> int:
        """Of the whole map."""
        return self.open_y + 86

    @property
    def text_y(self) -> int:
        """Base line of the axis."""
        return self.open_y + 80

    @property
    def summary(self) -> str:
        """For those who do not see it."""
        hot = "".join(f" Shard {cell.short} is at {cell.percent} percent of its write limit." for cell in self.hot)
        closed = f" and {words.plural(len(self.closed), 'closed shard')}" if self.closed else ""
        return f"Hash key ranges of {words.plural(len(self.cells), 'open shard')}{closed}.{hot}"


def shard_map(request: TeamRequest, stream: Stream, now_ms: int) -> ShardMap:
    """The stream's shards with the load of the last ten seconds."""
    return draw(list(shown(stream, now_ms)[:SHARDS_MAX]), shard_load(request.team.id, stream.id))


def draw(shards: list[Shard], loads: dict[int, ShardLoad] | None, elements_max: int = ELEMENTS_MAX) -> ShardMap:
    """Open shards in one row at the bottom, closed ones above, the older the higher."""
    cells = [
        _cell(shard, None if loads is None else loads[shard.index].last_10_s if shard.index in loads else IDLE)
        for shard in shards
        if shard.closed_at_ms is None
    ]
    cells.sort(key=lambda cell: int(cell.shard.start_hash))
    closed, rows, hidden = _closed(shards, elements_max - _elements_of_open(len(cells), elements_max))
    hot = [cell for cell in cells if cell.is_hot]
    return ShardMap(cells, closed, rows, hidden, loads is not None, hot, elements_max)


def _elements_of_open(count: int, elements_max: int) -> int:
    return next((each * count for each in (4, 2) if each * count <= elements_max), 0)


def _cell(shard: Shard, load: Load | None = None, row: int = 0, fate: str = "") -> Cell:
    start, end = int(shard.start_hash), int(shard.end_hash) + 1
    return Cell(shard, 100 * start / topology.HASH_SPACE, 100 * (end - start) / topology.HASH_SPACE, load, row, fate)


def _closed(shards: list[Shard], cells_max: int) -> tuple[list[Cell], int, int]:
    """Cells of closed shards, rows used, and how many are left out: of the newest ROWS_MAX generations those are drawn that
    fit into cells_max."""
    children = topology.lineage(shards)
    by_index = {shard.index: shard for shard in shards}
    generation: dict[int, int] = {}
    for shard in sorted(shards, key=lambda s: s.index):
        parents = [generation[p] for p in (shard.parent_index, shard.adjacent_parent_index) if p in generation]
        generation[shard.index] = 1 + max(parents, default=-1)
    closed = [shard for shard in shards if shard.closed_at_ms is not None]
    if not closed:
        return [], 0, 0
    newest = max(generation[shard.index] for shard in closed)
    sizes = Counter(generation[shard.index] for shard in closed)
    first, room = newest + 1, cells_max
    while first > max(0, newest - ROWS_MAX + 1) and sizes[first - 1] <= room:
        first -= 1
        room -= sizes[first]
    drawn = [
        _cell(shard, row=generation[shard.index] - first, fate=_fate(shard, children.get(shard.index, []), by_index))
        for shard in closed
        if generation[shard.index] >= first
    ]
    return drawn, newest - first + 1, len(closed) - len(drawn)


def _fate(shard: Shard, children: list[int], by_index: dict[int, Shard]) -> str:
    """`split 13:40` or `merged 14:09`."""
    assert shard.closed_at_ms is not None
    child = by_index.get(children[0]) if children else None
    how = "merged" if child is not None and child.adjacent_parent_index is not None else "split"
    return f"{how} {words.clock_minutes(shard.closed_at_ms)}"


def of_space(shard: Shard) -> str:
    """The shard's part of the hash key range: 12.5%."""
    return _cell(shard).share_of_space
