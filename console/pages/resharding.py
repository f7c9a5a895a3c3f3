"""Split, merge, and change the number of shards: a preview of before and after, then the one call that does it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render

from apps.accounts.permissions import allowed
from apps.base.errors import ServiceError
from apps.streams import topology
from apps.streams.models import Shard, Stream, StreamMode
from apps.streams.operations.shards import shown
from console import calls
from console.pages import costs, words
from console.pages.hot_keys import samples
from console.pages.page_rows import around
from console.pages.shard_map import ELEMENTS_OF_TWO, SHARDS_MAX, ShardMap, draw
from console.pages.shell import TeamRequest, team_page
from console.pages.stream import find, frame

FIELDS = {
    "NewStartingHashKey": "at",
    "ShardToSplit": "shard",
    "TargetShardCount": "count",
    "LimitExceededException": "count",
    "InvalidArgumentException": "count",
}


@team_page("stream:reshard")
def split(request: TeamRequest, name: str) -> HttpResponse:
    """Split one shard, evenly or at a hash key."""
    stream, opened = _provisioned(request, name)
    shard = _chosen(opened, request.GET.get("shard") or request.POST.get("shard"))
    parent = _range(shard)
    middle = topology.middle(parent)
    sample = samples.of(calls.runtime(), shard)
    busy_at = sample.middle(parent)
    form = SplitForm(
        parent,
        busy_at,
        request.POST or None,
        initial={"how": request.GET.get("how", "evenly"), "at": request.GET.get("at") or middle or ""},
    )
    if request.method == "POST" and form.is_valid():
        at = {"evenly": middle, "load": busy_at}.get(form.cleaned_data["how"], form.cleaned_data["at"])
        fields = {**FIELDS, "InvalidArgumentException": "at"}
        params = {"ShardToSplit": shard.shard_id, "NewStartingHashKey": str(at)}
        if _done(request, form, "SplitShard", name, fields, params):
            messages.success(request, f"Splitting shard {shard.index:04d}")
            return redirect("stream-shards", request.team.slug, name)
    at = form.chosen(middle)
    after = _after(stream, opened, [topology.Step(topology.Kind.SPLIT, at)] if at else [])
    context = {
        "form": form,
        "shard": shard,
        "middle": middle,
        "busy_at": busy_at,
        "hot": sample.hot if allowed(request.actions, "record:read") else [],
        "opened": around(opened, opened.index(shard)),
        "before": draw(opened, {}, ELEMENTS_OF_TWO),
        "mark": _percent(at) if at else None,
        "after": after,
        "shards_after": len(opened) + 1,
    }
    return _page(request, stream, "stream/split.html", context, f"Split shard {shard.index:04d}")


class SplitForm(forms.Form):
    """Where to split."""

    how = forms.ChoiceField(
        choices=[("evenly", "Evenly"), ("load", "By load"), ("at", "At a hash key")], initial="evenly"
    )
    at = forms.CharField(required=False, max_length=39)

    def __init__(self, parent: topology.Range, busy_at: int | None, *args: Any, **kwargs: Any) -> None:
        self.parent, self.busy_at = parent, busy_at
        super().__init__(*args, **kwargs)

    def clean_how(self) -> str:
        """By load only if the load can be divided."""
        how: str = self.cleaned_data["how"]
        if how == "load" and self.busy_at is None:
            raise forms.ValidationError(
                "The load of the last minute cannot be divided: it is of one key, or there is none."
            )
        return how

    def clean_at(self) -> str:
        """A whole number inside the shard; AWS's own rule is checked again by the operation."""
        text = self.cleaned_data["at"].strip()
        if self.cleaned_data.get("how") != "at":
            return text
        if not (text.isascii() and text.isdigit()):
            raise forms.ValidationError("Write the hash key as a whole number.")
        if not topology.may_split(self.parent, int(text)):
            raise forms.ValidationError(f"It must lie between {self.parent[0] + 2} and {self.parent[1] - 1}.")
        return str(int(text))

    def chosen(self, middle: int | None) -> int | None:
        """Where the preview splits: as typed if that is possible, else in the middle."""
        if self["how"].value() == "load" and self.busy_at is not None:
            return self.busy_at
        text = str(self["at"].value() or "")
        if (
            self["how"].value() == "at"
            and text.isascii()
            and text.isdigit()
            and topology.may_split(self.parent, int(text))
        ):
            return int(text)
        return middle


@team_page("stream:reshard")
def merge(request: TeamRequest, name: str) -> HttpResponse:
    """Merge a shard with its upper neighbour."""
    stream, opened = _provisioned(request, name)
    lower = _chosen(opened, request.GET.get("shard") or request.POST.get("shard"))
    pairs = _neighbours(opened)
    upper = dict(pairs).get(lower) or (pairs[0][1] if pairs else None)
    if upper is None:
        raise Http404("a single shard has no neighbour")
    if lower not in dict(pairs):
        lower = next(low for low, high in pairs if high == lower)
        upper = dict(pairs)[lower]
    form = forms.Form(request.POST or None)
    if request.method == "POST" and form.is_valid():
        params = {"ShardToMerge": lower.shard_id, "AdjacentShardToMerge": upper.shard_id}
        if _done(request, form, "MergeShards", name, {}, params):
            messages.success(request, f"Merging shards {lower.index:04d} and {upper.index:04d}")
            return redirect("stream-shards", request.team.slug, name)
    after = _after(stream, opened, [topology.Step(topology.Kind.MERGE, int(upper.start_hash))])
    context = {
        "form": form,
        "lower": lower,
        "upper": upper,
        "pairs": around(pairs, pairs.index((lower, upper))),
        "after": after,
    }
    context |= {"before": draw(opened, {}, ELEMENTS_OF_TWO), "shards_after": len(opened) - 1}
    return _page(request, stream, "stream/merge.html", context, f"Merge shards {lower.index:04d} and {upper.index:04d}")


