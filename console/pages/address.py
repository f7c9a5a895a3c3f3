"""Another e-mail address: asked for in the profile, proved by a link that goes to the new one, and told to the old one."""

from __future__ import annotations

from typing import Final

from allauth.core import ratelimit
from django import forms
from django.conf import settings
from django.contrib import messages
from django.core import signing
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache

from apps.accounts.models import User
from console import mail
from console.pages.shell import ANY_MEMBER, TeamRequest, team_page
from console.sign_in import trail
from console.sign_in.proof import proved_again

LINK_S: Final = 86_400
SALT: Final = "change-of-address"
STANDING_CHARS: Final = 16
"""Of what stands for the password in a link."""


class AddressForm(forms.Form):
    """The new address."""

    email = forms.EmailField(max_length=254)


@team_page(ANY_MEMBER)
@proved_again
def change(request: TeamRequest) -> HttpResponse:
    """Send the link. Whether somebody else has the address is not told: then nothing is sent."""
    form = AddressForm(request.POST or None)
    if request.method != "POST" or not form.is_valid():
        status = 422 if request.method == "POST" else 200
        return render(request, "people/address.html", {"form": form}, status=status)
    email = form.cleaned_data["email"].lower()
    if not ratelimit.consume(request, action="reset_password", key=email):
        return ratelimit.respond_429(request)
    if not User.objects.filter(email=email).exists():
        token = signing.dumps([request.user.pk, request.user.email, email, _standing(request.user)], salt=SALT)
        link = settings.CONFIG.public_address + reverse("address-confirm", args=[token])
        context = {"link": link, "email": email, "old": request.user.email}
        mail.post_text(email, "Confirm your new address", "people/mail_address.txt", context)
    messages.success(request, f"A link was sent to {email}. The address changes when you open it, within a day.")
    return redirect("profile", request.team.slug)


@never_cache
def confirm(request: HttpRequest, token: str) -> HttpResponse:
    """The link: it works once, as long as the old address and the password are still the person's: who takes an account
    back with a new password ends what others had begun with it."""
    if not ratelimit.consume(request, action="login"):
        return ratelimit.respond_429(request)
    try:
        key, old, new, standing = signing.loads(token, salt=SALT, max_age=LINK_S)
    except (signing.BadSignature, ValueError):  # ValueError: of an earlier version
        return render(request, "people/address_closed.html", status=404)
    user = User.objects.filter(pk=key, email=old, is_active=True).first()
    if user is None or _standing(user) != standing or User.objects.filter(email=new).exists():
        return render(request, "people/address_closed.html", status=404)
    if request.method != "POST":
        return render(request, "people/address_confirm.html", {"old": old, "new": new})
    try:
        with transaction.atomic():
            if not User.objects.filter(pk=user.pk, email=old).update(email=new):
                return render(request, "people/address_closed.html", status=404)
            trail.of_person(request, user, "ChangeEmail", {"email": old}, {"email": new})
    except IntegrityError:  # somebody else was quicker to have it
        return render(request, "people/address_closed.html", status=404)
    context = {"old": old, "new": new, "email": old}
    mail.post_text(old, "Your address at Tidegate has changed", "people/mail_address_changed.txt", context)
    messages.success(request, f"You sign in with {new} now")
    return redirect("mfa_index" if request.user.is_authenticated else "account_login")


def _standing(user: User) -> str:
    return user.get_session_auth_hash()[:STANDING_CHARS]
