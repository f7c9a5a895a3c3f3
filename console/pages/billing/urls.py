"""Addresses of the section Billing."""

from __future__ import annotations

from django.urls import URLPattern, path

from console.pages.billing import budgets, cost, files, readings, statements


def billing_urlpatterns(team: str) -> list[URLPattern]:
    """All of them. Their names begin with `billing`: that marks the line of the sidebar."""
    return [
        path(team + "billing", cost.usage_and_cost, name="billing"),
        path(team + "billing/costs.csv", files.costs, name="billing-csv"),
        path(team + "billing/readings", readings.readings, name="billing-readings"),
        path(team + "billing/statements", statements.listing, name="billing-statements"),
        path(team + "billing/statements/<slug:month>", statements.statement, name="billing-statement"),
        path(team + "billing/statements/<slug:month>/<slug:form>", statements.file, name="billing-statement-file"),
        path(team + "billing/budgets", budgets.listing, name="billing-budgets"),
        path(team + "billing/budgets/create", budgets.create, name="billing-budget-create"),
        path(team + "billing/budgets/<int:budget>", budgets.detail, name="billing-budget"),
        path(team + "billing/budgets/<int:budget>/edit", budgets.edit, name="billing-budget-edit"),
        path(team + "billing/budgets/<int:budget>/delete", budgets.delete, name="billing-budget-delete"),
        path(team + "billing/budgets/<int:budget>/test", budgets.test, name="billing-budget-test"),
    ]
