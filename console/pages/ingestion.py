"""Import of a file into a stream, and replay of a stream's past into another: asking for a job, and watching it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from apps.accounts.permissions import allowed
from apps.base.errors import ServiceError
from apps.base.units import MIB
from apps.streams import ingestion
from apps.streams.models import Ingestion, IngestionKind, IngestionStatus, Stream
from apps.teams import jobs as asked
from console import calls
from console.pages.page_rows import PLAIN_ROWS
from console.pages.records import parse_time
from console.pages.shell import TeamRequest, forbidden, is_fragment, team_page
from console.rsgi_to_asgi import BODY_BYTES_MAX

STREAMS_OFFERED = 1_000

UPLOAD_BYTES_MAX = BODY_BYTES_MAX - MIB
"""A file, with room for the rest of the form."""

KEYS = [("line", "The line's number"), ("field", "A field of the line"), ("text", "One text for all")]


class ImportForm(forms.Form):
    """A file, its stream, and where each line's partition key comes from."""

    target = forms.ChoiceField()
    file = forms.FileField(allow_empty_file=False)
    key = forms.ChoiceField(choices=KEYS, initial="line")
    key_field = forms.IntegerField(min_value=1, max_value=1_000, initial=1, required=False)
    key_text = forms.CharField(max_length=256, required=False)

    def clean(self) -> dict[str, Any]:
        """The chosen kind of key needs its value."""
        given = super().clean() or self.cleaned_data
        if given.get("key") == "field" and not given.get("key_field") and "key_field" not in self.errors:
            self.add_error("key_field", "Which field? The first is 1.")
        if given.get("key") == "text" and not given.get("key_text"):
            self.add_error("key_text", "Write the partition key.")
        return given


class ReplayForm(forms.Form):
    """A stream, a time range, and where its records go."""

    source = forms.ChoiceField()
    target = forms.ChoiceField()
    from_time = forms.CharField(max_length=30)
    to_time = forms.CharField(max_length=30, required=False)

    def clean_from_time(self) -> int:
        """UTC milliseconds."""
        return _time(self.cleaned_data["from_time"])

    def clean_to_time(self) -> int | None:
        """UTC milliseconds; None: until now."""
        text = self.cleaned_data["to_time"]
        return _time(text) if text else None


def _time(text: str) -> int:
    at_ms = parse_time(text.strip())
    if at_ms is None:
        raise forms.ValidationError("Write a time like 2026-11-20T14:31, in UTC.")
    return at_ms


@team_page("stream:read")
def jobs(request: TeamRequest) -> HttpResponse:
    """The jobs, newest first; the list renews itself while one of the page is under way."""
    found = Ingestion.objects.filter(team=request.team).order_by("-created_at_ms", "-id")
    page = Paginator(found, PLAIN_ROWS).get_page(request.GET.get("page"))
    context = {
        "jobs": [Job(row) for row in page],
        "page": page,
        "busy": any(row.status in ingestion.UNFINISHED for row in page),
        "now_ms": calls.now_ms(),
    }
    return render(request, "ingestion/table.html" if is_fragment(request) else "ingestion/jobs.html", context)


