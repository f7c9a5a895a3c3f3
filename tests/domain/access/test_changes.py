"""Changes that are no operation of AWS's, and the states that entries of the trail hold."""

from __future__ import annotations

import json

import pytest
from django.core.management import call_command
from django.db import IntegrityError, InternalError, connection, transaction

from apps.access import audit_guard, changes
from apps.access.changes import Actor
from apps.access.models import AuditEntry

pytestmark = pytest.mark.django_db(transaction=True)

ANN = Actor(
    "111122223333", "arn:aws:iam::111122223333:root", "console", 1_000, 7, "ann@example.com", "abc", "192.0.2.9",
    "Firefox", "r-1",
)  # fmt: skip


def test_an_entry_says_who_changed_what_from_where() -> None:
    changes.write(ANN, "ChangeMemberRole", "member/bob@example.com", {"role": "viewer"}, {"role": "admin"})
    [entry] = AuditEntry.objects.all()
    assert (entry.service, entry.operation, entry.resource) == (
        "console",
        "ChangeMemberRole",
        "member/bob@example.com",
    )
    assert (entry.account_id, entry.owner_account_id, entry.at_ms) == ("111122223333", "111122223333", 1_000)
    assert (entry.person_id, entry.person, entry.session, entry.key_id) == (7, "ann@example.com", "abc", "console")
    assert (entry.source_ip, entry.user_agent, entry.request_id) == ("192.0.2.9", "Firefox", "r-1")
    assert json.loads(entry.before or "") == {"role": "viewer"}
    assert json.loads(entry.after or "") == {"role": "admin"}


def test_what_was_not_there_before_has_no_state() -> None:
    changes.write(ANN, "InviteMember", "member/bob@example.com", None, {"role": "viewer"})
    [entry] = AuditEntry.objects.all()
    assert entry.before is None
    assert entry.after is not None


def test_new_columns_are_guarded_like_the_old_ones() -> None:
    changes.write(ANN, "X", "x", {"a": 1}, None)
    audit_guard.install(connection)
    try:
        with pytest.raises((IntegrityError, InternalError), match="append-only"), transaction.atomic():
            AuditEntry.objects.update(before=None)
    finally:
        audit_guard.remove(connection)


def test_the_newest_migration_leaves_the_guard_in_its_place() -> None:
    """SQLite's triggers go with a table that is rebuilt."""
    audit_guard.install(connection)
    try:
        call_command("migrate", "access", "0003", verbosity=0)
        audit_guard.install(connection)
        call_command("migrate", "access", verbosity=0)
        changes.write(ANN, "X", "x", None, None)
        with pytest.raises((IntegrityError, InternalError), match="append-only"), transaction.atomic():
            AuditEntry.objects.update(operation="Y")
    finally:
        audit_guard.remove(connection)


@pytest.mark.parametrize(
    "state",
    [
        {"policy": "x" * 100_000},
        {"rules": ["x" * 1_000] * 5_000},
        {str(number): "x" * 100 for number in range(10_000)},
        {"x" * 100_000: 1},
    ],
)
def test_a_state_is_bounded_and_says_that_it_was_cut(state: dict[str, object]) -> None:
    text = changes.state_text(state)
    assert text is not None
    assert len(text.encode()) <= changes.STATE_BYTES_MAX
    assert changes.NOTE in json.loads(text)


def test_a_short_state_is_whole() -> None:
    state = {"tags": {"a": "ü"}, "shards": 4, "text": "a\0b"}
    assert json.loads(changes.state_text(state) or "") == {"tags": {"a": "ü"}, "shards": 4, "text": "ab"}


def test_a_session_is_named_without_its_key() -> None:
    assert changes.session_name("") == ""
    assert len(changes.session_name("k" * 32)) == changes.SESSION_CHARS
    assert changes.session_name("a" * 32) != changes.session_name("b" * 32)
