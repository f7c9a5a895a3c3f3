"""Attempts to sign in that failed, in the trail of the teams of the person whose account it was.

Nothing is written of an address that is nobody's, and never what was typed: people type passwords into the wrong field. It is
written in the background, so that the time an answer takes does not tell whether the address is somebody's. So many a person
and hour, as a flood must not fill a trail that nobody can tidy; how many were left out stands in the next entry.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cache as once
from typing import Final

import structlog
from django.core.cache import cache
from django.db import connection, transaction
from django.http import HttpRequest

from apps.access.changes import Actor
from apps.accounts.models import User
from apps.base.units import DAY_MS, HOUR_MS, SECOND_MS
from console import calls
from console.pages import words
from console.sign_in import trail

log = structlog.get_logger(__name__)

ENTRIES_PER_HOUR: Final = 10
"""Of one person, in each of their teams."""

WAITING_MAX: Final = 200
"""Attempts that wait to be written; of more there is a line in the log."""

LEFT_OUT_KEPT_S: Final = 30 * DAY_MS // SECOND_MS

SIGN_IN, AGAIN = "ConsoleLogin", "ProveIdentity"
"""Signing in; proving again who one is, before something that matters."""

WRONG_PASSWORD = ("WrongPassword", "The password was not right.")
WRONG_STEP = ("WrongSecondStep", "The code or passkey was not right.")
TOO_MANY = ("TooManyAttempts", "There were too many attempts before this one, so it was not looked at.")
SWITCHED_OFF = ("SwitchedOff", "The account is switched off.")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One that failed. email: as typed; of nobody, perhaps. result: code and sentence."""

    by: Actor
    email: str
    operation: str
    result: tuple[str, str]


def note(request: HttpRequest, email: str, operation: str, result: tuple[str, str]) -> None:
    """Write an attempt down, if it was at somebody's account; returns at once."""
    attempt = Attempt(calls.actor(request), email.strip().lower(), operation, result)
    with _lock:
        _waiting.difference_update([one for one in _waiting if one.done()])
        if len(_waiting) >= WAITING_MAX:
            log.warning("failed_sign_in_not_written", waiting=len(_waiting))
            return
        _waiting.add(later(_write_apart, attempt))


def left_out(user: User) -> int:
    """Take how many attempts of this person were not written since the last entry."""
    key = _left_out_key(user)
    count: int = cache.get(key, 0)
    if count:
        cache.delete(key)
    return count


def settle() -> None:
    """Wait for everything that was noted in this process."""
    with _lock:
        waiting = set(_waiting)
    wait(waiting)


def write(attempt: Attempt) -> None:
    """The entry of an attempt, in each team of the person; none if the address is nobody's, or they have had enough."""
    user = User.objects.filter(email=attempt.email).first()
    if user is None:
        return
    code, sentence = attempt.result
    written = _more(f"sign-in-failed:{user.pk}:{attempt.by.at_ms // HOUR_MS}", HOUR_MS // SECOND_MS)
    if written > ENTRIES_PER_HOUR:
        if _more(_left_out_key(user), LEFT_OUT_KEPT_S) == 1:
            log.warning("failed_sign_ins_left_out", person=user.pk)
        return
    before = left_out(user)
    if before:
        sentence += (
            f" Before this one {words.plural(before, 'failed attempt')} {'was' if before == 1 else 'were'} not listed."
        )
    with transaction.atomic():
        trail.of_failure(attempt.by, user, attempt.operation, code, sentence)


_lock = threading.Lock()
_waiting: set[Future[None]] = set()


@once
def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="failed-sign-ins")


def later(do: Callable[[Attempt], None], attempt: Attempt) -> Future[None]:
    """Run it in the background."""
    return _thread().submit(do, attempt)


def _write_apart(attempt: Attempt) -> None:
    try:
        write(attempt)
    except Exception as error:  # noqa: BLE001 - nobody waits for it, so the log is told
        log.warning("failed_sign_in_not_written", error=f"{type(error).__name__}: {error}"[:300])
    finally:
        connection.close()


def _left_out_key(user: User) -> str:
    return f"sign-in-left-out:{user.pk}"


def _more(key: str, kept_s: int) -> int:
    """One more of what is counted there, and how many that are."""
    if cache.add(key, 1, kept_s):
        return 1
    count: int = cache.incr(key)
    cache.touch(key, kept_s)  # incr leaves it five minutes
    return count
