"""Addresses of money: bills, costs, prices; budgets are in team_urls.py."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from console.api.resources import bills, costs, given_credits, prices
from console.api.stream_urls import PREFIX

BILL = PREFIX + "bills/<str:month>"

billing_patterns: list[URLPattern | URLResolver] = [
    path(PREFIX + "bills", bills.Bills.as_view(), name="api-bills"),
    path(BILL, bills.OneBill.as_view(), name="api-bill"),
    path(BILL + "/csv", bills.BillCsv.as_view(), name="api-bill-csv"),
    path(BILL + "/focus", bills.BillFocus.as_view(), name="api-bill-focus"),
    path(BILL + "/check", bills.BillCheck.as_view(), name="api-bill-check"),
    path(PREFIX + "credits", given_credits.Credits.as_view(), name="api-credits"),
    path(PREFIX + "billing-flags", given_credits.BillingFlags.as_view(), name="api-billing-flags"),
    path(PREFIX + "costs", costs.Costs.as_view(), name="api-costs"),
    path(PREFIX + "costs/daily", costs.DailyCosts.as_view(), name="api-costs-daily"),
    path(PREFIX + "costs/forecast", costs.CostForecast.as_view(), name="api-costs-forecast"),
    path(PREFIX + "prices", prices.Prices.as_view(), name="api-prices"),
    path(PREFIX + "estimates", prices.Estimates.as_view(), name="api-estimates"),
]
