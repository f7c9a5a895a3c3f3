"""manage.py import_file and manage.py replay."""

import threading

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connections

from apps.streams.models import Ingestion
from console.management import jobs
from tests.domain.streams.control.test_ingestion import stored
from tests.support.runtimes import run_due
from tests.support.teams import make_team

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def worker(control, monkeypatch):
    """A worker in a thread of its own, as long as the test runs."""
    monkeypatch.setattr(jobs, "LOOK_EVERY_S", 0.01)
    stop = threading.Event()

    def work():
        while not stop.wait(0.01):
            run_due(control.runtime, "ingestion")
            control.clock.advance(500)
        connections.close_all()

    thread = threading.Thread(target=work)
    control.clock.set(2**42)  # the commands know the machine's time, the worker this one: everything is due
    thread.start()
    yield control
    stop.set()
    thread.join(120)


def test_a_file_is_imported_and_watched(worker, tmp_path, capsys):
    worker.create("s")
    path = tmp_path / "log.txt"
    path.write_bytes(b"".join(b"line %d\n" % n for n in range(3_000)))
    call_command("import_file", "s", str(path))
    job = Ingestion.objects.get()
    assert (job.status, job.records, job.source["name"]) == ("COMPLETE", 3_000, "log.txt")
    assert len(stored(worker)) == 3_000
    assert f"Job {job.pk} is complete: 3,000 records" in capsys.readouterr().out


def test_a_job_that_fails_ends_the_command_with_its_sentence(worker, tmp_path):
    worker.create("s")
    path = tmp_path / "log.txt"
    path.write_bytes(b"x" * 2_000_000)
    with pytest.raises(CommandError, match=r"FAILED\. Line 1 is longer"):
        call_command("import_file", "s", str(path))


def test_a_stream_is_replayed(worker, capsys):
    worker.create("s")
    worker.create("t")
    worker.append(worker.shard(0, "s"), b"a", b"b")
    call_command("replay", "s", "t", "--since", "2026-01-01", "--until", "2200-01-01T00:00:00+00:00", "--detach")
    job = Ingestion.objects.get()
    assert job.source["from_ms"] == 1_767_225_600_000
    jobs.watch(job, jobs.Console())
    assert job.status == "COMPLETE"
    assert "is complete" in capsys.readouterr().out


@pytest.mark.usefixtures("no_uploads_of_others")
def test_what_the_commands_refuse(control, tmp_path):
    control.create("s")
    path = tmp_path / "log.txt"
    path.write_bytes(b"x")
    uploads = control.runtime.config.data_path / "imports"
    for match, arguments in {
        "Stream none under account": ("import_file", "none", str(path)),
        "cannot be read": ("import_file", "s", str(tmp_path / "missing")),
        "There is no team nobody": ("import_file", "s", str(path), "--team", "nobody"),
        "is not a time": ("replay", "s", "t", "--since", "yesterday"),
        "into itself": ("replay", "s", "s"),
    }.items():
        with pytest.raises(CommandError, match=match):
            call_command(*arguments)
    assert not list(uploads.glob("*"))
    make_team("210987654321", "second", "AKIDSECOND")
    with pytest.raises(CommandError, match="Name the team with --team"):
        call_command("import_file", "s", str(path))
    call_command("import_file", "s", str(path), "--team", "first", "--detach")
    assert Ingestion.objects.get().team.slug == "first"
    for left in uploads.glob("*"):
        left.unlink()
