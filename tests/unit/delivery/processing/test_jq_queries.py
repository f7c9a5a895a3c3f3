"""jq in a process of its own: right answers, and queries that would eat the machine or look around on it."""

import json
import threading

import pytest

from apps.delivery.processing import jq_queries
from apps.delivery.processing.jq_queries import GIVEN_UP, TOO_MUCH, Queries, problem

RECORD = json.dumps({"id": 7, "ts": 1_700_000_000, "pad": "x" * 500, "deep": {"flag": True, "none": None}}).encode()
TOO_LONG = b'{"slow":true}'


@pytest.fixture(scope="module")
def shared():
    """Processes for queries that harm nobody."""
    queries = Queries()
    yield queries
    queries.close()


@pytest.fixture
def queries(monkeypatch):
    """Processes of the test's own, with little patience."""
    monkeypatch.setattr(jq_queries, "RECORD_CPU_S", 0.1)
    made = Queries()
    yield made
    made.close()


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ('{customer:.id,year:(.ts|strftime("%Y"))}', {"customer": "7", "year": "2023"}),
        ("{a:.deep.flag,b:.deep.none,c:.missing,d:1.5,e:(.ts*1000)}", {"a": "true", "d": "1.5", "e": "1700000000000"}),
        ('{"a b":"☃\\n"}', {"a b": "☃\n"}),
        ("{}", {}),
        ("{a:(1,2)}", jq_queries.Answer),
        ("empty", jq_queries.Answer),
        (".", "The value of 'deep' is no string, number or boolean"),
        (".id", "The query must answer one object for each record"),
        ("{a:(.id|keys)}", "number (7) has no keys"),
        ('error("own words")', "own words"),
        ("{a:(.pad*200)}", "The query's answer has more than 65536 bytes"),
        # What a query could learn of the machine, were there anything to learn:
        ("{a:(env|tostring),b:($ENV|tostring),c:input_filename}", {"a": "{}", "b": "{}"}),
        ('{a:(.ts|strflocaltime("%Z"))}', {"a": "UTC"}),
        ("{a:input}", "break"),
        ('{a:("/etc/passwd"|modulemeta)}', "module not found: /etc/passwd"),
        ("{a:get_search_list}", "The value of 'a' is no string, number or boolean"),
    ],
)  # fmt: skip
def test_answers(shared, query, answer):
    (found,) = shared.ask(1, query, [RECORD])
    if answer is jq_queries.Answer:
        answer = "The query must answer one object for each record"
    assert found == answer


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b" ",
        b'{"a":1}{"a":2}',
        b'{"a":1',
        b"\xff",
        b'{"a":"\x00"}',
        b"[" * 20_000,
        b'{"a":' * 20_000,
        b"[1]",
        b'"a"',
        b"\x00",
    ],
)
def test_a_record_that_is_none_fails_alone(shared, record):
    bad, good = shared.ask(1, "{a:.a}", [record, b'{"a":5}'])
    assert isinstance(bad, str)
    assert bad
    assert good == {"a": "5"}


def test_a_record_is_exactly_what_is_asked_about(shared):
    assert shared.ask(1, "{a:.a}", [b'{"a":"\\u0000"}', b'\xef\xbb\xbf{"a":1,"a":2}\n']) == [{"a": "\0"}, {"a": "2"}]


def test_many_records_in_order(shared):
    records = [json.dumps({"n": n, "pad": "x" * (n % 3_000)}).encode() for n in range(2_000)]
    assert shared.ask(1, "{n:.n}", records) == [{"n": str(n)} for n in range(2_000)]
    assert shared.ask(1, "{n:.n}", []) == []


@pytest.mark.parametrize(
    "query",
    [
        "def f: f; if .slow then f else {} end",
        "if .slow then [range(1e9)] else {} end",
        "def f: [f]; if .slow then f else {} end",
    ],
)  # fmt: skip
def test_a_record_that_takes_too_much_fails_alone(queries, query):
    assert queries.ask(1, query, [b"{}", b"{}", TOO_LONG, b"{}"]) == [{}, {}, TOO_MUCH, {}]


def test_a_query_that_takes_too_much_for_all_is_given_up(queries):
    answers = queries.ask(1, "def f: f; f", [b"{}"] * 300)
    assert answers == [TOO_MUCH] * 3 + [GIVEN_UP] * 297


def test_a_query_that_is_slow_for_all_is_given_up(queries, monkeypatch):
    ask = jq_queries._Process.ask
    monkeypatch.setattr(
        jq_queries._Process, "ask", lambda *args, **options: (ask(*args, **options)[0], jq_queries.RUN_CPU_S)
    )
    assert queries.ask(1, "{}", [b"{}"] * 200) == [{}] * 128 + [GIVEN_UP] * 72


def test_a_process_that_stands_still_is_left(queries, monkeypatch):
    queries.ask(1, "{}", [b"{}"])
    (process,) = queries._idle
    monkeypatch.setattr(jq_queries, "FRAME_WALL_S", 0.1)
    process._process.send_signal(19)  # SIGSTOP
    answers, _ = process.ask([b"{}"] * 100_000, at_once=False)
    assert answers == []
    assert not process.is_well


def test_a_process_that_was_killed_meanwhile_is_replaced(queries):
    queries.ask(1, "{}", [b"{}"])
    queries._idle[0]._process.kill()
    queries._idle[0]._process.wait()
    assert queries.ask(1, "{}", [b"{}", b"{}"]) == [{}, {}]
    assert (len(queries._idle), queries._begun) == (1, 1)


def test_a_process_serves_one_team_and_one_query(queries):
    for owner, query in ((1, "{}"), (2, "{}"), (1, "{a:1}"), (1, "{}")):
        queries.ask(owner, query, [b"{}"])
    assert sorted((one.owner, one.query) for one in queries._idle) == [(1, "{a:1}"), (1, "{}"), (2, "{}")]


def test_so_many_processes_and_no_more(queries, monkeypatch):
    monkeypatch.setattr(jq_queries, "PROCESSES_MAX", 2)
    found = {}

    def ask(owner):
        found[owner] = queries.ask(owner, "{a:.a}", [b'{"a":%d}' % owner] * 200)

    threads = [threading.Thread(target=ask, args=(owner,)) for owner in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == {owner: [{"a": str(owner)}] * 200 for owner in range(6)}
    assert queries._begun <= 2
    idle = list(queries._idle)
    queries.close()
    assert [one._process.poll() is None for one in idle] == [False] * len(idle)
    assert queries._begun == 0


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("{a:.a}", ""),
        ("{a:", "syntax error"),
        ("{a:nosuch}", "nosuch/0 is not defined"),
        ("{a:$nosuch}", "$nosuch is not defined"),
        ('import "/etc/passwd" as $x; {a:$x}', "module not found"),
        ('import "passwd" as $x {search:"/etc"}; {a:$x}', "module not found"),
        ('include "x"; {}', "module not found"),
        ("[" * 5_000, "jq: error"),
        ("\ud800", "syntax error"),
        ("reduce range(1e9) as $x (0;.+1) |" * 150 + "{}", ""),
    ],
)
def test_what_is_wrong_with_a_query(query, wrong):
    found = problem(query)
    assert (wrong in found) if wrong else not found
