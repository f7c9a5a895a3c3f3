"""`manage.py up` for real: start, stop, start again, and what it says when it cannot."""

import json
import os
import pwd
import re
import shlex
import socket
import stat
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

from tests.support import postgres, tables
from tests.support.processes import (
    ROOT,
    SOON,
    STARTED_WITHIN_S,
    STOPPED_WITHIN_S,
    Seen,
    Up,
    environment,
    eventually,
    free_port,
    in_session,
    listeners,
    start_up,
    up,
)

pytestmark = [pytest.mark.system, pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")]


def kinesis(endpoint: str, key_id: str, secret: str):
    return boto3.client(
        "kinesis", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=key_id, aws_secret_access_key=secret
    )  # fmt: skip


def pasted(output: str) -> dict[str, str]:
    """The environment that the command printed last gives to `aws`, as a shell reads it."""
    line = re.findall(r"^    (AWS_ACCESS_KEY_ID=.*)$", output, re.MULTILINE)[-1]
    assert " aws kinesis list-streams --endpoint-url http" in line
    shown = subprocess.run(["sh", "-c", line.replace(" aws ", " env | grep ^AWS_; : ")], capture_output=True, text=True)
    return dict(entry.split("=", 1) for entry in shown.stdout.splitlines())


def test_it_starts_stops_and_goes_on_with_the_same_data(tmp_path):
    """From nothing, with its tables; then by make, at whose end it ends. Sockets' paths are limited to about 100 bytes, that
    of the data directory is not, and others may look into it, but not into its files."""
    data = tmp_path / ("long" * 20) / ("name " * 12).strip()
    data.mkdir(parents=True)
    data.chmod(0o755)
    with up(data, migrated=False) as first:
        assert listeners(first.port) == 1
        kept = json.loads((data / "credentials.json").read_text())
        client = kinesis(first.endpoint, kept["access_key_id"], kept["secret_access_key"])
        client.create_stream(StreamName="kept", ShardCount=2)
        client.get_waiter("stream_exists").wait(StreamName="kept", WaiterConfig=SOON)
        put = client.put_record(StreamName="kept", PartitionKey="a", Data=b"still here")
        checked = subprocess.run(
            [sys.executable, "manage.py", "fsck"], cwd=ROOT, env=environment(TIDEGATE_DATA_DIR=str(data)), capture_output=True, text=True
        )  # fmt: skip
        assert (checked.returncode, checked.stdout) == (0, "2 shards, 1 batches, 1 records checked.\n")
        assert_closed(data)
        assert first.stop() == 0
        assert first.tree() == []
        assert listeners(first.port) == 0
        shown = first.output()
    assert f"http://localhost:{first.port}" in shown
    assert kept["admin_password"] in shown
    assert f"http://localhost:{first.port}/setup?token=" in shown
    assert (
        pasted(shown).items()
        >= {
            "AWS_ACCESS_KEY_ID": kept["access_key_id"],
            "AWS_SECRET_ACCESS_KEY": kept["secret_access_key"],
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items()
    )
    assert_closed(data)

    with up(data, command=("make", "-s", "up")) as second:
        assert head(second).parent == second.process.pid, "no shell stands between make and `up`"
        again = second.output()
        assert json.loads((data / "credentials.json").read_text()) == kept
        client = kinesis(second.endpoint, kept["access_key_id"], kept["secret_access_key"])
        iterator = client.get_shard_iterator(
            StreamName="kept", ShardId=put["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )
        records = client.get_records(ShardIterator=iterator["ShardIterator"])["Records"]
        assert [record["Data"] for record in records] == [b"still here"]
        second.stop()
        eventually(lambda: not second.tree(), what="everything ends with make")
    assert kept["admin_password"] not in again
    assert kept["secret_access_key"] not in again
    assert pasted(again)["AWS_SECRET_ACCESS_KEY"] == kept["secret_access_key"]


def assert_closed(data: Path) -> None:
    """No file of the data directory is anybody else's, whatever its own mode."""
    found = {path.name: stat.S_IMODE(path.stat().st_mode) for path in data.iterdir()}
    assert {"control.sqlite3", "credentials.json", "log", "master.key", "up.lock"} <= found.keys()
    assert {name: mode for name, mode in found.items() if mode & 0o077} == {}
    assert found["credentials.json"] == 0o600


def head(started: Up) -> Seen:
    """The process that is `up`. A child has its name until it begins its own program."""
    called = [seen for seen in started.tree() if seen.command.endswith("manage.py up")]
    [found] = [seen for seen in called if seen.parent not in {other.pid for other in called}]
    return found


def test_it_ends_with_a_make_that_is_killed(tmp_path):
    tables.lay(tmp_path / "data")
    started = start_up(tmp_path / "data", command=("make", "-s", "up"))
    try:
        # Which calls itself another name, without dashes, soon after it has started.
        eventually(
            lambda: any("unixsocket" in seen.command for seen in started.tree()), STARTED_WITHIN_S, "`up` has a child"
        )
        assert head(started).parent == started.process.pid
        started.process.kill()
        started.process.wait(STOPPED_WITHIN_S)
        eventually(lambda: not in_session(started.process.pid), what="everything ends")
    finally:
        started.end()


def bootstrap(data_dir: Path) -> None:
    """`manage.py bootstrap` on the folder."""
    made = subprocess.run(
        [sys.executable, "manage.py", "bootstrap"],
        cwd=ROOT, env=environment(TIDEGATE_DATA_DIR=str(data_dir)), capture_output=True, text=True,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr


def refusal(data_dir: Path, command=(), user=None, **settings) -> str:
    """What `up` says when it cannot start: one sentence on one line, exit code 1, no traceback."""
    done = subprocess.run(
        [*(command or (sys.executable, "manage.py", "up"))],
        cwd=ROOT, capture_output=True, text=True, timeout=STARTED_WITHIN_S, user=user, start_new_session=True,
        env=environment(**({"TIDEGATE_DATA_DIR": str(data_dir), "TIDEGATE_PORT": str(free_port())} | settings)),
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stdout
    return lines[0]


def manage(command: str) -> tuple[str, ...]:
    """Another command than `up`."""
    return sys.executable, "manage.py", command


def test_a_taken_port(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refusal(tmp_path / "data", TIDEGATE_PORT=str(port))
    assert f"port {port} on 127.0.0.1 is taken" in said
    assert "TIDEGATE_PORT" in said
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700, "made by then, for this user alone"


def test_an_address_of_another_machine(tmp_path):
    assert "TIDEGATE_HOST" in refusal(tmp_path / "data", TIDEGATE_HOST="192.0.2.1")


def test_a_data_directory_that_cannot_be_used(tmp_path):
    (tmp_path / "file").write_text("in the way")
    said = refusal(tmp_path / "file" / "data")
    assert "The data directory" in said
    assert "TIDEGATE_DATA_DIR" in said


@pytest.mark.skipif(os.getuid() != 0, reason="only root can lend another user")
def test_a_data_directory_of_somebody_else(tmp_path):
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    for folder in (tmp_path, *list(tmp_path.parents)[:-2]):
        folder.chmod(folder.stat().st_mode | 0o055)
    if (
        subprocess.run(["test", "-x", sys.executable], user="nobody").returncode
        or subprocess.run(["test", "-r", str(ROOT / "manage.py")], user="nobody").returncode
    ):
        pytest.skip("another user cannot run this Python at all")
    assert "Permission denied" in refusal(data, user=pwd.getpwnam("nobody").pw_uid)


@pytest.mark.parametrize("name", ["up.lock", "static/staticfiles.json"])
def test_a_part_of_the_data_directory_that_cannot_be_used(tmp_path, name):
    data = tmp_path / "data"
    tables.lay(data)
    (data / name).mkdir(parents=True)  # not to be opened as a file, not even by root
    said = refusal(data)
    assert str(data / name) in said
    assert "cannot be used (Is a directory)" in said


COMMANDS = (
    "audit",
    "buckets list",
    "compact",
    "endpoint list",
    "faults stream",
    "fsck",
    "import_file stream file",
    "quotas",
    "replay one other",
    "scale report stream",
)

ONE_AFTER_ANOTHER = """
import json, runpy, sys
for command in json.loads(sys.argv[1]):
    sys.argv = ["manage.py", *command.split()]
    try:
        runpy.run_path("manage.py", run_name="__main__")
    except SystemExit as ended:
        sys.stderr.write(f"|{ended.code}\\n" if isinstance(ended.code, int) else f"{ended.code}|1\\n")
"""
"""Commands in one process: each of its own would spend a second on importing."""


def test_a_command_about_data_that_is_not_there(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", ONE_AFTER_ANOTHER, json.dumps(COMMANDS)],
        cwd=ROOT, env=environment(TIDEGATE_DATA_DIR=str(tmp_path / "mistyped")), capture_output=True, text=True,
    )  # fmt: skip
    said = re.findall(r"([^|]+)\|(\d)\n", done.stderr)
    assert len(said) == len(COMMANDS), done.stderr
    for command, (sentence, code) in zip(COMMANDS, said, strict=True):
        assert f"no data of Tidegate's in {tmp_path / 'mistyped'}" in sentence, command
        assert len(sentence.strip().splitlines()) == 1, command
        assert code == "1", command
    assert not (tmp_path / "mistyped").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount")
def test_a_full_disk(tmp_path):
    script = (
        f"mount -t tmpfs -o size=1m none {shlex.quote(str(tmp_path))} && {shlex.quote(sys.executable)} manage.py up"
    )
    probe = subprocess.run(
        ["unshare", "-m", "sh", "-c", f"mount -t tmpfs -o size=1m none {tmp_path}"], capture_output=True
    )
    if probe.returncode:
        pytest.skip("this kernel lets nobody mount")
    said = refusal(tmp_path / "data", ("unshare", "-m", "sh", "-c", script))
    assert "is full; free at least 64 MiB" in said


def test_an_old_python(tmp_path):
    pretend = "import runpy, sys; sys.version_info = (3, 9, 1); runpy.run_path('manage.py', run_name='__main__')"
    assert "needs Python 3.11 or newer" in refusal(tmp_path / "data", (sys.executable, "-c", pretend))


def test_a_wrong_setting(tmp_path):
    assert "TIDEGATE_THROTTLE" in refusal(tmp_path / "data", TIDEGATE_THROTTLE="maybe")
    assert "RECORD_LOG_URL" in refusal(tmp_path / "data", RECORD_LOG_URL="memory:")
    assert "DATABASE_URL" in refusal(tmp_path / "data", DATABASE_URL="mysql://root@127.0.0.1/x")


def test_a_database_and_a_redis_that_do_not_answer(tmp_path):
    said = refusal(tmp_path / "data", DATABASE_URL=f"postgres://someone:hidden-word@127.0.0.1:{free_port()}/tidegate")
    assert "DATABASE_URL" in said
    assert "hidden-word" not in said
    said = refusal(tmp_path / "other", REDIS_URL=f"redis://:hidden-word@127.0.0.1:{free_port()}/0")
    assert "REDIS_URL" in said
    assert "hidden-word" not in said


def test_a_lost_master_key(tmp_path):
    data = tmp_path / "data"
    tables.lay(data)
    bootstrap(data)
    kept = (data / "master.key").read_bytes()
    (data / "master.key").unlink()
    assert f"The master key {data / 'master.key'} is missing" in refusal(data)
    assert f"The master key {data / 'master.key'} is missing" in refusal(data, manage("fsck"))
    assert not (data / "master.key").exists()
    (data / "master.key").write_bytes(bytes(32))
    assert "put back the key file" in refusal(data)
    (data / "master.key").write_bytes(b"short")
    assert "holds 5 bytes" in refusal(data)
    (data / "master.key").write_bytes(kept)
    for command in ("up", "fsck", "compact"):
        said = refusal(data, manage(command), TIDEGATE_MASTER_KEY_FILE=str(tmp_path / "other.key"))
        assert f"TIDEGATE_MASTER_KEY_FILE names {tmp_path / 'other.key'}, which does not exist" in said
        assert not (tmp_path / "other.key").exists(), "no key is made where one was named"
    assert "TIDEGATE_ACCOUNT_ID" in refusal(data, TIDEGATE_ACCOUNT_ID="111122223333")


@pytest.mark.postgres
def test_it_runs_on_postgresql(tmp_path):
    if postgres.find_binaries() is None:
        pytest.skip("no PostgreSQL server on this machine")
    with postgres.server() as url, up(tmp_path / "data", DATABASE_URL=url, TIDEGATE_WEB_PROCESSES="2") as started:
        kept = json.loads((tmp_path / "data" / "credentials.json").read_text())
        client = kinesis(started.endpoint, kept["access_key_id"], kept["secret_access_key"])
        client.create_stream(StreamName="s", ShardCount=1)
        client.get_waiter("stream_exists").wait(StreamName="s", WaiterConfig=SOON)
        client.split_shard(StreamName="s", ShardToSplit="shardId-000000000000", NewStartingHashKey=str(2**127))
        client.get_waiter("stream_exists").wait(StreamName="s", WaiterConfig=SOON)
        assert len(client.list_shards(StreamName="s")["Shards"]) == 3
        assert not (tmp_path / "data" / "control.sqlite3").exists()
        assert started.stop() == 0
