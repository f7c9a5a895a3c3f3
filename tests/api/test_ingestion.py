"""Imports and replays over REST."""

import pytest

from apps.streams.models import Ingestion
from tests.api.conftest import api_of
from tests.api.test_envelope import problem
from tests.console.conftest import make_stream
from tests.support.teams import make_team

FILE = "application/octet-stream"


@pytest.fixture
def orders(served, team):
    make_stream(served, team, "again", 1)
    return make_stream(served, team, "orders", 1)


def send(api, query, body, kind=FILE):
    headers = {"authorization": f"Bearer {api.token}"}
    return api._client.generic(
        "POST", f"/api/v1/ingestion/imports?{query}", body, kind, headers=headers, CONTENT_TYPE=kind
    )


def test_a_replay_is_started_watched_and_cancelled(api, orders):
    body = {"source": "orders", "target": "again", "from_ms": 0}
    answer = api.post("/ingestion/replays", body, idempotency_key="k")
    assert answer.status_code == 201, answer.content
    told = answer.json()
    assert (told["kind"], told["status"], told["source"], told["target"]) == ("replay", "WAITING", "orders", "again")
    assert api.post("/ingestion/replays", body, idempotency_key="k").json() == told
    assert api.get(f"/ingestion/{told['id']}").json() == told
    assert api.get("/ingestion?kind=replay&status=WAITING").json()["items"] == [told]
    assert api.get("/ingestion?kind=import").json()["items"] == []
    assert api.post(f"/ingestion/{told['id']}/cancel").json()["status"] == "CANCELLED"
    problem(api.post(f"/ingestion/{told['id']}/cancel"), 409)
    problem(api.get("/ingestion/999999"), 404)
    problem(api.get(f"/ingestion/{2**64}"), 404)


def test_what_cannot_be_replayed_is_said(api, orders):
    assert (
        "into itself"
        in problem(api.post("/ingestion/replays", {"source": "orders", "target": "orders", "from_ms": 0}), 400)[
            "detail"
        ]
    )
    problem(api.post("/ingestion/replays", {"source": "none", "target": "orders", "from_ms": 0}), 404)
    problem(api.post("/ingestion/replays", {"source": "orders", "target": "again", "from_ms": 2**53 - 1}), 400)
    problem(api.post("/ingestion/replays", {"source": "orders", "target": "again", "from_ms": 2**53}), 400)
    problem(api.post("/ingestion/replays", {"source": "orders", "target": "again"}), 400)


def test_a_file_is_imported_as_it_is(api, orders):
    answer = send(api, "target=orders&name=a.log&key_field=2", b"one 1\ntwo 2\n" * 300_000)
    assert answer.status_code == 201, answer.content
    told = answer.json()
    assert (told["kind"], told["source"], told["target"]) == ("import", "a.log", "orders")
    assert Ingestion.objects.get().total == 3_600_000


def test_what_cannot_be_imported_is_said(api, orders):
    problem(send(api, "target=orders", b""), 400)
    problem(send(api, "target=none", b"x"), 404)
    problem(send(api, "target=orders&key_field=1&partition_key=a", b"x"), 400)
    problem(send(api, "target=orders", b"x", "text/html"), 415)
    problem(send(api, "", b"x"), 400)
    assert not Ingestion.objects.exists()


def test_what_a_token_may_not_is_said(api, orders, team):
    api.post("/ingestion/replays", {"source": "orders", "target": "again", "from_ms": 0})
    job = Ingestion.objects.get().pk
    reader = api_of(team.user, team.team, ["stream:read"])
    assert reader.get("/ingestion").status_code == 200
    assert problem(send(reader, "target=orders", b"x"), 403)["needs"] == "record:write"
    assert problem(reader.post("/ingestion/replays", {}), 403)["needs"] == "record:write"
    assert problem(reader.post(f"/ingestion/{job}/cancel"), 403)["needs"] == "record:write"
    writer = api_of(team.user, team.team, ["record:write"])
    body = {"source": "orders", "target": "again", "from_ms": 0}
    assert problem(writer.post("/ingestion/replays", body), 403)["needs"] == "record:read"
    assert problem(writer.get("/ingestion"), 403)["needs"] == "stream:read"


def test_another_teams_jobs_are_not_there(api, orders, served):
    api.post("/ingestion/replays", {"source": "orders", "target": "again", "from_ms": 0})
    job = Ingestion.objects.get().pk
    other = make_team("210987654321", "other", "AKIDOTHER")
    theirs = api_of(other.user, other.team)
    assert theirs.get("/ingestion").json()["items"] == []
    problem(theirs.get(f"/ingestion/{job}"), 404)
    problem(theirs.post(f"/ingestion/{job}/cancel"), 404)
    make_stream(served, other, "theirs", 1)
    problem(theirs.post("/ingestion/replays", {"source": "orders", "target": "theirs", "from_ms": 0}), 404)
    problem(send(theirs, "target=orders", b"x"), 404)
