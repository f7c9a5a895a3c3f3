"""Budgets in a browser without script: create from the template, see how it stands, edit, delete by name, a test, and the banner
of a team whose writes are held."""

import pytest
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.base.units import HOUR_MS
from apps.billing import ledger, meters
from apps.billing.ledger import Reading, Series
from apps.billing.models import Budget, BudgetAlert, SpendingHold
from apps.teams import spending
from tests.console.conftest import other_team, put, signed_in_as, text_of
from tests.support.runtimes import run_due

pytestmark = pytest.mark.usefixtures("served")

BUDGETS = "/t/first/billing/budgets"
DOLLAR = 71_440_000  # PUT payload units


def typed(**more):
    return {"name": "Production", "amount": "100", "thresholds": "50, 80, 100", "action": "nothing", **more}


def create(client, **more):
    answer = client.post(f"{BUDGETS}/create", typed(**more))
    assert answer.status_code == 302, text_of(answer)
    return Budget.objects.get(name=more.get("name", "Production"))


def spend(served, team, dollars):
    now_ms = served.clock.now_ms()
    series = Series("shard/1", meters.PAYLOAD_UNITS.name, now_ms - now_ms % HOUR_MS, "k", "i")
    ledger.record([Reading(team.team.pk, "stream/orders", series, dollars * DOLLAR, now_ms)])


def look(served):
    served.clock.advance(spending.EVERY_MS)
    run_due(served, "budgets")
    run_due(served, "budget-alerts", "budgets")


def test_the_first_one_is_offered_with_a_template(client, team):
    assert "No budgets" in text_of(client.get(BUDGETS))
    page = text_of(client.get(f"{BUDGETS}/create"))
    assert 'value="50, 80, 100"' in page
    assert f'value="{team.user.email}" checked' in page


def test_how_it_stands_and_what_it_told(client, team, served):
    row = create(client, emails=[team.user.email], webhook="https://hooks.example.test/T0/secret")
    spend(served, team, 60)
    look(served)
    listed = text_of(client.get(BUDGETS))
    assert "$60.01" in listed
    assert "50% reached" in listed
    assert 'aria-label="60 percent spent"' in listed
    page = text_of(client.get(f"{BUDGETS}/{row.pk}"))
    assert "60% of $100.00" in page
    assert "50% spent" in page
    assert "https://hooks.example.test/…" in page
    assert "secret" not in page
    assert "Kept in the data directory" in page
    assert "It is tried again." in page


def test_what_was_typed_stays_and_the_reason_stands_at_the_field(client):
    for field, wrong, why in (
        ("amount", "0", "A budget is more than zero"),
        ("amount", "-3.50", "A budget is more than zero"),
        ("amount", "lots", "Write an amount like 250 or 99.50."),
        ("thresholds", "80, 50", "Thresholds rise"),
        ("thresholds", "a", "Write whole percents"),
        ("webhook", "https://127.0.0.1/x", "not called"),
    ):
        answer = client.post(f"{BUDGETS}/create", typed(**{field: wrong}))
        page = text_of(answer)
        assert answer.status_code == 422
        assert why in page
        assert f'id="id_{field}_err"' in page
        assert 'value="Production"' in page
        assert f'value="{wrong}"' in page
    assert not Budget.objects.exists()


def test_edit_keeps_the_webhook_until_it_is_removed(client):
    row = create(client, webhook="https://hooks.example.test/T0/secret")
    page = text_of(client.get(f"{BUDGETS}/{row.pk}/edit"))
    assert "secret" not in page
    client.post(f"{BUDGETS}/{row.pk}/edit", typed(amount="1,250.50", on_forecast="1"))
    row.refresh_from_db()
    assert (row.amount_cents, row.on_forecast, bool(row.webhook_sealed)) == (125_050, True, True)
    client.post(f"{BUDGETS}/{row.pk}/edit", typed(remove_webhook="1"))
    row.refresh_from_db()
    assert row.webhook_sealed == ""


