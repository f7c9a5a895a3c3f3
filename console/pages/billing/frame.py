"""What all pages of Billing share: the tabs, as far as this member may open them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from apps.accounts.permissions import allowed
from console.pages.shell import TeamRequest


@dataclass(frozen=True, slots=True)
class Tab:
    """url_name: of the page it opens. for_staff: of the operator alone; others do not see it."""

    url_name: str
    label: str
    action: str = "billing:read"
    for_staff: bool = False


TABS = (
    Tab("billing", "Usage and cost"),
    Tab("billing-statements", "Statements"),
    Tab("billing-budgets", "Budgets"),
    Tab("billing-rates", "Rate card"),
    Tab("billing-showback", "Showback", for_staff=True),
    Tab("billing-credits", "Credits", for_staff=True),
    Tab("billing-corrections", "Corrections", for_staff=True),
)
"""In order; only pages that exist."""

LINKED = {"rate_card": "billing-rates", "budgets": "billing-budgets"}
"""Pages that others lead to, by the template's word for their URL names."""


def frame(request: TeamRequest, current: str) -> dict[str, Any]:
    """Template context of billing/base.html. current: the URL name of the tab that the page belongs to."""
    tabs = [
        (tab.url_name, tab.label, tab.url_name == current)
        for tab in TABS
        if allowed(request.actions, tab.action) and (request.user.is_staff or not tab.for_staff)
    ]
    there = {name for name, _, _ in tabs}
    return {"tabs": tabs, **{place: name for place, name in LINKED.items() if name in there}}
