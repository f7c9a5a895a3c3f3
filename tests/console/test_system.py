"""Pages that answer for an error: the nearest name, and a database that does not answer."""

import sys

import pytest
from django.db import OperationalError
from django.test import Client, RequestFactory

from console.pages import system
from tests.console.conftest import make_stream, other_team, signed_in, text_of


@pytest.mark.parametrize("tab", ["", "/shards", "/records"])
def test_an_address_that_names_nothing_offers_the_nearest_name(client, stream, tab):
    answer = client.get(f"/t/first/streams/order{tab}")
    assert answer.status_code == 404
    page = text_of(answer)
    assert "There is no data stream order" in page
    assert 'Did you mean <a class="link" href="/t/first/streams/orders">orders</a>' in page
    assert 'href="/t/first/streams">Data streams' in page


def test_names_that_are_like_nothing_lead_to_the_list(client, stream):
    page = text_of(client.get("/t/first/alarms/of/zzzz"))
    assert "There is no alarm zzzz" in page
    assert "Did you mean" not in page
    assert 'href="/t/first/alarms">Alarms' in page


def test_nobody_learns_another_teams_names(served, team):
    make_stream(served, team, "orders")
    for browser in (signed_in(other_team()), Client()):
        page = text_of(browser.get("/t/first/streams/order", follow=True))
        assert "orders<" not in page
        assert "Did you mean" not in page


@pytest.mark.parametrize(("error", "status"), [(OperationalError("locked"), 503), (ValueError(), 500)])
def test_a_database_that_does_not_answer_is_no_bug_of_a_page(error, status):
    request = RequestFactory().get("/t/first")
    try:
        raise error
    except type(error):
        assert sys.exception() is error
        answer = system.server_error(request)
    assert answer.status_code == status
    assert ("Retry-After" in answer) == (status == 503)
    assert ("database does not answer" in text_of(answer)) == (status == 503)