def test_deleting_asks_for_the_name(client):
    row = create(client)
    assert client.post(f"{BUDGETS}/{row.pk}/delete", {"name": "other"}).status_code == 422
    assert "is deleted" in text_of(client.post(f"{BUDGETS}/{row.pk}/delete", {"name": "Production"}, follow=True))
    assert not Budget.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_an_owner_lets_it_pause_and_everybody_sees_why_puts_are_refused(client, team, served, stream):
    row = create(client, action="pause")
    assert f"switched on by {team.user.email}" in text_of(client.get(f"{BUDGETS}/{row.pk}"))
    spend(served, team, 100)
    look(served)
    assert SpendingHold.objects.get().action == "pause"
    page = text_of(client.get("/t/first/streams"))
    assert "Writes of this team are paused." in page
    assert "Its budget Production is spent" in page
    developer = text_of(signed_in_as(team, "developer").get("/t/first/streams"))
    assert "Writes of this team are paused." in developer
    assert "Production is spent" not in developer
    refused = client.post("/t/first/streams/orders/put", {"kind": "text", "key": "k", "content": "x", "count": "1"})
    import re

    print(re.findall(r"role=.alert.*?</div>|class=.err.*?</p>", text_of(refused)))
    assert "budget for this month is spent" in text_of(refused)
    client.post(f"{BUDGETS}/{row.pk}/edit", typed(amount="200", action="pause"))
    assert "Writes of this team" not in text_of(client.get("/t/first/streams"))
    served.clock.advance(1_001)
    put(served, team, "orders", ("k", b"x"))


def test_who_may_not_let_it_act_is_told_who_may(client, team):
    admin = signed_in_as(team, "admin")
    page = text_of(admin.get(f"{BUDGETS}/create"))
    assert 'value="pause" disabled' in page
    assert "needs billing:enforce: Owner." in page
    refused = admin.post(f"{BUDGETS}/create", typed(action="pause"))
    assert refused.status_code == 422
    assert "needs the permission billing:enforce" in text_of(refused)
    row = create(client, action="throttle")
    assert "needs billing:enforce: Owner." in text_of(admin.get(f"{BUDGETS}/{row.pk}/delete"))
    assert admin.post(f"{BUDGETS}/{row.pk}/delete", {"name": "Production"}).status_code == 422


def test_a_test_is_sent_and_says_what_came_of_it(client, team):
    row = create(client, emails=[team.user.email], webhook="https://localhost/x")
    page = text_of(client.post(f"{BUDGETS}/{row.pk}/test", follow=True))
    assert f"{team.user.email}: Kept in the data directory" in page
    assert "The webhook: Private and local addresses are not called." in page
    assert mail.outbox[0].subject == "Test: Budget Production: 50 % spent (First)"


def test_another_teams_budget_is_not_there(client):
    other = other_team()
    foreign = Budget.objects.create(
        team=other.team, name="x", amount_cents=1, thresholds=[1], created_at_ms=1, changed_at_ms=1
    )
    for part in ("", "/edit", "/delete"):
        assert client.get(f"{BUDGETS}/{foreign.pk}{part}").status_code == 404
    assert client.post(f"{BUDGETS}/{foreign.pk}/test").status_code == 404


def test_many_budgets_cost_no_more_queries(client, team, served):
    spend(served, team, 10)
    make = [
        Budget(
            team=team.team,
            name=f"b{n}",
            amount_cents=n + 1,
            thresholds=[50],
            created_at_ms=1,
            changed_at_ms=1,
            resource="" if n % 2 else f"stream/{n}",
        )
        for n in range(30)
    ]
    Budget.objects.bulk_create(make[:2])
    client.get(BUDGETS)
    with CaptureQueriesContext(connection) as few:
        client.get(BUDGETS)
    Budget.objects.bulk_create(make[2:])
    with CaptureQueriesContext(connection) as many:
        client.get(BUDGETS)
    assert len(many) == len(few)


def test_old_alerts_have_pages(client, team):
    row = create(client)
    BudgetAlert.objects.bulk_create(
        BudgetAlert(budget=row, month="2026-11", threshold=50, spent_cents=1, amount_cents=n + 1, at_ms=n)
        for n in range(60)
    )
    assert "page=2" in text_of(client.get(f"{BUDGETS}/{row.pk}"))
    assert client.get(f"{BUDGETS}/{row.pk}?page=2").status_code == 200
