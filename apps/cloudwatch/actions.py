"""What an alarm does when its state changes: a webhook (`https://…`) is called, a mail (`mailto:…`) is sent.

AWS's actions are ARNs of services that Tidegate does not have, so its own are URIs; others are refused when the alarm is
put. Each is tried ATTEMPTS_MAX times, then given up; both ends stand in the alarm's history. Delivered at least once: a
worker that dies after the call and before it is written down makes it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote

import msgspec
import structlog
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.core.validators import validate_email
from django.db import transaction

from apps.base import outgoing
from apps.base.outgoing import OutgoingFailed, OutgoingRefused
from apps.base.units import SECOND_MS
from apps.cloudwatch import history
from apps.cloudwatch.models import Alarm, Delivery, HistoryKind
from apps.leases.progress import Progress
from apps.runtime import Runtime

log = structlog.get_logger(__name__)

MAILTO = "mailto:"
DEADLINE_S = 5.0
"""For one webhook, from the look-up of its name to the end of its answer."""

ATTEMPTS_MAX = 5
RETRY_AFTER_MS = tuple(seconds * SECOND_MS for seconds in (5, 30, 120, 600))
"""After the first attempt, the second, …"""

HEADERS = {"content-type": "application/json; charset=UTF-8", "user-agent": "Tidegate-Alarm"}


def check(target: str, *, allow_private: bool) -> str | None:
    """What is wrong with an action's target; None: nothing."""
    if target.startswith(MAILTO):
        try:
            validate_email(unquote(target.removeprefix(MAILTO)))
        except ValidationError:
            return "It is no mail address."
        return None
    if target.startswith("arn:"):
        return "Tidegate has no such services; use https://… for a webhook or mailto:… for a mail."
    try:
        outgoing.check_url(target, allow_private=allow_private)
    except OutgoingRefused as error:
        return str(error)
    return None


def deliver(runtime: Runtime, team_id: int, until_ms: int) -> Progress | int:
    """Do the team's actions that are due: MORE, DONE if nothing is left, or when the next one is due."""
    while runtime.clock.now_ms() + DEADLINE_S * SECOND_MS < until_ms:
        now_ms = runtime.clock.now_ms()
        delivery = Delivery.objects.filter(team_id=team_id).order_by("due_at_ms", "id").first()
        if delivery is None:
            return Progress.DONE
        if delivery.due_at_ms > now_ms:
            return delivery.due_at_ms
        _note(runtime, delivery, attempt(runtime, delivery))
    return Progress.MORE


def attempt(runtime: Runtime, delivery: Delivery) -> str | None:
    """Do it; what went wrong, None: nothing."""
    if delivery.target.startswith(MAILTO):
        return _mail(delivery)
    done, what = call_webhook(runtime, delivery.target, delivery.body.encode(), HEADERS)
    return None if done else what


def call_webhook(runtime: Runtime, url: str, body: bytes, headers: Mapping[str, str]) -> tuple[bool, str]:
    """POST to an address that somebody chose: whether it was taken, and what came of it. Never raises; the text says nothing
    of the address, which may carry a secret."""
    try:
        status = outgoing.post(url, body, headers, allow_private=runtime.config.outgoing_private, deadline_s=DEADLINE_S)
    except (OutgoingRefused, OutgoingFailed) as error:
        return False, str(error)
    except Exception as error:
        log.exception("webhook_failed")
        return False, type(error).__name__
    return (True, f"HTTP {status}") if 200 <= status < 300 else (False, f"The answer was {status}.")


def _mail(delivery: Delivery) -> str | None:
    told = msgspec.json.decode(delivery.body)
    subject = f"{told['NewStateValue']}: {told['AlarmName']}".replace("\n", " ").replace("\r", " ")
    lines = [
        f"The alarm {told['AlarmName']} is now {told['NewStateValue']}; it was {told['OldStateValue']}.",
        "",
        told["NewStateReason"],
        "",
        f"At {told['StateChangeTime']} in {told['Region']}, account {told['AWSAccountId']}.",
        told["AlarmArn"],
    ]
    if told["AlarmDescription"]:
        lines[2:2] = [told["AlarmDescription"], ""]
    try:
        EmailMessage(subject[:200], "\n".join(lines), to=[unquote(delivery.target.removeprefix(MAILTO))]).send()
    except Exception as error:  # noqa: BLE001 - a mail server can fail in any way; it is tried again
        return f"{type(error).__name__}: {error}"[:200]
    return None


@transaction.atomic
def _note(runtime: Runtime, delivery: Delivery, problem: str | None) -> None:
    """Write the end down, or when to try again."""
    now_ms = runtime.clock.now_ms()
    delivery.attempts += 1
    over = problem is None or delivery.attempts >= ATTEMPTS_MAX
    if over:
        delivery.delete()
    else:
        delivery.due_at_ms = now_ms + RETRY_AFTER_MS[delivery.attempts - 1]
        delivery.save(update_fields=["attempts", "due_at_ms"])
    log.info("alarm_action", alarm=delivery.alarm_name, attempts=delivery.attempts, problem=problem, over=over)
    if not over:
        return
    done = "Successfully executed" if problem is None else "Failed to execute"
    alarm = Alarm(team_id=delivery.team_id, name=delivery.alarm_name)
    told = {"actionState": "Succeeded" if problem is None else "Failed", "notificationResource": delivery.target}
    more = {} if problem is None else {"error": problem, "attempts": delivery.attempts}
    history.write(alarm, HistoryKind.ACTION, now_ms, f"{done} action {delivery.target}", {**told, **more})
