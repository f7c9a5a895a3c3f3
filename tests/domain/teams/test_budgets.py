"""Budgets from the change by a person to the mail: rounds of the worker with a clock that the test turns, real rows of usage,
a webhook that is called and mail that is sent."""

import json

import pytest
from django.core import mail

from apps.access.models import AuditEntry
from apps.base.units import DAY_MS, HOUR_MS, MINUTE_MS
from apps.billing import budgets, ledger, meters
from apps.billing.ledger import Reading, Series
from apps.billing.models import BilledResource, Budget, BudgetAlert, Credit, SpendingHold
from apps.billing.months import Month
from apps.leases.models import Lease
from apps.teams import billing_budgets, budget_alerts, spending
from apps.teams.authority import Gone, NotAllowed
from apps.teams.billing_budgets import BudgetRefused, Wanted
from tests.domain.teams.people import by as asks
from tests.domain.teams.people import join
from tests.support.receiver import Fault, Receiver, Reply
from tests.support.runtimes import memory_runtime, run_due
from workers import slices

pytestmark = pytest.mark.django_db

UNITS_OF_A_DOLLAR = 1_000_000_000 // 14
"""PUT payload units cost $0.014 a million; this is a dollar's, rounded down."""


class Hooks(Receiver):
    def handle(self, _request):
        return Reply(204)

    @property
    def bodies(self):
        return [json.loads(request.body) for request in self.requests]


class Watch:
    """A team's month, the worker, and who changes budgets."""

    def __init__(self, runtime, team):
        self.runtime, self.team, self.clock = runtime, team, runtime.clock
        self._used = {}

    def by(self, member, actions=None):
        return asks(member, self.clock.now_ms(), actions)

    def create(self, member, name="All", dollars=100, **more):
        wanted = Wanted(name, dollars * 100, more.pop("thresholds", (50, 80, 100)), **more)
        return billing_budgets.create(self.by(member), wanted, self.runtime.config)

    def change(self, member, row, dollars=None, **more):
        given = {"on_forecast": row.on_forecast, "emails": row.emails, "action": row.action, "resource": row.resource}
        amount = row.amount_cents if dollars is None else dollars * 100
        wanted = Wanted(more.pop("name", row.name), amount, more.pop("thresholds", row.thresholds), **{**given, **more})
        return billing_budgets.update(self.by(member), row.pk, wanted, self.runtime.config)

    def spend(self, dollars, stream="s", at_ms=None):
        """So many more."""
        now_ms = self.clock.now_ms() if at_ms is None else at_ms
        hour_ms = now_ms - now_ms % HOUR_MS
        self._used[stream, hour_ms] = self._used.get((stream, hour_ms), 0) + round(dollars * 1.0001 * UNITS_OF_A_DOLLAR)
        series = Series(f"shard/{stream}", meters.PAYLOAD_UNITS.name, hour_ms, "k", "i")
        used = self._used[stream, hour_ms]
        ledger.record([Reading(self.team.pk, f"stream/{stream}", series, used, self.clock.now_ms())])

    def round(self):
        """A round of the worker and what it has to tell."""
        self.clock.advance(spending.EVERY_MS)
        run_due(self.runtime, "budgets")
        run_due(self.runtime, "budget-alerts", "budgets")

    def told(self, row):
        rows = BudgetAlert.objects.filter(budget=row).order_by("id")
        return [(one.month, one.threshold, one.forecast) for one in rows]


@pytest.fixture
def watch(clock, team):
    runtime = memory_runtime(clock, outgoing_private=True)
    runtime.open_in_thread()
    yield Watch(runtime, team.team)
    runtime.close_in_thread()


@pytest.fixture
def hooks():
    with Hooks() as receiver:
        yield receiver


def trail(*operations):
    return list(AuditEntry.objects.filter(operation__in=operations).order_by("id").values_list("operation", flat=True))


def held(team):
    return SpendingHold.objects.filter(team=team).values_list("action", flat=True).first()


