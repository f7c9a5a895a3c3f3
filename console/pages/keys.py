"""Access keys: what AWS clients sign with. A secret is shown once, on the page that answers its creation."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_POST

from apps.accounts.keys import KEYS_PER_TEAM_MAX, is_over, works
from apps.accounts.models import AccessKey
from apps.accounts.secrets import SecretUnreadable, decrypt
from apps.base.units import DAY_MS, HOUR_MS
from apps.teams import keys as access_keys
from apps.teams.authority import Gone, Refused
from console import asker, calls
from console.pages import samples, words
from console.pages.name_form import NameForm
from console.pages.page_rows import RICH_ROWS
from console.pages.shell import TeamRequest, team_page

TEXT_CHARS_MAX = 128

OVERLAPS: Final = {
    0: "Now: the old key stops within a second",
    HOUR_MS: "After 1 hour",
    DAY_MS: "After 1 day",
    7 * DAY_MS: "After 7 days",
    30 * DAY_MS: "After 30 days",
}
"""When the old key stops, from the rotation on."""

UNUSED_MS = 90 * DAY_MS
"""A key that nobody used for so long is pointed out."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the list. state: mark and word."""

    key: AccessKey
    now_ms: int

    @property
    def works(self) -> bool:
        """May clients sign with it now?"""
        return works(self.key, self.now_ms)

    @property
    def is_over(self) -> bool:
        """Was it replaced, and is the overlap over?"""
        return is_over(self.key, self.now_ms)

    @property
    def is_ending(self) -> bool:
        """Is it being replaced?"""
        return self.works and self.key.ends_at_ms is not None

    @property
    def ends_in(self) -> str:
        """`23 h`, of one that is ending."""
        return words.duration((self.key.ends_at_ms or 0) - self.now_ms)

    @property
    def is_unused(self) -> bool:
        """Does it work though nobody used it for long?"""
        return self.works and self.now_ms - (self.key.last_used_at_ms or self.key.created_at_ms) > UNUSED_MS

    @property
    def owner(self) -> str:
        """The team, or the IAM user."""
        return f"User {self.key.identity.name}" if self.key.identity is not None else "The team"

    @property
    def scope(self) -> str:
        """What it may do."""
        return "What the user's policies allow" if self.key.identity is not None else "Everything in the account"

    @property
    def quoted(self) -> str:
        """The id as it stands in a query."""
        return quote(self.key.key_id, safe="")

    @property
    def label(self) -> str:
        """What people call it."""
        return self.key.name or "Unnamed"


class KeyForm(forms.Form):
    """What a person calls the key."""

    name = forms.CharField(max_length=access_keys.NAME_CHARS_MAX)


class RotateForm(forms.Form):
    """When the old key stops."""

    overlap = forms.TypedChoiceField(coerce=int, choices=list(OVERLAPS.items()), initial=DAY_MS)


KEY_ID_CHARS_MAX = 128


def _beyond(request: TeamRequest) -> str:
    """Why whoever looks cannot make a key, or one work again; empty: they can."""
    try:
        access_keys.within_reach_of(asker.by(request))
    except Refused as error:
        return str(error)
    return ""


@team_page("key:read", post="key:write")
@sensitive_variables("secret")
def keys(request: TeamRequest) -> HttpResponse:
    """The list; POST creates a key and shows its secret, this once."""
    form = KeyForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            key, secret = access_keys.create(asker.by(request), form.cleaned_data["name"])
        except Refused as error:
            asker.put_refused(form, error)
        else:
            return _told(request, key, secret)
    text = request.GET.get("q", "").strip()[:TEXT_CHARS_MAX]
    now_ms = calls.now_ms()
    page = Paginator(_listed(request, text), RICH_ROWS).get_page(request.GET.get("page"))
    context = {
        "form": form,
        "text": text,
        "page": page,
        "rows": [Row(key, now_ms) for key in page],
        "limit": KEYS_PER_TEAM_MAX,
        "beyond": _beyond(request),
        "now_ms": now_ms,
    }
    return render(request, "keys/keys.html", context, status=422 if request.method == "POST" else 200)


@team_page("key:write")
@sensitive_variables("secret")
def rotate(request: TeamRequest) -> HttpResponse:
    """A key that takes another one's place. The old one's id is in the query: it may be any printable text."""
    old = _find(request, request.GET.get("key", ""))
    if request.method != "POST" and (beyond := _beyond(request)):
        messages.error(request, beyond)
        return redirect("keys", request.team.slug)
    form = RotateForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            key, secret = access_keys.rotate(asker.by(request), old.key_id, form.cleaned_data["overlap"])
        except Refused as error:
            asker.put_refused(form, error)
        else:
            return _told(request, key, secret, old=_find(request, old.key_id))
    context = {"form": form, "row": Row(old, calls.now_ms()), "now_ms": calls.now_ms()}
    return render(request, "keys/rotate.html", context, status=422 if request.method == "POST" else 200)


