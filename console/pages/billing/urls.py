"""Addresses of the section Billing."""

from __future__ import annotations

from django.urls import URLPattern, path

from console.pages.billing import cost


def billing_urlpatterns(team: str) -> list[URLPattern]:
    """All of them. Their names begin with `billing`: that marks the line of the sidebar."""
    return [
        path(team + "billing", cost.usage_and_cost, name="billing"),
    ]