def test_each_threshold_is_told_once_by_mail_and_webhook(watch, owner, hooks):
    row = watch.create(owner, emails=[owner.user.email], webhook=f"{hooks.url}/x?secret=1")
    watch.round()
    assert (watch.told(row), mail.outbox, hooks.requests) == ([], [], [])
    watch.spend(60)
    watch.round()
    watch.round()
    assert watch.told(row) == [("2026-11", 50, False)]
    [sent] = mail.outbox
    assert sent.to == [owner.user.email]
    assert sent.subject == "Budget All: 50 % spent (First)"
    assert "November 2026 has cost 60.01 USD so far" in sent.body
    [body] = hooks.bodies
    assert (body["threshold_percent"], body["kind"], body["amount_cents"], body["test"]) == (50, "spent", 10_000, False)
    watch.spend(60)
    watch.round()
    assert watch.told(row)[1:] == [("2026-11", 80, False), ("2026-11", 100, False)]
    assert len(mail.outbox) == 2  # the highest of the moment tells for all
    assert "100 % spent" in mail.outbox[1].subject
    told = BudgetAlert.objects.get(threshold=100).told
    assert {who: one["ok"] for who, one in told.items()} == {owner.user.email: True, "webhook": True}
    assert told["webhook"]["text"] == "HTTP 204"
    assert BudgetAlert.objects.get(threshold=80).told == {}


def test_a_new_month_begins_anew_and_a_clock_that_steps_back_tells_nothing_twice(watch, owner):
    row = watch.create(owner, emails=[owner.user.email])
    watch.spend(60)
    watch.round()
    december = Month(2026, 12).start_ms
    watch.clock.set(december + 2 * HOUR_MS)
    watch.round()
    assert len(mail.outbox) == 1
    watch.spend(55)
    watch.round()
    watch.clock.set(december - DAY_MS)
    spending.ensure(watch.clock.now_ms())
    watch.round()
    assert watch.told(row) == [("2026-11", 50, False), ("2026-12", 50, False)]
    assert len(mail.outbox) == 2


def test_what_is_read_just_after_a_months_end_is_told_of_that_month(watch, owner):
    row = watch.create(owner)
    december = Month(2026, 12).start_ms
    watch.clock.set(december + MINUTE_MS)
    watch.spend(60, at_ms=december - 1)
    watch.round()
    assert watch.told(row) == [("2026-11", 50, False)]


def test_a_changed_amount_tells_anew(watch, owner):
    row = watch.create(owner, thresholds=(100,))
    watch.spend(100)
    watch.round()
    row = watch.change(owner, row, dollars=200)
    watch.round()
    assert len(watch.told(row)) == 1
    watch.spend(100)
    watch.round()
    assert list(BudgetAlert.objects.order_by("id").values_list("amount_cents", flat=True)) == [10_000, 20_000]


def test_a_budget_of_a_stream_sees_that_stream_alone(watch, owner):
    watch.spend(1)
    watch.spend(1, "t")
    BilledResource.objects.create(team=watch.team, resource="stream/t", seen_at_ms=1)
    row = watch.create(owner, dollars=10, resource="stream/t")
    watch.spend(100)
    watch.round()
    assert watch.told(row) == []
    watch.spend(8, "t")
    watch.round()
    assert [one[1] for one in watch.told(row)] == [50, 80]


def test_a_forecast_tells_once_there_is_one(watch, owner):
    row = watch.create(owner, dollars=300, on_forecast=True, thresholds=(100,))
    now_ms = watch.clock.now_ms()
    for day in range(1, 4):
        watch.spend(15, at_ms=now_ms - day * DAY_MS)
    watch.round()
    assert watch.told(row) == []  # too few days
    for day in range(4, 16):
        watch.spend(15, at_ms=now_ms - day * DAY_MS)
    watch.round()
    assert watch.told(row) == []  # forecasts are made once an hour
    watch.clock.advance(HOUR_MS)
    watch.round()
    assert watch.told(row) == [("2026-11", 100, True)]