@team_page("key:write")
def delete(request: TeamRequest) -> HttpResponse:
    """Delete a key that does not work any more, after its id was typed."""
    key = _find(request, request.GET.get("key", ""))
    row = Row(key, calls.now_ms())
    form = NameForm(request.POST or None, wanted=key.key_id, chars_max=KEY_ID_CHARS_MAX)
    if row.works:
        messages.error(request, f"{key.key_id} is active. Disable it first, and delete it when nothing fails.")
        return redirect("keys", request.team.slug)
    if request.method == "POST" and form.is_valid():
        try:
            access_keys.delete(asker.by(request), key.key_id)
        except Refused as error:
            asker.put_refused(form, error)
        else:
            messages.success(request, f"{key.key_id} is deleted")
            return redirect("keys", request.team.slug)
    context = {"form": form, "row": row, "now_ms": calls.now_ms()}
    return render(request, "keys/delete.html", context, status=422 if request.method == "POST" else 200)


@require_POST
@team_page("key:write")
def change(request: TeamRequest) -> HttpResponse:
    """Disable or enable a key, or let one go on that is being replaced."""
    key_id, wanted = request.POST.get("key", ""), request.POST.get("do", "")
    who = asker.by(request)
    try:
        if wanted in {"enable", "disable"}:
            access_keys.set_active(who, key_id, active=wanted == "enable")
            done = f"{key_id} is {wanted}d. Clients notice within a second."
        elif wanted == "keep":
            access_keys.cancel_rotation(who, key_id)
            done = f"{key_id} goes on working. The key that was to replace it works, too."
        else:
            raise Http404("no such action")
    except Gone as error:
        raise Http404("no such key") from error
    except Refused as error:
        messages.error(request, str(error))
    else:
        messages.success(request, done)
    return redirect("keys", request.team.slug)


@require_POST
@team_page("key:write")
@sensitive_post_parameters("secret")
@sensitive_variables("secret", "content")
def download(request: TeamRequest) -> HttpResponse:
    """The key that was just made as a file, from the page that shows it: nothing is kept here. The secret is only sent
    back if it is the key's."""
    key, secret = _find(request, request.POST.get("key", "")), request.POST.get("secret", "")
    try:
        is_its = hmac.compare_digest(decrypt(key.secret_encrypted, key.key_id).encode(), secret.encode())
    except SecretUnreadable:
        is_its = False
    if not is_its:
        raise Http404("not this key's")
    if request.POST.get("as") == "csv":
        content, kind, name = samples.credentials_csv(key.key_id, secret), "text/csv", f"{key.key_id}.csv"
    else:
        content, kind, name = samples.credentials_file(key.key_id, secret), "text/plain", "credentials"
    headers = {"Content-Disposition": f'attachment; filename="{_file_name(name)}"', "X-Content-Type-Options": "nosniff"}
    return HttpResponse(content, content_type=f"{kind}; charset=utf-8", headers=headers)


def _file_name(name: str) -> str:
    return "".join(letter if letter.isascii() and (letter.isalnum() or letter in "._-") else "-" for letter in name)


@sensitive_variables("secret")
def _told(request: TeamRequest, key: AccessKey, secret: str, old: AccessKey | None = None) -> HttpResponse:
    """The only page that ever shows the secret."""
    now_ms = calls.now_ms()
    context: dict[str, Any] = {
        "created": key,
        "secret": secret,
        "old": Row(old, now_ms) if old is not None else None,
        "environment": samples.environment(key.key_id, secret),
        "now_ms": now_ms,
    }
    return render(request, "keys/created.html", context)


def _listed(request: TeamRequest, text: str) -> Any:
    rows = AccessKey.objects.filter(team=request.team).select_related("created_by", "identity", "replaced_by")
    if text:
        rows = rows.filter(Q(name__icontains=text) | Q(key_id__icontains=text) | Q(identity__name__icontains=text))
    return rows.order_by("-created_at_ms", "-id")


def _find(request: TeamRequest, key_id: str) -> AccessKey:
    found = _listed(request, "").filter(key_id=key_id).first()
    if found is None:
        raise Http404("no such key")
    return found  # type: ignore[no-any-return]
