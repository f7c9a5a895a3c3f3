"""API tokens: what programs ask the REST API with. A token is shown once, on the page that answers its creation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_variables

from apps.accounts.models import ApiToken
from apps.accounts.permissions import ACTIONS, allowed
from apps.base.units import DAY_MS
from apps.teams import tokens as api_tokens
from apps.teams.authority import Gone, Refused
from console import asker, calls
from console.pages import samples, words
from console.pages.name_form import NameForm
from console.pages.page_rows import RICH_ROWS
from console.pages.permission_words import by_resource
from console.pages.shell import ANY_MEMBER, TeamRequest, forbidden, team_page

SOON_MS = 3 * DAY_MS
"""A token that expires so soon is pointed out."""

EXPIRIES: Final = {"7": "7 days", "30": "30 days", "90": "90 days", "365": "1 year", "never": "Never"}
READ, OWN, CHOSEN = "read", "own", "chosen"
PRESETS: Final = {READ: "Read only", OWN: "Everything I may do", CHOSEN: "Choose"}

_READS = frozenset(action for action in ACTIONS if action.endswith(":read"))


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the list. mine: of whoever looks."""

    token: ApiToken
    now_ms: int
    mine: bool

    @property
    def has_expired(self) -> bool:
        """Is its time over?"""
        return api_tokens.has_expired(self.token, self.now_ms)

    @property
    def expires_ms(self) -> int | None:
        """When; None: never."""
        return int(self.token.expiry.timestamp() * 1_000) if self.token.expiry is not None else None

    @property
    def expires_soon(self) -> bool:
        """Within SOON_MS?"""
        return self.expires_ms is not None and not self.has_expired and self.expires_ms - self.now_ms < SOON_MS

    @property
    def expires_in(self) -> str:
        """`6 d`."""
        return words.duration((self.expires_ms or 0) - self.now_ms)

    @property
    def owner(self) -> str:
        """Whose it is."""
        return self.token.membership.user.name or self.token.membership.user.email

    @property
    def lost(self) -> list[str]:
        """Scopes that it was given and its member has no more."""
        return sorted(set(self.token.scopes) - self.token.membership.actions)

    @property
    def scopes(self) -> list[str]:
        """What it may do now."""
        return sorted(self.token.actions)


class TokenForm(forms.Form):
    """Name, scopes by a preset or one by one, and when it ends. mine: what its maker may do."""

    name = forms.CharField(max_length=api_tokens.NAME_CHARS_MAX)
    preset = forms.ChoiceField(choices=list(PRESETS.items()), initial=READ, required=False)
    scopes = forms.MultipleChoiceField(choices=[(action, action) for action in ACTIONS], required=False)
    expiry = forms.ChoiceField(choices=list(EXPIRIES.items()), initial="90")

    def __init__(self, mine: frozenset[str], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.mine = mine

    def clean(self) -> dict[str, Any]:
        """The scopes that the preset means."""
        given = super().clean() or {}
        preset = given.get("preset") or (CHOSEN if given.get("scopes") else READ)
        chosen = {READ: self.mine & _READS, OWN: self.mine, CHOSEN: frozenset(given.get("scopes") or ())}[preset]
        if not chosen and not self.errors.keys() & {"scopes", "preset"}:
            self.add_error("scopes", "Choose at least one scope.")
        given["wanted"] = chosen
        return given

    def expires_at_ms(self, now_ms: int) -> int | None:
        """When the token ends; None: never."""
        chosen = self.cleaned_data["expiry"]
        return None if chosen == "never" else now_ms + int(chosen) * DAY_MS


@team_page(ANY_MEMBER)
def tokens(request: TeamRequest) -> HttpResponse:
    """One's own, or everybody's of the team for those who may manage them."""
    if not _may_see(request):
        return forbidden(request, "token:write")
    now_ms = calls.now_ms()
    page = Paginator(api_tokens.visible(asker.by(request)), RICH_ROWS).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "rows": [Row(token, now_ms, token.membership_id == request.membership.pk) for token in page],
        "manages": allowed(request.actions, "token:manage"),
        "curl": samples.list_streams_curl("tgt_…"),
        "now_ms": now_ms,
    }
    return render(request, "tokens/tokens.html", context)


@team_page("token:write")
@sensitive_variables("text")
def create(request: TeamRequest) -> HttpResponse:
    """The form; POST makes a token and shows it, this once."""
    form = TokenForm(request.actions, request.POST or None)
    if request.method == "POST" and form.is_valid():
        who = asker.by(request)
        wanted, expires = form.cleaned_data["wanted"], form.expires_at_ms(who.actor.at_ms)
        try:
            made, text = api_tokens.create(who, form.cleaned_data["name"], wanted, expires)
        except Refused as error:
            asker.put_refused(form, error)
        else:
            context = {
                "row": Row(made, who.actor.at_ms, mine=True),
                "text": text,
                "curl": samples.list_streams_curl(text),
                "may_list": "stream:read" in wanted,
            }
            return render(request, "tokens/created.html", context)
    context = {
        "form": form,
        "presets": {READ: "Every …:read that your role has", OWN: f"All {len(request.actions)} permissions of your role",
                    CHOSEN: "One by one"},
        "resources": by_resource(form["scopes"].value() or (), request.actions),
    }  # fmt: skip
    return render(request, "tokens/create.html", context, status=422 if request.method == "POST" else 200)


@team_page(ANY_MEMBER)
def revoke(request: TeamRequest, token: str) -> HttpResponse:
    """End a token, after its name was typed."""
    if not _may_see(request):
        return forbidden(request, "token:write")
    who = asker.by(request)
    found = api_tokens.visible(who).filter(public_id=token).first()
    if found is None:
        raise Http404("no such token")
    form = NameForm(request.POST or None, wanted=found.name, to="revoke it", chars_max=api_tokens.NAME_CHARS_MAX)
    if request.method == "POST" and form.is_valid() and _revoke(request, form, found):
        return redirect("tokens", request.team.slug)
    row = Row(found, calls.now_ms(), found.membership_id == request.membership.pk)
    context = {"form": form, "row": row, "now_ms": calls.now_ms()}
    return render(request, "tokens/revoke.html", context, status=422 if request.method == "POST" else 200)


def _revoke(request: TeamRequest, form: NameForm, found: ApiToken) -> bool:
    try:
        api_tokens.revoke(asker.by(request), found.public_id)
    except Gone as error:
        raise Http404("no such token") from error
    except Refused as error:
        asker.put_refused(form, error)
        return False
    messages.success(request, f"{found.name} is revoked. Requests with it are refused from now on.")
    return True


def _may_see(request: TeamRequest) -> bool:
    return allowed(request.actions, "token:write") or allowed(request.actions, "token:manage")