def test_credits_come_off_what_is_spent_and_foreseen(watch, owner):
    row = watch.create(owner, dollars=1_000)
    now_ms = watch.clock.now_ms()
    for day in range(16):
        watch.spend(15, at_ms=now_ms - day * DAY_MS)

    def standing():
        spent = budgets.Spending(watch.team, "us-east-1", Month(2026, 11), now_ms)
        return spent.standings([row], with_forecast=True)[row.pk]

    before = standing()
    Credit.objects.create(team=watch.team, amount_cents=5_000, reason="x", from_month="2026-11", created_at_ms=1)
    after = standing()
    assert (before.spent_cents - after.spent_cents, before.forecast_cents - after.forecast_cents) == (5_000, 5_000)


def test_a_spent_budget_holds_and_every_way_to_lift_it(watch, owner):
    row = watch.create(owner, action="pause", emails=[owner.user.email])
    assert (row.action_by, row.action_at_ms) == (owner.user.email, watch.clock.now_ms())
    watch.spend(100)
    watch.round()
    assert held(watch.team) == "pause"
    assert "Writes of the team's streams are refused" in mail.outbox[-1].body
    watch.round()
    row = watch.change(owner, row, dollars=150)
    assert held(watch.team) is None
    row = watch.change(owner, row, dollars=100)
    assert held(watch.team) == "pause"
    row = watch.change(owner, row, action="throttle")
    assert held(watch.team) == "throttle"
    row = watch.change(owner, row, action="nothing")
    assert (held(watch.team), row.action_by, row.action_at_ms) == (None, "", None)
    row = watch.change(owner, row, action="pause")
    billing_budgets.delete(watch.by(owner), row.pk, watch.runtime.config)
    assert held(watch.team) is None
    hold, lift = "HoldSpending", "LiftSpendingHold"
    assert trail(hold, lift, "ChangeSpendingHold") == [hold, lift, hold, "ChangeSpendingHold", lift, hold, lift]
    assert AuditEntry.objects.filter(operation=hold).first().person == ""


def test_the_month_that_is_over_lifts_the_hold(watch, owner):
    watch.create(owner, action="throttle")
    watch.spend(100)
    watch.round()
    watch.clock.set(Month(2026, 12).start_ms - DAY_MS * 25)
    spending.ensure(watch.clock.now_ms())
    watch.round()
    assert held(watch.team) == "throttle"
    watch.clock.set(Month(2026, 12).start_ms + 1)
    watch.round()
    assert held(watch.team) is None
    assert "November 2026 is over" in AuditEntry.objects.get(operation="LiftSpendingHold").before


def test_a_clock_that_steps_back_a_month_lifts_nothing_until_somebody_does(watch, owner):
    row = watch.create(owner, action="pause")
    watch.spend(100)
    watch.round()
    watch.clock.set(Month(2026, 11).start_ms - DAY_MS)
    spending.ensure(watch.clock.now_ms())
    watch.round()
    assert held(watch.team) == "pause"
    watch.change(owner, row, action="nothing")
    assert held(watch.team) is None


def test_only_an_owner_lets_a_budget_act_or_changes_one_that_does(watch, owner, admin):
    with pytest.raises(NotAllowed, match="billing:enforce"):
        watch.create(admin, action="pause")
    row = watch.create(owner, action="pause")
    for change in ({"action": "nothing"}, {"action": "throttle"}, {"dollars": 1}, {"dollars": 10_000}):
        with pytest.raises(NotAllowed, match="billing:enforce"):
            watch.change(admin, row, **change)
    with pytest.raises(NotAllowed, match="To delete it"):
        billing_budgets.delete(watch.by(admin), row.pk, watch.runtime.config)
    assert watch.change(admin, row, name="Other", thresholds=(10,)).action_by == owner.user.email
    plain = watch.create(admin, "Plain")
    assert watch.change(admin, plain, dollars=5).amount_cents == 500
    billing_budgets.delete(watch.by(admin), plain.pk, watch.runtime.config)


