"""Looking things up in the trail: what a team may see, page by page, and at what cost."""

from __future__ import annotations

from typing import Any

import pytest

from apps.access import audit, search
from apps.access.models import AuditEntry
from apps.access.search import Position, Wanted

pytestmark = pytest.mark.django_db

A, B, C = "111111111111", "222222222222", "333333333333"
ORDERS = f"arn:aws:kinesis:us-east-1:{A}:stream/orders"


def write(at_ms: int, **fields: Any) -> AuditEntry:
    given = {
        "account_id": A, "owner_account_id": A, "principal": f"arn:aws:iam::{A}:root", "key_id": "AKIA1",
        "service": "kinesis", "operation": "AddTagsToStream", "resource": ORDERS, "source_ip": "192.0.2.1",
        "endpoint_id": "", "user_agent": "boto3", "request_id": f"r{at_ms}", "outcome": "", "message": "",
        "is_data": False, **fields,
    }  # fmt: skip
    made = AuditEntry(at_ms=at_ms, resource_key=audit.resource_key(given["resource"]), **given)
    audit.write(made)
    return made


def times(wanted: Wanted, limit: int = 50, **more: Any) -> list[int]:
    return [row.at_ms for row in search.page(wanted, limit, **more).rows]


def test_pages_follow_one_another_without_gap_or_double() -> None:
    for at_ms in (1, 2, 2, 2, 3, 4, 5):
        write(at_ms)
    write(3, owner_account_id=B, resource=f"arn:aws:kinesis:us-east-1:{B}:stream/x")
    seen, before = [], None
    while True:
        found = search.page(Wanted(A), 3, before)
        seen += [row.pk for row in found.rows]
        if found.more is None:
            break
        before = Position.read(str(found.more))
    assert len(seen) == len(set(seen)) == 8
    assert [row.at_ms for row in search.page(Wanted(A), 50).rows] == [5, 4, 3, 3, 2, 2, 2, 1]


def test_a_team_sees_what_it_did_and_what_was_done_to_what_it_owns() -> None:
    write(1)
    write(2, account_id=B, principal=f"arn:aws:iam::{B}:root", person="bob@example.com", person_id=5, session="s")
    write(3, owner_account_id=B, resource=f"arn:aws:kinesis:us-east-1:{B}:stream/x", before="{}", after="{}")
    write(4, account_id=C, owner_account_id=C, resource=f"arn:aws:kinesis:us-east-1:{C}:stream/x")
    rows = {row.at_ms: row for row in search.page(Wanted(A), 50, states=True).rows}
    assert list(rows) == [3, 2, 1]
    assert times(Wanted(A, who=("bob",))) == times(Wanted(A, words=("bob",))) == []
    assert (rows[2].person, rows[2].person_id, rows[2].session) == (None, None, None)
    assert (rows[3].before, rows[3].after) == (None, None)
    others = AuditEntry.objects.get(at_ms=4)
    assert search.entry(A, others.pk) is None
    assert search.entry(C, others.pk) is not None
    theirs = search.entry(A, rows[3].pk)
    assert theirs is not None
    assert theirs.before is None


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"who": ("ann",)}, [2]),
        ({"who": ("user/eve",)}, [3]),
        ({"operation": "delete"}, [3]),
        ({"key": "AKIA2"}, [4]),
        ({"outcome": "ok"}, [5, 4, 2, 1]),
        ({"outcome": "failed"}, [3]),
        ({"outcome": "accessdeniedexception"}, [3]),
        ({"kind": "data"}, [5]),
        ({"kind": "looks"}, [4]),
        ({"kind": "changes"}, [3, 2, 1]),
        ({"resource": ORDERS}, [6, 3, 2, 1]),
        ({"about": ("PAYMENTS",)}, [5]),
        ({"words": ("denied", "deletestream")}, [3]),
        ({"address": "198.51"}, [2]),
        ({"request_id": "r4"}, [4]),
        ({"since_ms": 2, "until_ms": 4}, [3, 2]),
        ({"service": "glue"}, []),
    ],
)
def test_filters(wanted: dict[str, Any], found: list[int]) -> None:
    write(1)
    write(2, person="Ann@example.com", source_ip="198.51.100.3")
    write(3, principal=f"arn:aws:iam::{A}:user/eve", operation="DeleteStream", outcome="AccessDeniedException")
    write(4, key_id="AKIA2", operation="ListStreams", resource="*")
    write(5, operation="PutRecords", is_data=True, resource=f"arn:aws:kinesis:us-east-1:{A}:stream/payments")
    if "resource" in wanted:
        write(6, operation="DeregisterStreamConsumer", resource=f"{ORDERS}/consumer/x:1")
    assert times(Wanted(A, **wanted)) == found


def test_a_search_looks_at_so_many_and_says_how_far(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "SCAN_MAX", 3)
    write(1, person="ann@example.com")
    for at_ms in range(2, 10):
        write(at_ms)
    wanted = Wanted(A, who=("ann",))
    found = search.page(wanted, 50)
    assert (found.rows, found.looked_to_ms) == ([], 6)
    looks = 1
    while found.more is not None and not found.rows:
        found, looks = search.page(wanted, 50, found.more), looks + 1
    assert [row.at_ms for row in found.rows] == [1]
    assert looks == 3


def test_both_sides_look_equally_far(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "SCAN_MAX", 2)
    for at_ms in (10, 20, 30, 40):
        write(at_ms, person="ann@example.com")
    write(5, owner_account_id=B, person="ann@example.com", resource=f"arn:aws:kinesis:us-east-1:{B}:stream/x")
    wanted, seen, before = Wanted(A, who=("ann",)), [], None
    for _ in range(5):
        found = search.page(wanted, 50, before)
        seen += [row.at_ms for row in found.rows]
        if found.more is None:
            break
        before = found.more
    assert seen == [40, 30, 20, 10, 5]


def test_what_is_newer_is_found_also_when_it_was_written_late() -> None:
    last = write(100_000)
    write(90_000, is_data=True, operation="PutRecords")
    write(110_000)
    rows, more = search.newer(Wanted(A), Position(last.at_ms, last.pk), 10)
    assert [row.at_ms for row in rows] == [110_000, 90_000]
    assert not more
    assert search.newer(Wanted(A), Position(last.at_ms, last.pk), 1)[1]


def test_all_of_them_are_read_in_chunks() -> None:
    for at_ms in range(1, 12):
        write(at_ms, before='{"a": 1}')
    rows = list(search.every(Wanted(A), 10, chunk=3))
    assert [row.at_ms for row in rows] == list(range(11, 1, -1))
    assert rows[0].before == '{"a": 1}'


@pytest.mark.parametrize("text", ["", "-", "1-", "-1", "a-1", "1-b", "1-2-3", "9" * 30 + "-1", "\u0661-1"])
def test_what_is_no_position(text: str) -> None:
    assert Position.read(text) is None