class Job:
    """A job as it is shown."""

    def __init__(self, row: Ingestion) -> None:
        self.row = row

    @property
    def source(self) -> str:
        """The file's or the stream's name."""
        return str(self.row.source["name"])

    @property
    def is_replay(self) -> bool:
        """Reads a stream."""
        return self.row.kind == IngestionKind.REPLAY

    @property
    def percent(self) -> int:
        """How much of the source is done."""
        if self.row.status == IngestionStatus.COMPLETE:
            return 100
        return min(99, 100 * self.row.done // self.row.total) if self.row.total else 0

    @property
    def state(self) -> tuple[str, str]:
        """Form of the mark, and the words."""
        return {
            IngestionStatus.WAITING: ("busy", "Waiting"),
            IngestionStatus.RUNNING: ("busy", "Running"),
            IngestionStatus.COMPLETE: ("ok", "Complete"),
            IngestionStatus.FAILED: ("bad", "Failed"),
            IngestionStatus.CANCELLED: ("off", "Cancelled"),
        }[IngestionStatus(self.row.status)]

    @property
    def is_unfinished(self) -> bool:
        """May be cancelled."""
        return self.row.status in ingestion.UNFINISHED


@team_page("record:write")
def import_file(request: TeamRequest) -> HttpResponse:
    """Upload a file; each of its lines becomes a record."""
    initial = {"target": request.GET.get("target", "")}
    form = ImportForm(request.POST or None, request.FILES or None, initial=initial)
    _offer(request, form, "target")
    if request.method == "POST" and form.is_valid():
        try:
            job = _start_import(request, form.cleaned_data)
        except ServiceError as error:
            calls.put_error(form, error, {error.code: "target"})
        except OSError as error:
            form.add_error("file", f"The file could not be kept: {error.strerror}.")
        else:
            return redirect("ingestion-job", request.team.slug, job.pk)
    context = {"form": form, "file_bytes_max": UPLOAD_BYTES_MAX}
    return render(request, "ingestion/import.html", context, status=422 if request.method == "POST" else 200)


def _start_import(request: TeamRequest, given: dict[str, Any]) -> Ingestion:
    file = given["file"]
    path = ingestion.upload(calls.runtime().config, file)
    try:
        return asked.start_import(
            calls.actor(request),
            request.team,
            given["target"],
            path,
            file.name,
            key=given["key_text"] if given["key"] == "text" else "",
            key_field=given["key_field"] if given["key"] == "field" else 0,
        )
    except ServiceError:
        path.unlink(missing_ok=True)
        raise


@team_page("record:write")
def replay(request: TeamRequest) -> HttpResponse:
    """Put what arrived in a stream within a time range into another one. Needs to read the one and write the other."""
    if not allowed(request.actions, "record:read"):
        return forbidden(request, "record:read")
    form = ReplayForm(request.POST or None)
    names = _offer(request, form, "source", "target")
    asked_for = request.GET.get("source", "")
    source = asked_for if asked_for in names else next(iter(names), "")
    form.initial = {"source": source, "target": next((name for name in names if name != source), "")}
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            job = asked.start_replay(
                calls.actor(request),
                request.team,
                given["source"],
                given["target"],
                given["from_time"],
                given["to_time"],
            )
        except ServiceError as error:
            calls.put_error(form, error, {"InvalidArgumentException": "target", "ResourceInUseException": "target"})
        else:
            return redirect("ingestion-job", request.team.slug, job.pk)
    return render(request, "ingestion/replay.html", {"form": form}, status=422 if request.method == "POST" else 200)


def _offer(request: TeamRequest, form: forms.Form, *fields: str) -> list[str]:
    """Let the fields choose among the team's streams, whose names it answers."""
    rows = Stream.objects.filter(team=request.team).order_by("name").values_list("name", flat=True)
    names = list(rows[:STREAMS_OFFERED])
    for field in fields:
        form.fields[field].choices = [(name, name) for name in names]  # type: ignore[attr-defined]
    return names


def _find(request: TeamRequest, job: int) -> Ingestion:
    found = Ingestion.objects.filter(team=request.team, pk=job).first() if job < 2**63 else None
    if found is None:
        raise Http404("no such job")
    return found


@team_page("stream:read")
def job(request: TeamRequest, job: int) -> HttpResponse:
    """One job and its progress; renews itself until the job has ended."""
    found = _find(request, job)
    target = Stream.objects.filter(pk=found.target_id).first() if found.target_id else None
    context = {"job": Job(found), "target": target, "now_ms": calls.now_ms()}
    return render(request, "ingestion/progress.html" if is_fragment(request) else "ingestion/job.html", context)


@require_POST
@team_page("record:write")
def cancel(request: TeamRequest, job: int) -> HttpResponse:
    """Stop a job. What it has put stays."""
    if asked.cancel_ingestion(calls.actor(request), _find(request, job)):
        messages.success(request, "The job is cancelled. What it has put stays in the stream.")
    else:
        messages.error(request, "The job had ended already.")
    return redirect("ingestion-job", request.team.slug, job)
