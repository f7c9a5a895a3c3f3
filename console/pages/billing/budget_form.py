"""The form of a budget."""

from __future__ import annotations

import re
from typing import Any, Final

from django import forms

from apps.base.outgoing import URL_CHARACTERS_MAX
from apps.billing import budgets
from apps.billing.models import Budget, BudgetAction
from apps.teams.billing_budgets import Wanted

AMOUNT_CHARS_MAX = 20
THRESHOLDS_CHARS_MAX = 80

_AMOUNT = re.compile(r"(-?)([0-9]{1,15})(?:\.([0-9]{1,2}))?")

ACTIONS: Final = {
    BudgetAction.NOTHING: ("Only tell", "Nothing is stopped."),
    BudgetAction.THROTTLE: (
        "Throttle writes",
        "Streams and Direct PUT delivery streams take a tenth of their throughput.",
    ),
    BudgetAction.PAUSE: (
        "Pause writes",
        "Every put is refused. Producers wait and repeat, or lose what they cannot keep.",
    ),
}


class BudgetForm(forms.Form):
    """What people type. webhook empty: as it is, unless remove_webhook is set."""

    name = forms.CharField(max_length=budgets.NAME_CHARS_MAX, strip=True)
    amount = forms.CharField(max_length=AMOUNT_CHARS_MAX)
    resource = forms.CharField(max_length=200, required=False)
    thresholds = forms.CharField(max_length=THRESHOLDS_CHARS_MAX)
    on_forecast = forms.BooleanField(required=False)
    emails = forms.MultipleChoiceField(required=False)
    webhook = forms.CharField(max_length=URL_CHARACTERS_MAX, required=False)
    remove_webhook = forms.BooleanField(required=False)
    action = forms.ChoiceField(choices=BudgetAction.choices, required=False)

    def __init__(self, *args: Any, members: list[str], resources: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["emails"].choices = [(email, email) for email in members]  # type: ignore[attr-defined]
        self.resources = resources

    def clean_amount(self) -> int:
        """Cents. A budget of zero or less is refused where budgets are made, for the REST API as well."""
        typed = self.cleaned_data["amount"].strip().removeprefix("$").replace(",", "").strip()
        match = _AMOUNT.fullmatch(typed)
        if match is None:
            raise forms.ValidationError("Write an amount like 250 or 99.50.")
        cents = int(match[2]) * 100 + int((match[3] or "0").ljust(2, "0"))
        return -cents if match[1] else cents

    def clean_thresholds(self) -> list[int]:
        """Percents."""
        words = self.cleaned_data["thresholds"].replace("%", " ").replace(",", " ").split()
        if not all(word.isascii() and word.isdigit() and len(word) <= 4 for word in words):
            raise forms.ValidationError("Write whole percents with commas between them: 50, 80, 100.")
        return [int(word) for word in words]

    def wanted(self) -> Wanted:
        """Of a valid form."""
        given = self.cleaned_data
        webhook = "" if given["remove_webhook"] else given["webhook"] or None
        return Wanted(
            name=given["name"],
            amount_cents=given["amount"],
            thresholds=given["thresholds"],
            resource=given["resource"],
            on_forecast=given["on_forecast"],
            emails=given["emails"],
            webhook=webhook,
            action=given["action"] or BudgetAction.NOTHING,
        )


def initial_of(row: Budget) -> dict[str, Any]:
    """What the form shows of a budget that there is."""
    return {
        "name": row.name,
        "amount": f"{row.amount_cents // 100}.{row.amount_cents % 100:02}".removesuffix(".00"),
        "resource": row.resource,
        "thresholds": ", ".join(str(one) for one in row.thresholds),
        "on_forecast": row.on_forecast,
        "emails": row.emails,
        "action": str(row.action),
    }


def initial_of_new(email: str, resource: str) -> dict[str, Any]:
    """A template: half, four fifths, all of it; the maker is told."""
    return {
        "thresholds": ", ".join(str(one) for one in budgets.TEMPLATE),
        "emails": [email],
        "resource": resource,
        "action": str(BudgetAction.NOTHING),
    }