def test_who_may_not_set_budgets_and_whose_they_are(watch, owner, viewer, other_team):
    with pytest.raises(NotAllowed, match="billing:write"):
        watch.create(viewer)
    foreign = Budget.objects.create(team=other_team, name="x", amount_cents=1, created_at_ms=1, changed_at_ms=1)
    with pytest.raises(Gone):
        watch.change(owner, foreign, dollars=5)
    with pytest.raises(Gone):
        billing_budgets.delete(watch.by(owner), foreign.pk, watch.runtime.config)


@pytest.fixture
def other_team():
    from apps.accounts.models import Team

    return Team.objects.create(account_id="999999999999", slug="other", name="Other", created_at_ms=1)


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("name", {"name": "  "}),
        ("amount", {"dollars": 0}),
        ("amount", {"dollars": -5}),
        ("amount", {"dollars": 10**11}),
        ("thresholds", {"thresholds": (80, 50)}),
        ("resource", {"resource": "stream/of-nobody"}),
        ("emails", {"emails": ["stranger@example.test"]}),
        ("emails", {"emails": ["vic@example.test"]}),
        ("webhook", {"webhook": "mailto:x@example.test"}),
        ("webhook", {"webhook": "ftp://example.test"}),
        ("action", {"action": "explode"}),
    ],
)
def test_what_is_refused_and_at_which_field(watch, owner, viewer, field, given):
    with pytest.raises(BudgetRefused) as caught:
        watch.create(owner, **given)
    assert caught.value.field == field
    assert not Budget.objects.exists()


def test_a_budget_of_one_stream_cannot_act_and_names_are_one_each(watch, owner):
    watch.create(owner, "All")
    with pytest.raises(BudgetRefused, match="There is a budget ALL already"):
        watch.create(owner, "ALL")
    BilledResource.objects.create(team=watch.team, resource="stream/s", seen_at_ms=1)
    with pytest.raises(BudgetRefused, match="whole team"):
        watch.create(owner, "One", resource="stream/s", action="pause")


def test_private_addresses_are_refused_where_the_operator_did_not_let_them(clock, team, owner, hooks):
    runtime = memory_runtime(clock, outgoing_private=False)
    runtime.open_in_thread()
    try:
        strict = Watch(runtime, team.team)
        for url in ("https://127.0.0.1/x", "https://169.254.169.254/", "https://[::1]/", hooks.url):
            with pytest.raises(BudgetRefused, match=r"not called|Only https"):
                strict.create(owner, webhook=url)
        row = strict.create(owner, webhook="https://localhost/x")  # a name is looked up when it is called
        strict.spend(60)
        strict.round()
        told = BudgetAlert.objects.get(budget=row).told["webhook"]
        assert (told["ok"], told["text"]) == (False, "Private and local addresses are not called.")
        assert hooks.requests == []
    finally:
        runtime.close_in_thread()


def test_a_webhook_that_fails_is_tried_five_times_and_mail_is_sent_once(watch, owner, hooks):
    row = watch.create(owner, emails=[owner.user.email], webhook=hooks.url)
    hooks.fail(*[Fault("status", 500)] * 5)
    watch.spend(60)
    watch.round()
    for _ in range(6):
        watch.clock.advance(15 * MINUTE_MS)
        run_due(watch.runtime, "budget-alerts", "budgets")
    alert = BudgetAlert.objects.get(budget=row)
    assert (alert.attempts, alert.due_at_ms, len(mail.outbox)) == (5, None, 1)
    assert alert.told["webhook"] == {"ok": False, "text": "The answer was 500.", "tries": 5}


def test_a_worker_killed_before_it_told_tells_all_the_same(watch, owner, hooks):
    row = watch.create(owner, emails=[owner.user.email], webhook=hooks.url)
    watch.spend(60)
    spending.look_at(watch.runtime, watch.team)  # the row is written; then the process dies
    assert (len(watch.told(row)), mail.outbox) == (1, [])
    spending.look_at(watch.runtime, watch.team)
    run_due(watch.runtime, "budget-alerts", "budgets")
    assert (len(mail.outbox), len(hooks.requests)) == (1, 1)


