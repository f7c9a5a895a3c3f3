"""Leases that a newcomer takes over (apps/leases/takeover.py), on whatever database the tests run on."""

import pytest

from apps.leases import takeover
from apps.leases.models import Lease

pytestmark = pytest.mark.django_db

NOW_MS = 1_795_163_467_000
TTL_MS = QUIET_MS = 5_000


def seize(key="1/2", owner="a", at_ms=0):
    return takeover.seize("fanout", key, owner, NOW_MS + at_ms, TTL_MS, QUIET_MS)


def renew(owner, keys, at_ms=0):
    return takeover.renew_all("fanout", owner, keys, NOW_MS + at_ms, TTL_MS)


def test_the_last_caller_wins_but_not_too_soon():
    assert seize(owner="a") == 1
    assert seize(owner="b", at_ms=4_999) is None
    assert seize(owner="b", at_ms=5_000) == 2
    assert seize(owner="a", at_ms=9_999) is None
    assert seize(owner="a", at_ms=10_000) == 3
    assert Lease.objects.get().owner == "a"


def test_keys_are_apart():
    assert seize("1/2") == seize("1/3") == 1


def test_a_renewal_names_what_is_still_held_and_changes_nothing_else():
    seize("1/2", "a")
    seize("1/3", "a")
    seize("1/4", "b")
    seize("1/2", "b", at_ms=5_000)
    assert renew("a", ["1/2", "1/3", "1/4", "1/9"], at_ms=6_000) == {"1/3": 1}
    assert dict(Lease.objects.values_list("key", "expires_at_ms")) == {
        "1/2": NOW_MS + 10_000, "1/3": NOW_MS + 11_000, "1/4": NOW_MS + 5_000,
    }  # fmt: skip
    assert seize("1/3", "b", at_ms=6_000) == 2  # a renewal does not begin the quiet time anew


def test_a_renewal_is_one_statement(django_assert_num_queries):
    keys = [f"1/{i}" for i in range(300)]
    for key in keys:
        seize(key)
    with django_assert_num_queries(1):
        assert len(renew("a", keys)) == 300


def test_a_time_far_ahead_counts_as_past():
    assert seize(at_ms=3_600_000) == 1  # by a clock gone wrong
    assert seize(owner="b") == 2


def test_what_ran_out_long_ago_is_forgotten():
    seize("1/2", "a")
    seize("1/3", "a", at_ms=60_000)
    assert takeover.sweep("fanout", NOW_MS + 30_000) == 1
    assert Lease.objects.get().key == "1/3"
    assert renew("a", ["1/2"]) == {}
