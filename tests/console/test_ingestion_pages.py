"""Asking for an import or a replay, and watching it."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from apps.base.config import Config
from apps.encryption.sealed_text import open_text
from apps.streams.models import Ingestion
from console.pages.page_rows import PLAIN_ROWS
from tests.console.conftest import make_stream, other_team, put, signed_in, text_of
from tests.support.runtimes import run_due

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("served", "stream")]

IMPORT = "/t/first/ingestion/import"
REPLAY = "/t/first/ingestion/replay"


@pytest.fixture(autouse=True)
def no_leftovers(served):
    """Jobs of other tests keep their files in the same data directory."""
    for path in (served.config.data_path / "imports").glob("*"):
        path.unlink()


def upload(client, text=b"one\ntwo\nthree\n", **given):
    values = {
        "target": "orders",
        "key": "line",
        "key_field": "1",
        "key_text": "",
        "file": SimpleUploadedFile("lines.log", text),
    }
    return client.post(IMPORT, {**values, **given})


def test_a_file_is_imported_and_its_progress_shown(client, served):
    answer = upload(client)
    job = Ingestion.objects.get()
    assert answer["Location"] == f"/t/first/ingestion/{job.pk}"
    page = text_of(client.get(answer["Location"]))
    assert "Waiting" in page
    assert 'hx-trigger="every 1s"' in page
    run_due(served, "ingestion")
    page = text_of(client.get(answer["Location"]))
    assert "Complete" in page
    assert 'value="100"' in page
    assert "<dt>Records put</dt><dd>3</dd>" in page
    assert "hx-trigger" not in page.split('id="progress"')[1].split(">")[0]
    assert "lines.log" in text_of(client.get("/t/first/ingestion"))


@pytest.mark.parametrize(
    ("given", "source"),
    [
        ({"key": "line"}, ("", 0)),
        ({"key": "field", "key_field": "2"}, ("", 2)),
        ({"key": "text", "key_text": "all"}, ("all", 0)),
    ],
)
def test_where_keys_come_from(client, given, source):
    upload(client, **given)
    found = Ingestion.objects.get().source
    key = found["sealed_key"] and open_text(Config.from_environment().master_key_path, found["sealed_key"])
    assert (key, found["key_field"]) == source
    assert "all" not in str(found)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"target": "nothing"}, "nothing is not one of the available choices"),
        ({"file": ""}, "required"),
        ({"text": b""}, "empty"),
        ({"key": "field", "key_field": ""}, "Which field"),
        ({"key": "field", "key_field": "0"}, "greater than or equal to 1"),
        ({"key": "text", "key_text": ""}, "Write the partition key"),
        ({"key": "rhyme"}, "rhyme is not one of"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_kept(client, served, given, text):
    answer = upload(client, **given)
    assert answer.status_code == 422
    assert text in text_of(answer)
    assert not Ingestion.objects.exists()
    assert not list((served.config.data_path / "imports").glob("*"))


def test_a_job_that_is_refused_leaves_no_file(client, team, served):
    from apps.streams import ingestion

    for _ in range(ingestion.JOBS_MAX):
        Ingestion.objects.create(
            team=team.team, kind="import", target_name="orders", created_at_ms=1, source={"file": "x", "name": "x"}
        )
    answer = upload(client)
    assert answer.status_code == 422
    assert "under way already" in text_of(answer)
    assert not list((served.config.data_path / "imports").glob("*"))


def test_a_time_range_is_replayed(client, team, served, clock):
    put(served, team, "orders", ("a", b"1"), ("b", b"2"))
    make_stream(served, team, "copy")
    clock.advance(5_000)
    answer = client.post(REPLAY, {"source": "orders", "target": "copy", "from_time": "2026-11-20T08:00", "to_time": ""})
    clock.advance(5_000)
    run_due(served, "ingestion")
    page = text_of(client.get(answer["Location"]))
    assert "Complete" in page
    assert "20 Nov 2026, 08:00:00 UTC to 20 Nov 2026, 08:31:12 UTC" in page
    assert Ingestion.objects.get().records == 2


def test_a_replay_begins_with_two_streams(client, team, served):
    make_stream(served, team, "copy")
    for path, wanted in ((REPLAY, ("copy", "orders")), (f"{REPLAY}?source=orders", ("orders", "copy"))):
        form = client.get(path).context["form"]
        assert (form["source"].value(), form["target"].value()) == wanted


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"from_time": "soon"}, "Write a time like"),
        ({"to_time": "1999"}, "Write a time like"),
        ({"from_time": "2030-01-01"}, "lies in the future"),
        ({"target": "orders"}, "cannot be replayed into itself"),
        ({"source": "nothing"}, "not one of the available choices"),
    ],
)
def test_a_replay_that_makes_no_sense_is_told(client, team, served, given, text):
    make_stream(served, team, "copy")
    values = {"source": "orders", "target": "copy", "from_time": "2026-11-20", "to_time": ""}
    answer = client.post(REPLAY, {**values, **given})
    assert answer.status_code == 422
    assert text in text_of(answer)


def test_a_job_is_cancelled_once(client, served):
    upload(client)
    job = Ingestion.objects.get()
    assert "is cancelled" in text_of(client.post(f"/t/first/ingestion/{job.pk}/cancel", follow=True))
    assert "had ended already" in text_of(client.post(f"/t/first/ingestion/{job.pk}/cancel", follow=True))
    assert Ingestion.objects.get().status == "CANCELLED"


def test_older_jobs_are_on_further_pages(client, team):
    Ingestion.objects.bulk_create(
        Ingestion(team=team.team, kind="import", target_name="orders", created_at_ms=n, status="FAILED", source={"name": f"job {n:02}"})
        for n in range(PLAIN_ROWS + 2)
    )  # fmt: skip
    assert f"1 to {PLAIN_ROWS} of {PLAIN_ROWS + 2} jobs" in text_of(client.get("/t/first/ingestion"))
    page = text_of(client.get("/t/first/ingestion?page=2"))
    assert "job 00" in page
    assert "job 02" not in page
    upload(client)
    assert 'hx-get="/t/first/ingestion?page=1"' in text_of(client.get("/t/first/ingestion?page=1"))


def test_another_teams_job_is_not_there(client, served):
    upload(client)
    job = Ingestion.objects.get().pk
    stranger = signed_in(other_team())
    for path in (f"/t/first/ingestion/{job}", f"/t/second/ingestion/{job}"):
        assert stranger.get(path).status_code == 404
    assert stranger.post(f"/t/second/ingestion/{job}/cancel").status_code == 404
    assert client.get(f"/t/first/ingestion/{10**30}").status_code == 404


def test_replaying_needs_to_read_as_well(served, team):
    from apps.accounts.roles import Role
    from console.pages.shell import allowed

    assert all(allowed(role, "record:read") for role in Role.values if allowed(role, "record:write"))
