"""Addresses of the rate card, and of what people who run the installation do with money."""

from __future__ import annotations

from django.urls import URLPattern, path

from console.pages.billing import books, corrections, rates, showback
from console.pages.billing import credits as credit_pages


def operator_urlpatterns(team: str) -> list[URLPattern]:
    """All of them; every one but the rate card is for User.is_staff alone."""
    book = team + "billing/books/<int:book>"
    return [
        path(team + "billing/rates", rates.rates, name="billing-rates"),
        path(team + "billing/books", books.listing, name="billing-books"),
        path(book, books.book, name="billing-book"),
        path(book + "/prices/<slug:dimension>", books.price, name="billing-book-price"),
        path(book + "/publish", books.publish, name="billing-book-publish"),
        path(book + "/withdraw", books.withdraw, name="billing-book-withdraw"),
        path(book + "/delete", books.delete, name="billing-book-delete"),
        path(team + "billing/showback", showback.listing, name="billing-showback"),
        path(team + "billing/showback.csv", showback.export, name="billing-showback-csv"),
        path(team + "billing/showback/teams/<slug:of>", showback.statement, name="billing-showback-team"),
        path(team + "billing/showback/bills/<slug:number>", showback.bill, name="billing-showback-bill"),
        path(team + "billing/corrections", corrections.corrections, name="billing-corrections"),
        path(team + "billing/credits", credit_pages.credits_page, name="billing-credits"),
        path(team + "billing/credits/<int:credit>/take-back", credit_pages.take_back, name="billing-credit-take-back"),
    ]
