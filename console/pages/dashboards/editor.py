"""A dashboard is changed by forms: add a chart or a text, move, widen, remove; or the whole as JSON.

Each change is a PutDashboard of the body with one part changed, so that what somebody else's program wrote into it stays.
`seen` is the body that the page was made of: who changes it meanwhile wins, and is not overwritten.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from apps.base.errors import ServiceError
from apps.cloudwatch.dashboards import COLUMNS, HEIGHT, WIDTH, Flow, Widget
from apps.cloudwatch.models import Dashboard
from apps.delivery.models import DeliveryStream
from apps.metrics import firehose, names
from apps.streams.models import Stream
from console import calls
from console.pages.alarms import rules
from console.pages.alarms.form import STREAMS_OFFERED, metrics_of
from console.pages.alarms.rules import STATISTICS
from console.pages.dashboards.pages import find, read
from console.pages.shell import TeamRequest, team_page

WIDTHS = {6: "Quarter", 8: "Third", 12: "Half", 24: "Whole row"}
MOVES = ("up", "down", "wider", "narrower", "remove")
METRICS_MAX = 6
TITLE_MAX, TEXT_MAX = 120, 8_000

Json = dict[str, Any]


class ChartForm(forms.Form):
    """A chart of one stream's metrics, or of one metric of several streams."""

    title = forms.CharField(max_length=TITLE_MAX, required=False)
    of = forms.MultipleChoiceField()
    metrics = forms.MultipleChoiceField()
    statistic = forms.ChoiceField(choices=list(STATISTICS.items()), initial="Sum")
    width = forms.TypedChoiceField(choices=list(WIDTHS.items()), coerce=int, initial=12)

    def __init__(self, data: Any, *, streams: list[str], deliveries: dict[str, str]) -> None:
        super().__init__(data)
        self.deliveries = deliveries
        groups = [
            ("Data streams", [(f"stream/{name}", name) for name in streams]),
            ("Delivery streams", [(f"delivery/{name}", name) for name in deliveries]),
        ]
        self.fields["of"].choices = [group for group in groups if group[1]]  # type: ignore[attr-defined]
        kinds = [("Of data streams", [(f"stream/{key}", text) for key, text in rules.choices_of("stream")])]
        delivered = {key: text for kind in deliveries.values() for key, text in metrics_of("delivery", kind)}
        if delivered:
            kinds.append(("Of delivery streams", [(f"delivery/{key}", text) for key, text in delivered.items()]))
        self.fields["metrics"].choices = kinds  # type: ignore[attr-defined]
        for name in ("of", "metrics"):
            self.fields[name].widget.attrs |= {"class": "input", "size": 8}

    def clean(self) -> Json:
        """Lines are each metric of each stream of its kind."""
        given = super().clean() or self.cleaned_data
        lines = self.lines() if given.get("of") and given.get("metrics") else []
        if given.get("of") and given.get("metrics") and not lines:
            self.add_error("metrics", "Data streams have other metrics than delivery streams: choose of the same kind.")
        elif len(lines) > METRICS_MAX:
            self.add_error("metrics", f"That makes {len(lines)} lines. {METRICS_MAX} can be told apart at most.")
        return given

    def lines(self) -> list[list[Any]]:
        """As a widget has them."""
        found = []
        for one in self.cleaned_data["of"]:
            kind, _, name = one.partition("/")
            for metric in self.cleaned_data["metrics"]:
                of_kind, _, metric_name = metric.partition("/")
                if of_kind == kind:
                    found.append(self._line(kind, name, metric_name))
        return found

    def _line(self, kind: str, name: str, metric: str) -> list[Any]:
        words = rules.label_of(metric)
        many_metrics = len(self.cleaned_data["metrics"]) > 1
        if len(self.cleaned_data["of"]) > 1:
            words = f"{name}, {words.lower()}" if many_metrics else name
        namespace = firehose.NAMESPACE if kind == "delivery" else names.NAMESPACE
        dimension = "DeliveryStreamName" if kind == "delivery" else "StreamName"
        return [namespace, metric, dimension, name, {"label": words}]

    def widget(self) -> Json:
        """As PutDashboard takes it."""
        given = self.cleaned_data
        title = given["title"] or (
            given["of"][0].partition("/")[2]
            if len(given["of"]) == 1
            else rules.label_of(given["metrics"][0].partition("/")[2])
        )
        properties = {"title": title, "stat": given["statistic"], "metrics": self.lines()}
        return {"type": "metric", "width": given["width"], "height": HEIGHT, "properties": properties}


class TextForm(forms.Form):
    """A text."""

    markdown = forms.CharField(max_length=TEXT_MAX, widget=forms.Textarea)

    def widget(self) -> Json:
        """As PutDashboard takes it."""
        return {
            "type": "text",
            "width": COLUMNS,
            "height": 2,
            "properties": {"markdown": self.cleaned_data["markdown"]},
        }


class SourceForm(forms.Form):
    """The whole body."""

    body = forms.CharField(widget=forms.Textarea)


