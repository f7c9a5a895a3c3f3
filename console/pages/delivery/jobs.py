"""Jobs of a delivery stream: demo data, and the redrive of failed records; asked for, watched, stopped."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from apps.base.errors import ServiceError
from apps.delivery import demo as demo_data
from apps.delivery import jobs as work
from apps.delivery import redrive as failed
from apps.delivery.destinations.interface import DeliveryFailed
from apps.delivery.models import DeliveryJob, JobKind, JobStatus
from apps.teams import jobs as asked
from console import calls
from console.pages.delivery.detail import find, frame
from console.pages.records import parse_time
from console.pages.shell import TeamRequest, is_fragment, team_page

JOBS_SHOWN = 20
OBJECTS_LISTED = 100
RATES = {1: "1 record/s", 10: "10 records/s", 50: "50 records/s", 100: "100 records/s", 1000: "1,000 records/s"}


class DemoForm(forms.Form):
    """How fast, and how many."""

    rate = forms.TypedChoiceField(choices=list(RATES.items()), coerce=int, initial=50)
    total = forms.IntegerField(min_value=1, max_value=demo_data.RECORDS_MAX, initial=3_000)


class Job:
    """A job as it is shown."""

    def __init__(self, row: DeliveryJob) -> None:
        self.row = row

    @property
    def words(self) -> str:
        """What it does."""
        return "Demo data" if self.row.kind == JobKind.DEMO else "Redrive"

    @property
    def percent(self) -> int:
        """How much of it is done."""
        if self.row.status == JobStatus.COMPLETE:
            return 100
        return min(99, 100 * self.row.done // self.row.total) if self.row.total else 0

    @property
    def state(self) -> tuple[str, str]:
        """Form of the mark, and the words."""
        return {
            JobStatus.WAITING: ("busy", "Waiting"),
            JobStatus.RUNNING: ("busy", "Running"),
            JobStatus.COMPLETE: ("ok", "Complete"),
            JobStatus.FAILED: ("bad", "Failed"),
            JobStatus.CANCELLED: ("off", "Stopped"),
        }[JobStatus(self.row.status)]

    @property
    def is_unfinished(self) -> bool:
        """May be stopped."""
        return self.row.status in work.UNFINISHED


@team_page("delivery:read")
def jobs(request: TeamRequest, name: str) -> HttpResponse:
    """The newest jobs, for htmx the table alone; it renews itself while one is under way."""
    row = find(request, name)
    context = listed(row)
    if is_fragment(request):
        return render(request, "delivery/jobs_table.html", {**context, "delivery": row})
    return render(request, "delivery/jobs.html", {**frame(request, row, "delivery-errors"), **context})


def listed(row: Any) -> dict[str, Any]:
    """Context of the table of jobs."""
    found = DeliveryJob.objects.filter(delivery_stream=row).order_by("-pk")[:JOBS_SHOWN]
    shown = [Job(one) for one in found]
    return {"jobs": shown, "jobs_busy": any(job.is_unfinished for job in shown), "now_ms": calls.now_ms()}


@team_page("record:write")
def demo(request: TeamRequest, name: str) -> HttpResponse:
    """The form; POST begins."""
    row = find(request, name)
    form = DemoForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            asked.start_demo_data(calls.actor(request), row, form.cleaned_data["rate"], form.cleaned_data["total"])
        except ServiceError as error:
            calls.put_error(form, error, {})
        else:
            messages.success(request, f"Demo data are on their way to {name}")
            return redirect("delivery-stream", request.team.slug, name)
    context = {
        **frame(request, row, "delivery-stream"),
        "form": form,
        "example": b"".join(demo_data.records(0, 0, 3)).decode().splitlines(),
        "total_max": demo_data.RECORDS_MAX,
    }
    return render(request, "delivery/demo.html", context, status=422 if request.method == "POST" else 200)


class RedriveForm(forms.Form):
    """Which failed records."""

    error_type = forms.CharField(max_length=100, required=False)
    from_time = forms.CharField(max_length=30, required=False)
    to_time = forms.CharField(max_length=30, required=False)

    def clean_from_time(self) -> int:
        """UTC milliseconds; 0: from the first."""
        return _time(self.cleaned_data["from_time"]) or 0

    def clean_to_time(self) -> int | None:
        """UTC milliseconds; None: until now."""
        return _time(self.cleaned_data["to_time"])


def _time(text: str) -> int | None:
    if not text.strip():
        return None
    at_ms = parse_time(text.strip())
    if at_ms is None:
        raise forms.ValidationError("Write a time like 2026-11-20T14:31, in UTC.")
    return at_ms


@team_page("delivery:write")
def redrive(request: TeamRequest, name: str) -> HttpResponse:
    """What lies under the error prefix; POST asks for it to be delivered once more."""
    row = find(request, name)
    form = RedriveForm(
        request.POST if request.method == "POST" else None, initial={"error_type": request.GET.get("type", "")}
    )
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            asked.start_redrive(calls.actor(request), row, given["error_type"], given["from_time"], given["to_time"])
        except ServiceError as error:
            form.add_error(
                "error_type" if "error-output-type" in (error.message or "") else None, error.message or error.code
            )
        else:
            messages.success(request, f"Failed records of {name} are being delivered once more")
            return redirect("delivery-jobs", request.team.slug, name)
    lying, problem = _lying(row)
    context = {
        **frame(request, row, "delivery-errors"),
        "form": form,
        "objects": lying.objects,
        "may_be_more": not lying.is_all,
        "problem": problem,
        "running": DeliveryJob.objects.filter(
            delivery_stream=row, kind=JobKind.REDRIVE, status__in=work.UNFINISHED
        ).exists(),
    }
    return render(request, "delivery/redrive.html", context, status=422 if request.method == "POST" else 200)


def _lying(row: Any) -> tuple[failed.Lying, str]:
    """Objects of failed records, or why they cannot be listed."""
    try:
        return failed.found(calls.runtime(), row, limit=OBJECTS_LISTED), ""
    except DeliveryFailed as error:
        return failed.Lying([], is_all=False), f"{error.code}: {error.message}"


@require_POST
@team_page("delivery:write")
def cancel(request: TeamRequest, name: str, job: int) -> HttpResponse:
    """Stop a job. What it has done stays."""
    row = find(request, name)
    found = DeliveryJob.objects.filter(delivery_stream=row, pk=job).first() if job < 2**63 else None
    if found is None:
        raise Http404("no such job")
    if asked.cancel_delivery_job(calls.actor(request), found):
        messages.success(request, "Stopped. What was done stays.")
    else:
        messages.error(request, "It had ended already.")
    where = "delivery-stream" if found.kind == JobKind.DEMO else "delivery-errors"
    return redirect(where, request.team.slug, name)
