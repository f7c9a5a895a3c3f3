"""Budgets of the demo's team: one that has told of two thresholds, one of a stream, one that would pause writes."""

BUDGET = "/t/first/billing/budgets/1"

CODE = """
from apps.base.clock import SystemClock
from apps.base.config import Config
from apps.billing.models import Budget, BudgetAlert
from apps.billing.months import Month
from apps.encryption.sealed_text import seal_text
now, hour = SystemClock().now_ms(), 3_600_000
all_of_it = Budget.objects.create(
    team=team, name="Production", amount_cents=130_000, thresholds=[50, 80, 100], on_forecast=True,
    emails=["mira@acme.example", "noel@acme.example"], action="pause", action_by="mira@acme.example", action_at_ms=now - 90 * hour,
    webhook_sealed=seal_text(Config.from_environment().master_key_path, "https://hooks.acme.example/T0/secret"),
    created_at_ms=now - 700 * hour, changed_at_ms=now - 90 * hour,
)
Budget.objects.create(
    team=team, name="Orders", amount_cents=40_000, thresholds=[80, 100], resource="stream/orders-events",
    emails=["mira@acme.example"], created_at_ms=now - 300 * hour, changed_at_ms=now - 300 * hour,
)
Budget.objects.create(
    team=team, name="Research", amount_cents=50_000, thresholds=[50, 80, 100], created_at_ms=now - 10 * hour, changed_at_ms=now,
)
month = str(Month.at(now))
sent, failed = {"ok": True, "text": "Sent", "tries": 1}, {"ok": False, "text": "The answer was 503.", "tries": 5}
for threshold, forecast, figure, ago, told in (
    (50, False, 65_120, 60, {"mira@acme.example": sent, "noel@acme.example": sent, "webhook": failed}),
    (80, True, 104_900, 60, {}),
    (100, True, 131_200, 20, {"mira@acme.example": sent, "webhook": {"ok": True, "text": "HTTP 204", "tries": 2}}),
):
    BudgetAlert.objects.create(
        budget=all_of_it, month=month, threshold=threshold, forecast=forecast, spent_cents=figure, amount_cents=130_000,
        at_ms=now - ago * hour, told=told, attempts=5 if "webhook" in told else 0,
    )
"""
