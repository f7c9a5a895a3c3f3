"""Settings of the team: name, environment, notifications, what the audit trail records, quotas, export, danger zone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any, cast

from allauth.core import ratelimit
from django import forms
from django.conf import settings as project
from django.contrib import messages
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters

from apps.accounts.bridge import in_thread
from apps.accounts.models import Membership
from apps.capacity.models import QuotaOverride
from apps.delivery.models import DeliveryStream
from apps.gateway.rates import PREFIX
from apps.queues.models import Queue, QueueStatus
from apps.streams.models import Shard, Stream, StreamMode, StreamStatus
from apps.streams.quotas import QUOTAS, Per, Quota
from apps.teams import deleting, members, teams
from apps.teams import export as exporting
from apps.teams.authority import Gone, Refused
from console import asker, calls
from console.pages.shell import TeamRequest, team_page
from console.sign_in.proof import proved_again


@dataclass(frozen=True, slots=True)
class Limit:
    """A quota as the page shows it. used None: it is not counted for the whole team."""

    quota: Quota
    value: int
    default: int
    used: int | None = None

    @property
    def percent(self) -> float:
        """Of the limit."""
        return 100 * (self.used or 0) / self.value if self.value else 0


class SettingsForm(forms.Form):
    """What a team is called, what it is for, and where its news go."""

    name = forms.CharField(max_length=teams.NAME_CHARS_MAX)
    environment = forms.ChoiceField()
    notify = forms.CharField(required=False, max_length=teams.NOTIFY_MAX * (teams.NOTIFY_CHARS_MAX + 1))

    def __init__(self, present: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known = {**teams.ENVIRONMENTS, **({} if present in teams.ENVIRONMENTS else {present: present})}
        self.fields["environment"].choices = list(known.items())  # type: ignore[attr-defined]


class TransferForm(forms.Form):
    """To whom, and the password of who gives it; without one a fresh sign-in stands for it."""

    member = forms.ChoiceField()
    password = forms.CharField(strip=False, max_length=1_024, widget=forms.PasswordInput)

    def __init__(self, others: list[Membership], *args: Any, has_password: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not has_password:
            del self.fields["password"]
        named = [(str(one.pk), one.user.name or one.user.email) for one in others]
        self.fields["member"].choices = named  # type: ignore[attr-defined]


class DeleteForm(forms.Form):
    """The short name, typed."""

    name = forms.CharField(max_length=teams.SLUG_CHARS_MAX)


@team_page("team:read", post="team:write")
def settings(request: TeamRequest) -> HttpResponse:
    """The page. POST changes one part of it."""
    team = request.team
    part = request.POST.get("part", "")
    first = {"name": team.name, "environment": team.environment, "notify": "\n".join(team.notify)}
    form = SettingsForm(team.environment, request.POST if part == "about" else None, initial=first)
    if part == "about" and form.is_valid() and _save(request, form):
        messages.success(request, "Settings saved")
        return redirect("settings", team.slug)
    if part == "audit":
        teams.record_data_calls(asker.by(request), on=request.POST.get("data_calls") == "on")
        messages.success(request, "What the audit trail records was changed. It holds within a second.")
        return redirect("settings", team.slug)
    context = {
        "form": form,
        "records_data": teams.records_data_calls(team),
        "limits": [limit for limit in limits(request) if limit.used is not None],
        "single_sign_on": project.CONFIG,
        "notify_max": teams.NOTIFY_MAX,
        "is_first": deleting.is_first(team),
    }
    return render(request, "team/settings.html", context, status=422 if part else 200)


@team_page("team:read")
def quotas(request: TeamRequest) -> HttpResponse:
    """Every limit of the team; an administrator raises them with `manage.py quotas`."""
    everything = limits(request)
    counts = [limit for limit in everything if not limit.quota.name.startswith(PREFIX)]
    rates = [limit for limit in everything if limit.quota.name.startswith(PREFIX)]
    context = {
        "of_team": [limit for limit in counts if limit.quota.per == Per.ACCOUNT],
        "of_stream": [limit for limit in counts if limit.quota.per == Per.STREAM],
        "rates": rates,
    }
    return render(request, "team/quotas.html", context)


@team_page("team:read")
def export(request: TeamRequest) -> HttpResponse:
    """The team's configuration as one JSON file, as far as whoever asks may see it."""
    text = exporting.pieces(request.team, request.actions, calls.now_ms())
    answer = StreamingHttpResponse(_threaded(text), content_type="application/json")
    answer["Content-Disposition"] = f'attachment; filename="{request.team.slug}.json"'
    answer["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return cast("HttpResponse", answer)


@sensitive_post_parameters("password")
@team_page("team:delete")
def transfer(request: TeamRequest) -> HttpResponse:
    """Make another member the owner, after the password; who has none signs in anew."""
    if not request.user.has_usable_password():
        return proved_again(_transfer_page)(request)
    return _transfer_page(request)


def _transfer_page(request: TeamRequest) -> HttpResponse:
    rows = Membership.objects.filter(team=request.team, user__is_active=True).exclude(pk=request.membership.pk)
    others = list(rows.select_related("user").order_by("user__email"))
    form = TransferForm(others, request.POST or None, has_password=request.user.has_usable_password())
    if request.method == "POST":
        if not ratelimit.consume(request, action="change_password", user=request.user):
            return ratelimit.respond_429(request)
        if form.is_valid() and _is_right(request, form) and (done := _transfer(request, form)):
            messages.success(request, f"{done.user.name or done.user.email} owns the team now. You are an admin.")
            return redirect("settings", request.team.slug)
    context = {"form": form, "others": others, "now_ms": calls.now_ms()}
    return render(request, "team/transfer.html", context, status=422 if request.method == "POST" else 200)


def _is_right(request: TeamRequest, form: TransferForm) -> bool:
    if "password" in form.fields and not request.user.check_password(form.cleaned_data["password"]):
        form.add_error("password", "The password is not right.")
        return False
    return True


@team_page("team:delete")
def delete(request: TeamRequest) -> HttpResponse:
    """Delete the team, after its short name was typed."""
    form = DeleteForm(request.POST or None)
    name = request.team.name
    if request.method == "POST" and form.is_valid():
        try:
            deleting.delete(asker.by(request), form.cleaned_data["name"], calls.runtime())
        except Refused as error:
            asker.put_refused(form, error)
        else:
            messages.success(request, f"The team {name} is deleted. Its audit trail is kept.")
            return redirect("home")
    found = deleting.dependants(request.team, calls.now_ms())
    context = {
        "form": form,
        "dependants": found,
        "blocking": any(one.blocking for one in found),
        "is_first": deleting.is_first(request.team),
    }
    return render(request, "team/delete.html", context, status=422 if request.method == "POST" else 200)


def limits(request: TeamRequest) -> list[Limit]:
    """Every quota with what holds, and what is used of those that are counted for the whole team."""
    region = project.CONFIG.region
    changed = dict(QuotaOverride.objects.filter(team=request.team).values_list("name", "value"))
    used = _used(request)
    return [
        Limit(quota, changed.get(quota.name, quota.default_in(region)), quota.default_in(region), used.get(quota.name))
        for quota in QUOTAS.values()
    ]


def _used(request: TeamRequest) -> dict[str, int]:
    team = request.team
    open_shards = Shard.objects.filter(
        stream__team=team, stream__mode=StreamMode.PROVISIONED, opened_at_ms__isnull=False, closed_at_ms__isnull=True
    )
    mine = Stream.objects.filter(team=team)
    between = [QueueStatus.CREATING, QueueStatus.DELETING]
    return {
        "shards": open_shards.count(),
        "on-demand-streams": mine.filter(mode=StreamMode.ON_DEMAND).count(),
        "streams-creating": mine.filter(status=StreamStatus.CREATING).count(),
        "queues-between": Queue.objects.filter(team=team, status__in=between).count(),
        "delivery-streams": DeliveryStream.objects.filter(team=team, channel_id="").count(),
    }


def _save(request: TeamRequest, form: SettingsForm) -> bool:
    given = form.cleaned_data
    try:
        teams.update(
            asker.by(request),
            given["name"],
            given["environment"],
            given["notify"].splitlines(),
            allow_private=project.CONFIG.outgoing_private,
        )
    except Refused as error:
        asker.put_refused(form, error)
        return False
    return True


def _transfer(request: TeamRequest, form: TransferForm) -> Membership | None:
    try:
        target = members.member_of(request.team, int(form.cleaned_data["member"]))
        return members.transfer(asker.by(request), target)
    except Gone as error:
        form.add_error("member", str(error))
    except Refused as error:
        asker.put_refused(form, error)
    return None


async def _threaded(text: Iterator[str]) -> AsyncIterator[str]:
    """A piece at a time, made on a thread: the loop never waits for the database."""
    while (piece := await in_thread(next, text, "")) != "":
        yield piece
