"""Access keys: what AWS clients sign with. A secret is shown once, on the page that answers its creation."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_POST

from apps.accounts import keys as access_keys
from apps.accounts.models import AccessKey
from console import calls
from console.pages import samples
from console.pages.shell import TeamRequest, team_page


class KeyForm(forms.Form):
    """What a person calls the key."""

    name = forms.CharField(max_length=80)


@team_page("key:read", post="key:write")
@sensitive_variables("secret")
def keys(request: TeamRequest) -> HttpResponse:
    """The list; POST creates a key and shows its secret, this once."""
    form = KeyForm(request.POST or None)
    created, secret = None, ""
    if request.method == "POST" and form.is_valid():
        try:
            created, secret = access_keys.create(request.team, request.user, form.cleaned_data["name"], calls.now_ms())
            form = KeyForm()
        except access_keys.TooManyKeys:
            form.add_error("name", f"The team has {access_keys.KEYS_PER_TEAM_MAX} keys already. Delete one first.")
    mine = AccessKey.objects.filter(team=request.team).select_related("created_by").order_by("-created_at_ms", "-id")
    context = {
        "form": form,
        "keys": mine,
        "created": created,
        "secret": secret,
        "now_ms": calls.now_ms(),
        "environment": samples.environment(created.key_id if created else "", secret) if created else None,
    }
    return render(request, "keys/keys.html", context, status=422 if request.method == "POST" and not created else 200)


@require_POST
@team_page("key:write")
def change(request: TeamRequest) -> HttpResponse:
    """Disable, enable or delete a key. Its id may be any printable text, so it is in the body."""
    key_id, wanted = request.POST.get("key", ""), request.POST.get("do", "")
    if wanted in {"enable", "disable"}:
        found = access_keys.set_active(request.team, key_id, active=wanted == "enable")
        done = f"{key_id} is {wanted}d. Clients notice within a second."
    elif wanted == "delete":
        try:
            found, done = access_keys.delete(request.team, key_id), f"{key_id} is deleted"
        except access_keys.StillActive:
            messages.error(
                request, f"{key_id} is active. Disable it first, and delete it when nothing fails for want of it."
            )
            return redirect("keys", request.team.slug)
    else:
        raise Http404("no such action")
    if not found:
        raise Http404("no such key")
    messages.success(request, done)
    return redirect("keys", request.team.slug)
