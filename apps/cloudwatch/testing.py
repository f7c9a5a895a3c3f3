"""A notification to see whether it arrives: what an alarm would send is sent now, and marked as a test."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import msgspec

from apps.access import changes
from apps.access.changes import Actor
from apps.cloudwatch import history
from apps.cloudwatch.actions import attempt
from apps.cloudwatch.alarms import ACTIONS_OF, arn_of, message_of
from apps.cloudwatch.models import Alarm, Delivery, HistoryKind, State
from apps.runtime import Runtime

AT_ONCE = 5
REASON = "This is a test that somebody asked for. The alarm's state has not changed."


@dataclass(frozen=True, slots=True)
class Sent:
    """One notification. problem: why it did not arrive; None: it did."""

    target: str
    problem: str | None


def targets_of(alarm: Alarm) -> list[str]:
    """Where the alarm sends to, in any state; each once."""
    return list(dict.fromkeys(target for name in ACTIONS_OF.values() for target in alarm.settings.get(name) or ()))


def notify(runtime: Runtime, alarm: Alarm, *, by: Actor) -> list[Sent]:
    """Send once to each target and wait; no retries. Not in a transaction: it waits for networks."""
    now_ms = runtime.clock.now_ms()
    body = msgspec.json.encode(message_of(runtime, alarm, State(alarm.state), State(alarm.state), REASON, now_ms))
    deliveries = [
        Delivery(team_id=alarm.team_id, alarm_name=alarm.name, target=target, body=body.decode(), due_at_ms=now_ms)
        for target in targets_of(alarm)
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        problems = list(pool.map(lambda delivery: attempt(runtime, delivery), deliveries))
    sent = [Sent(delivery.target, problem) for delivery, problem in zip(deliveries, problems, strict=True)]
    for one in sent:
        told = {
            "actionState": "Failed" if one.problem else "Succeeded",
            "notificationResource": one.target,
            "test": True,
        }
        words = f"Test notification to {one.target} {'failed' if one.problem else 'was sent'}"
        history.write(
            alarm, HistoryKind.ACTION, now_ms, words, {**told, **({"error": one.problem} if one.problem else {})}
        )
    resource = arn_of(runtime.config, alarm.team.account_id, alarm.name)
    problems_by_target = {one.target: one.problem for one in sent}
    changes.write(by, "TestAlarmNotification", resource, None, {"sent": problems_by_target})
    return sent
