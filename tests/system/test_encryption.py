"""Nothing of an encrypted stream can be read on the disk; and what else looks at the record log understands it."""

import json
import re
import subprocess
import sys

import boto3
import pytest

from tests.support.files import found
from tests.support.processes import ROOT, SOON, environment, eventually, up

pytestmark = [pytest.mark.system, pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")]

DATA = b"data-that-nobody-may-find"
KEY = "partition-key-that-nobody-may-find"
LINE = b"line-that-nobody-may-find"
IMPORT_KEY = "import-key-that-nobody-may-find"
OPEN = b"data-that-anybody-may-find"
RECORDS = 200
LINES = 50


def manage(data, *command):
    return subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=ROOT,
        env=environment(TIDEGATE_DATA_DIR=str(data)),
        capture_output=True,
        text=True,
    )


def client(running, data, service):
    kept = json.loads((data / "credentials.json").read_text())
    return boto3.client(
        service,
        endpoint_url=running.endpoint,
        region_name="us-east-1",
        aws_access_key_id=kept["access_key_id"],
        aws_secret_access_key=kept["secret_access_key"],
    )


def write(kinesis):
    """An encrypted stream with records of both kinds of call, and an open one."""
    for name in ("secret", "open"):
        kinesis.create_stream(StreamName=name, ShardCount=2)
        kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig=SOON)
    kinesis.start_stream_encryption(StreamName="secret", EncryptionType="KMS", KeyId="alias/aws/kinesis")

    def put(number):
        return kinesis.put_record(StreamName="secret", Data=b"probe", PartitionKey=f"{number}").get("EncryptionType")

    # AWS, too, may store as it is for some seconds after the stream is ACTIVE.
    kinesis.get_waiter("stream_exists").wait(StreamName="secret", WaiterConfig=SOON)
    eventually(lambda: put(1) == "KMS", what="encryption has begun")
    records = [{"Data": DATA, "PartitionKey": f"{KEY}-{number}"} for number in range(RECORDS)]
    answer = kinesis.put_records(StreamName="secret", Records=records)
    assert (answer["FailedRecordCount"], answer["EncryptionType"]) == (0, "KMS")
    kinesis.put_record(StreamName="open", Data=OPEN, PartitionKey="k")


def read(kinesis):
    """All data of the encrypted stream."""
    got = []
    for shard in kinesis.list_shards(StreamName="secret")["Shards"]:
        iterator = kinesis.get_shard_iterator(
            StreamName="secret", ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while True:
            answer = kinesis.get_records(ShardIterator=iterator)
            got += [(record["PartitionKey"], record["Data"]) for record in answer["Records"]]
            if not answer["Records"]:
                break
            iterator = answer["NextShardIterator"]
    return got


@pytest.mark.torture
def test_nothing_of_it_can_be_found_in_the_data_directory(tmp_path):
    data = tmp_path / "data"
    words = [DATA, KEY.encode(), LINE, IMPORT_KEY.encode()]
    lines = tmp_path / "lines"
    lines.write_bytes(b"".join(LINE + b" %d\n" % number for number in range(LINES)))
    with up(data, TIDEGATE_THROTTLE="off") as running:
        kinesis = client(running, data, "kinesis")
        write(kinesis)
        imported = manage(data, "import_file", "secret", str(lines), "--key", IMPORT_KEY)
        assert imported.returncode == 0, imported.stderr
        got = read(kinesis)
        assert sum(record == DATA for _, record in got) == RECORDS
        assert sum(key == IMPORT_KEY and record.startswith(LINE) for key, record in got) == LINES
        assert found(data, *words) == set()
        assert found(running.log.parent, DATA, KEY.encode(), IMPORT_KEY.encode()) == set()  # the output, too
        assert {name for name, _ in found(data, OPEN)} == {"log/data.mdb"}
        busy = manage(data, "compact")
        assert busy.returncode == 1
        assert f"Tidegate already runs on {data} (process {running.process.pid}); stop it" in busy.stderr
        assert running.stop() == 0
    assert found(data, *words) == set()
    compacted = manage(data, "compact")
    assert compacted.returncode == 0, compacted.stderr
    assert "The same in both" in compacted.stdout
    assert found(data, *words) == set()
    checked = manage(data, "fsck")
    assert (checked.returncode, checked.stderr) == (0, "")
    # And what was read is metered: records of the log's own.
    assert int(re.search(r" (\d+) records checked\.", checked.stdout)[1]) > len(got) + 1
    assert "may not be used" not in checked.stdout


def test_the_search_looks_everywhere(tmp_path):
    for name in ("a", "sub/b"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x" * 100_000 + DATA + b"y")
    assert found(tmp_path, DATA, LINE) == {("a", DATA), ("sub/b", DATA)}
