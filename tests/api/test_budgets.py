"""Budgets over REST: create once by key, change with an ETag that spending does not move, what stands and what was told."""

import pytest
from django.core import mail

from apps.billing.models import Budget, BudgetAlert, SpendingHold
from tests.api.conforming import conforming
from tests.api.test_envelope import problem
from tests.support.teams import make_team

GIVEN = {"name": "Production", "amount_cents": 10_000, "thresholds": [50, 100]}


@pytest.fixture
def api(team, served):
    return conforming(team.user, team.team)


def test_one_key_makes_one_budget(api):
    first = api.post("/budgets", GIVEN, idempotency_key="a")
    assert first.status_code == 201
    assert first.json()["thresholds"] == [50, 100]
    again = api.post("/budgets", GIVEN, idempotency_key="a")
    assert (again.status_code, again.json()) == (201, first.json())
    assert Budget.objects.count() == 1
    assert problem(api.post("/budgets", GIVEN), 400)["code"] == "BudgetRefused"


def test_a_change_needs_the_etag_of_what_is_there(api):
    made = api.post("/budgets", GIVEN).json()
    at = f"/budgets/{made['id']}"
    etag = api.get(at).headers["ETag"]
    changed = api.patch(at, {"amount_cents": 20_000, "on_forecast": True}, if_match=etag)
    assert changed.json() | {"changed_at_ms": 0} == made | {
        "amount_cents": 20_000, "on_forecast": True, "changed_at_ms": 0,
    }  # fmt: skip
    assert api.patch(at, {"amount_cents": 1}, if_match=etag).status_code == 412
    assert api.delete(at, if_match=etag).status_code == 412
    assert api.delete(at).status_code == 204
    assert api.get(at).status_code == 404


def test_the_webhook_is_told_by_its_host_alone(api):
    made = api.post("/budgets", {**GIVEN, "webhook": "https://hooks.example.test/T0/secret"}).json()
    at = f"/budgets/{made['id']}"
    assert made["webhook_host"] == "hooks.example.test"
    assert "secret" not in api.get(at).content.decode()
    assert api.patch(at, {"name": "Other"}).json()["webhook_host"] == "hooks.example.test"
    assert api.patch(at, {"webhook": None}).json()["webhook_host"] is None


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"amount_cents": 0}, "amount_cents"),
        ({"amount_cents": -1}, "amount_cents"),
        ({"thresholds": []}, "thresholds"),
        ({"thresholds": [100, 50]}, "thresholds"),
        ({"emails": ["stranger@example.test"]}, "emails"),
        ({"webhook": "http://10.0.0.1/"}, "webhook"),
        ({"resource": "stream/none"}, "resource"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_is_refused(api, wrong, field):
    told = problem(api.post("/budgets", {**GIVEN, **wrong}), 400)
    assert field.split("_")[0] in str(told)
    assert not Budget.objects.exists()


def test_letting_it_act_needs_the_scope(team, api):
    weak = conforming(team.user, team.team, ["billing:read", "billing:write"])
    assert "billing:enforce" in problem(weak.post("/budgets", {**GIVEN, "action": "pause"}), 403)["detail"]
    made = api.post("/budgets", {**GIVEN, "action": "pause"}).json()
    assert made["action_by"] == team.user.email
    assert weak.patch(f"/budgets/{made['id']}", {"amount_cents": 1}).status_code == 403
    assert weak.patch(f"/budgets/{made['id']}", {"name": "Other"}).status_code == 200


def test_standing_alerts_and_a_test(team, api):
    made = api.post("/budgets", {**GIVEN, "emails": [team.user.email]}).json()
    at = f"/budgets/{made['id']}"
    standing = api.get(f"{at}/standing").json()
    assert (standing["spent_cents"], standing["percent"], standing["holds"]) == (0, 0, False)
    assert standing["no_forecast"].startswith("No forecast yet")
    row = Budget.objects.get()
    SpendingHold.objects.create(team=team.team, action="pause", budget=row, since_ms=1_795_163_467_000)
    assert api.get("/budgets").json()["items"][0]["standing"]["holds"] is True
    told = {team.user.email: {"ok": True, "text": "Sent", "tries": 1}}
    for n in range(3):
        BudgetAlert.objects.create(
            budget=row, month="2026-11", threshold=50, spent_cents=n, amount_cents=n + 1, at_ms=n, told=told
        )
    first = api.get(f"{at}/alerts?limit=2").json()
    assert [one["figure_cents"] for one in first["items"]] == [2, 1]
    assert first["items"][0]["told"] == [{"who": team.user.email, "ok": True, "text": "Sent"}]
    rest = api.get(f"{at}/alerts?cursor={first['next_cursor']}").json()
    assert ([one["at_ms"] for one in rest["items"]], rest["next_cursor"]) == ([0], None)
    sent = api.post(f"{at}/tests").json()["told"]
    assert (sent[0]["who"], sent[0]["ok"], len(mail.outbox)) == (team.user.email, True, 1)


def test_another_teams_budget_is_not_there(api):
    other = make_team("210987654321", "other", "AKIDOTHER")
    foreign = Budget.objects.create(
        team=other.team, name="x", amount_cents=1, thresholds=[1], created_at_ms=1, changed_at_ms=1
    )
    at = f"/budgets/{foreign.pk}"
    assert api.get("/budgets").json()["items"] == []
    for part in ("", "/standing", "/alerts"):
        assert api.get(at + part).status_code == 404
    assert api.patch(at, {"amount_cents": 5}).status_code == 404
    assert api.delete(at).status_code == 404
    assert api.post(f"{at}/tests").status_code == 404