@team_page("alarm:write")
def edit(request: TeamRequest, name: str) -> HttpResponse:
    """The editor; POST makes one change."""
    found = find(request, name)
    part = request.POST.get("part", "")
    chart = _chart_form(request, request.POST if part == "chart" else None)
    text = TextForm(request.POST if part == "text" else None)
    source = SourceForm(request.POST if part == "source" else None, initial={"body": _pretty(found.body)})
    used = {"chart": chart, "text": text, "source": source}.get(part)
    if request.method == "POST":
        if request.POST.get("seen") != digest(found.body):
            messages.error(request, "Somebody has changed this dashboard meanwhile. Look at it and try again.")
            return redirect("dashboard-edit", request.team.slug, name)
        changed = _changed(request, found, used)
        if changed is not None and _put(request, found, changed, used):
            return redirect("dashboard-edit", request.team.slug, name)
    context = {
        "name": name, "chart": chart, "text_form": text, "source": source, "seen": digest(found.body),
        "widgets": [(n, _title(widget), widget) for n, widget in _read_in_order(found.body)], "part": part,
    }  # fmt: skip
    return render(request, "dashboards/edit.html", context, status=422 if request.method == "POST" else 200)


def digest(body: str) -> str:
    """Tells one body from another."""
    return hashlib.sha256(body.encode()).hexdigest()[:16]


def _chart_form(request: TeamRequest, data: Any) -> ChartForm:
    streams = Stream.objects.filter(team=request.team).order_by("name").values_list("name", flat=True)
    rows = DeliveryStream.objects.filter(team=request.team, channel_id="").order_by("name")
    deliveries = dict(rows.values_list("name", "destination_type")[:STREAMS_OFFERED])
    return ChartForm(data, streams=list(streams[:STREAMS_OFFERED]), deliveries=deliveries)


def _read_in_order(body: str) -> list[tuple[int, Widget]]:
    """Widgets as they lie, each with its number in the body."""
    numbered = list(enumerate(read(body).widgets))
    return sorted(numbered, key=lambda pair: (pair[1].place[1], pair[1].place[0]))


def _title(widget: Widget) -> str:
    if widget.kind == "text":
        first = widget.text.strip().partition("\n")[0].lstrip("# ")
        return first[:80] or "Text"
    return widget.title or "Chart"


def _changed(request: TeamRequest, found: Dashboard, form: Any) -> str | None:
    """The body after the change; None if the form is wrong or there is nothing to do."""
    if form is not None and not form.is_valid():
        return None
    if isinstance(form, SourceForm):
        return str(form.cleaned_data["body"])
    said = msgspec.json.decode(found.body)
    order = [n for n, _ in _read_in_order(found.body)]
    widgets: list[Json] = [said["widgets"][n] for n in order]
    if form is not None:
        widgets.append(form.widget())
    elif not _move(widgets, request.POST.get("move", "")):
        return None
    _lay_out(widgets)
    return msgspec.json.encode({**said, "widgets": widgets}).decode()


def _move(widgets: list[Json], wanted: str) -> bool:
    """`up-3`: the fourth widget one place earlier."""
    how, _, number = wanted.partition("-")
    if how not in MOVES or not number.isdigit() or len(number) > 5 or int(number) >= len(widgets):
        return False
    at = int(number)
    if how == "remove":
        del widgets[at]
    elif how in {"up", "down"}:
        other = at - 1 if how == "up" else at + 1
        if 0 <= other < len(widgets):
            widgets[at], widgets[other] = widgets[other], widgets[at]
    else:
        sizes, now = sorted(WIDTHS), widgets[at].get("width", WIDTH)
        fitting = (
            [size for size in sizes if size > now] if how == "wider" else [size for size in sizes[::-1] if size < now]
        )
        widgets[at]["width"] = fitting[0] if fitting else now
    return True


def _lay_out(widgets: list[Json]) -> None:
    """Side by side as far as there is room, then the next row."""
    flow = Flow()
    for widget in widgets:
        bare = {name: value for name, value in widget.items() if name not in {"x", "y"}}
        placed = flow.placed(bare)
        widget |= {"x": placed["x"], "y": placed["y"]}


def _put(request: TeamRequest, found: Dashboard, body: str, form: Any) -> bool:
    try:
        answer = calls.cloudwatch(request, "PutDashboard", DashboardName=found.name, DashboardBody=body)
    except ServiceError as error:
        told = error.members.get("dashboardValidationMessages") or [
            {"DataPath": "", "Message": error.message or error.code}
        ]
        lines = [f"{one['DataPath']}: {one['Message']}".removeprefix(": ") for one in told]
        if form is None:
            messages.error(request, lines[0])
            return True
        form.add_error("body" if isinstance(form, SourceForm) else None, lines)
        return False
    for one in answer["DashboardValidationMessages"]:
        messages.warning(request, f"{one['DataPath']}: {one['Message']}")
    messages.success(request, "Saved")
    return True


def _pretty(body: str) -> str:
    return msgspec.json.format(body, indent=2)