class CountForm(forms.Form):
    """How many."""

    count = forms.IntegerField(min_value=1, max_value=10_000)


@team_page("stream:reshard")
def count(request: TeamRequest, name: str) -> HttpResponse:
    """UpdateShardCount: even ranges for another number of shards."""
    stream, opened = _provisioned(request, name)
    now = len(opened)
    asked = request.POST if request.method == "POST" else request.GET if "count" in request.GET else None
    form = CountForm(asked, initial={"count": min(2 * now, 10_000)})
    wanted = form.cleaned_data["count"] if form.is_valid() else form.initial["count"]
    if request.method == "POST" and form.is_valid():
        params = {"TargetShardCount": wanted, "ScalingType": "UNIFORM_SCALING"}
        if _done(request, form, "UpdateShardCount", name, FIELDS, params):
            messages.success(request, f"Going from {words.plural(now, 'shard')} to {wanted}")
            return redirect("stream-shards", request.team.slug, name)
    steps = topology.uniform_steps(sorted(_range(s) for s in opened), wanted) if wanted <= SHARDS_MAX else []
    context = {
        "form": form,
        "now": now,
        "wanted": wanted,
        "least": -(-now // 2),
        "most": min(2 * now, 10_000),
        "steps": len(steps),
        "before": draw(opened, {}, ELEMENTS_OF_TWO),
        "after": _after(stream, opened, steps),
        "shards_after": wanted,
    }
    return _page(request, stream, "stream/count.html", context, "Change the number of shards")


def _provisioned(request: TeamRequest, name: str) -> tuple[Any, list[Shard]]:
    """The stream and its open shards by hash key. 404 for an on-demand one: it has no such page."""
    stream = find(request, name)
    if stream.mode != StreamMode.PROVISIONED:
        raise Http404("an on-demand stream changes its shards by itself")
    opened = [shard for shard in shown(stream, calls.now_ms()) if shard.closed_at_ms is None]
    if not opened:
        raise Http404("no shards yet")
    return stream, sorted(opened, key=lambda shard: int(shard.start_hash))


def _chosen(opened: list[Shard], text: str | None) -> Shard:
    """The open shard of that number; the first if none is named. 404 for one that is not open."""
    if not text:
        return opened[0]
    for shard in opened:
        if text in {str(shard.index), f"{shard.index:04d}", shard.shard_id}:
            return shard
    raise Http404("not an open shard")


def _neighbours(opened: list[Shard]) -> list[tuple[Shard, Shard]]:
    return [(low, high) for low, high in pairwise(opened) if topology.adjacent(_range(low), _range(high))]


def _percent(hash_key: int) -> float:
    """Its place on the hash key range."""
    return 100 * hash_key / topology.HASH_SPACE


def _range(shard: Shard) -> topology.Range:
    return int(shard.start_hash), int(shard.end_hash)


def _done(
    request: TeamRequest, form: forms.Form, operation: str, name: str, fields: dict[str, str], params: dict[str, Any]
) -> bool:
    """Call it; an error is written into the form."""
    try:
        calls.call(request, operation, StreamName=name, **params)
    except ServiceError as error:
        calls.put_error(form, error, {k: v for k, v in fields.items() if v in form.fields})
        return False
    return True


@dataclass(frozen=True, slots=True)
class Planned:
    """Stands for a shard that a plan would open; drawn like one."""

    index: int
    start_hash: str
    end_hash: str
    closed_at_ms: None = None
    parent_index: None = None
    adjacent_parent_index: None = None

    @property
    def shard_id(self) -> str:
        """As AWS will name it."""
        return f"shardId-{self.index:012d}"


def _after(stream: Stream, opened: list[Shard], steps: list[topology.Step]) -> ShardMap:
    """The map when the steps are done. New shards get the numbers that the steps will give them."""
    held: dict[topology.Range, Any] = {_range(shard): shard for shard in opened}
    number = stream.next_shard_index
    for step in steps:
        parents = topology.parents_of(step, sorted(held))
        children = topology.children_of(step, parents) if parents else []
        for parent in parents:
            del held[parent]
        for start, end in children:
            held[start, end] = Planned(number, str(start), str(end))
            number += 1
    return draw(list(held.values()), {}, ELEMENTS_OF_TWO)


def _page(request: TeamRequest, stream: Any, template: str, context: dict[str, Any], title: str) -> HttpResponse:
    status = 422 if request.method == "POST" else 200
    if costs.may_see(request):
        now = costs.plan_of(request, stream)
        context["cost"] = costs.change(request, now, now.changed(shards=context["shards_after"]))
    return render(
        request, template, {**frame(request, stream, "stream-shards"), **context, "title": title}, status=status
    )
