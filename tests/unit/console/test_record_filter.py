"""The data viewer's filter: what it finds, and what it refuses."""

import pytest

from console.pages.record_filter import FilterError, read

DATA = b'{"event": "order.placed", "total": 184.5, "tags": ["a", "b"], "deep": {"x": null, "on": true}, "id": "007"}'


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", True),
        ("order.placed", True),
        ("cust", True),
        ("nowhere", False),
        ("key = cust-1", True),
        ("key = cust-2", False),
        ("key contains ust and data.total > 100", True),
        ("key contains ust and data.total > 200", False),
        ('data.event starts_with "order"', True),
        ("data.event ends_with placed", True),
        ("data.event != order.placed", False),
        ("data.total = 184.5", True),
        ("data.total >= 184.5", True),
        ("data.total < 184.5", False),
        ("data.total <= 184.5", True),
        ("data.tags.1 = b", True),
        ("data.tags.5 = b", False),
        ("data.deep.on = true", True),
        ("data.deep.x = null", True),
        ("data.deep.x exists", True),
        ("data.deep.y exists", False),
        ("data.nothing != x", True),
        ("data.id = 007", True),
        ("data.event > 5", False),
        ("data.deep.on > 0", False),
        ("data contains order.placed", True),
        ("size > 50 and size < 500", True),
        ('key = "cust-1"', True),
        ("and", False),
        ("keynote", False),
    ],
)
def test_what_matches(text, found):
    assert read(text).matches("cust-1", DATA) is found


@pytest.mark.parametrize("data", [b"", b"\xff", b"{", b"[]", b"7", b"[" * 100_000])
def test_data_that_is_not_json_has_no_fields(data):
    assert not read("data.a = 1").matches("k", data)
    assert not read("data.a exists").matches(None, data)


@pytest.mark.parametrize(
    "text",
    [
        "data.x ~ 1",
        "data.x = 1 data.y = 2",
        "data.x = 1 and nonsense",
        "data.x = 1 or data.y = 2",
        'key = "open',
        'key = "bad \\q escape"',
        "x" * 1001,
        " and ".join(["key = a"] * 11),
    ],
)
def test_what_is_refused_with_a_sentence(text):
    with pytest.raises(FilterError) as refused:
        read(text)
    assert len(str(refused.value)) > 15


def test_an_empty_filter_is_none():
    assert not read("   ")
    assert read("x")
    assert read("key = x")
