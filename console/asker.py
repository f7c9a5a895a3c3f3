"""Who asks for a change of a team, as apps/teams wants to know it; and what it refuses, at the field that it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from apps.teams.authority import By, Refused
from console import calls

if TYPE_CHECKING:
    from django import forms


def by(request: Any) -> By:
    """The person of a page of a team, or of a token of the REST API: what they may do is the page's or the token's."""
    return By(calls.actor(request), request.membership, request.actions)


def put_refused(form: forms.Form, error: Refused) -> None:
    """Write a refusal at its field, or above the form if it is about none of its fields."""
    form.add_error(error.field if error.field in form.fields else None, str(error))