def test_a_worker_killed_after_the_mail_tells_nobody_of_the_others_less(watch, owner, hooks, monkeypatch):
    watch.create(owner, emails=[owner.user.email], webhook=hooks.url)
    watch.spend(60)
    spending.look_at(watch.runtime, watch.team)

    def dies(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(budget_alerts, "call_webhook", dies)
        with pytest.raises(KeyboardInterrupt):
            run_due(watch.runtime, "budget-alerts", "budgets")
    Lease.objects.filter(kind="budget-alerts").update(expires_at_ms=0, due_at_ms=watch.clock.now_ms())
    run_due(watch.runtime, "budget-alerts", "budgets")
    assert (len(mail.outbox), len(hooks.requests)) == (1, 1)


def test_who_left_the_team_is_not_told(watch, owner):
    leaver = join(watch.team, "lea", "billing")
    watch.create(owner, emails=[leaver.user.email, owner.user.email])
    leaver.delete()
    watch.spend(60)
    watch.round()
    assert [sent.to for sent in mail.outbox] == [[owner.user.email]]
    told = BudgetAlert.objects.get().told[leaver.user.email]
    assert told["text"] == "Not sent: no longer a member who may see costs"


def test_a_test_notification_says_that_it_is_one(watch, owner, hooks):
    row = watch.create(owner, emails=[owner.user.email], webhook=hooks.url)
    found = budget_alerts.test(watch.runtime, watch.by(owner), row.pk)
    assert [(one.who, one.ok) for one in found] == [(owner.user.email, True), ("webhook", True)]
    assert mail.outbox[0].subject.startswith("Test: ")
    assert hooks.bodies[0]["test"] is True
    assert trail("TestBudgetNotification") == ["TestBudgetNotification"]


def test_the_webhooks_address_is_kept_encrypted_and_not_in_the_trail(watch, owner):
    row = watch.create(owner, webhook="https://hooks.example.test/T0P5ECRET")
    assert billing_budgets.webhook_of(row, watch.runtime.config) == "https://hooks.example.test/T0P5ECRET"
    texts = [row.webhook_sealed, *AuditEntry.objects.values_list("after", flat=True)]
    assert not any("T0P5ECRET" in (text or "") for text in texts)


def test_a_team_whose_budgets_cannot_be_looked_at_keeps_no_other_from_it(watch, owner, other_team, monkeypatch):
    row = watch.create(owner)
    Budget.objects.create(team=other_team, name="x", amount_cents=1, thresholds=[1], created_at_ms=1, changed_at_ms=1)
    real = spending.look_at

    def fails(runtime, team, **more):
        if team.pk == other_team.pk:
            raise RuntimeError("broken")
        real(runtime, team, **more)

    monkeypatch.setattr(spending, "look_at", fails)
    watch.spend(60)
    watch.round()
    assert len(watch.told(row)) == 1


def test_a_round_ends_when_the_last_budget_is_gone(watch, owner):
    row = watch.create(owner)
    watch.round()
    assert Lease.objects.get(kind="budgets").due_at_ms is not None
    billing_budgets.delete(watch.by(owner), row.pk, watch.runtime.config)
    watch.round()
    assert Lease.objects.get(kind="budgets").due_at_ms is None


def test_a_long_round_is_followed_by_a_rest(watch, owner, monkeypatch):
    watch.create(owner)
    watch.round()
    real = spending.look_at

    def slow(*given, **more):
        watch.clock.advance(8_000)
        real(*given, **more)

    monkeypatch.setattr(spending, "look_at", slow)
    watch.clock.advance(MINUTE_MS)
    slices.run(watch.runtime, "budgets", "all")
    assert Lease.objects.get(kind="budgets").due_at_ms == watch.clock.now_ms() + spending.REST * 8_000
