"""Addresses of money: bills, costs, prices, and what people who run the installation do; budgets are in team_urls.py."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from console.api.resources import (
    billing_flags,
    bills,
    corrections,
    costs,
    given_credits,
    price_books,
    price_previews,
    prices,
    showback,
)
from console.api.stream_urls import PREFIX

BILL = PREFIX + "bills/<str:month>"
OPERATOR = PREFIX + "operator/"
BOOK = OPERATOR + "price-books/<int:book>"

billing_patterns: list[URLPattern | URLResolver] = [
    path(PREFIX + "bills", bills.Bills.as_view(), name="api-bills"),
    path(BILL, bills.OneBill.as_view(), name="api-bill"),
    path(BILL + "/csv", bills.BillCsv.as_view(), name="api-bill-csv"),
    path(BILL + "/focus", bills.BillFocus.as_view(), name="api-bill-focus"),
    path(BILL + "/check", bills.BillCheck.as_view(), name="api-bill-check"),
    path(PREFIX + "credits", given_credits.Credits.as_view(), name="api-credits"),
    path(PREFIX + "billing-flags", billing_flags.BillingFlags.as_view(), name="api-billing-flags"),
    path(PREFIX + "corrections", corrections.Corrections.as_view(), name="api-corrections"),
    path(PREFIX + "costs", costs.Costs.as_view(), name="api-costs"),
    path(PREFIX + "costs/daily", costs.DailyCosts.as_view(), name="api-costs-daily"),
    path(PREFIX + "costs/forecast", costs.CostForecast.as_view(), name="api-costs-forecast"),
    path(PREFIX + "prices", prices.Prices.as_view(), name="api-prices"),
    path(PREFIX + "estimates", prices.Estimates.as_view(), name="api-estimates"),
    path(OPERATOR + "corrections", corrections.OperatorCorrections.as_view(), name="api-operator-corrections"),
    path(OPERATOR + "billing-flags", billing_flags.OperatorFlags.as_view(), name="api-operator-flags"),
    path(OPERATOR + "billing-flags/<int:flag>", billing_flags.OperatorFlag.as_view(), name="api-operator-flag"),
    path(
        OPERATOR + "billing-flags/<int:flag>/acknowledge",
        billing_flags.FlagAcknowledgement.as_view(),
        name="api-operator-flag-acknowledge",
    ),
    path(OPERATOR + "credits", given_credits.OperatorCredits.as_view(), name="api-operator-credits"),
    path(OPERATOR + "credits/<int:credit>", given_credits.OperatorCredit.as_view(), name="api-operator-credit"),
    path(OPERATOR + "price-books", price_books.PriceBooks.as_view(), name="api-price-books"),
    path(BOOK, price_books.OnePriceBook.as_view(), name="api-price-book"),
    path(BOOK + "/preview", price_previews.PriceBookPreview.as_view(), name="api-price-book-preview"),
    path(BOOK + "/publish", price_books.PriceBookPublishing.as_view(), name="api-price-book-publish"),
    path(BOOK + "/withdraw", price_books.PriceBookWithdrawal.as_view(), name="api-price-book-withdraw"),
    path(OPERATOR + "showback", showback.ShowbackOfMonth.as_view(), name="api-showback"),
    path(OPERATOR + "teams/<str:team>/bills/<str:month>", showback.TeamBill.as_view(), name="api-team-bill"),
    path(OPERATOR + "bills/<str:number>", showback.NumberedBill.as_view(), name="api-numbered-bill"),
]
