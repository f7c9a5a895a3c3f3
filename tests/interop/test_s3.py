"""Delivery to real S3 servers that check signatures and digests: Versity's gateway and MinIO, each over a folder.

`make interop` builds them where Go is.
"""

from __future__ import annotations

import gzip
import os
import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from apps.delivery import lanes, looking, redrive
from apps.delivery.destinations import destination_for
from apps.delivery.destinations.interface import DeliveryFailed
from apps.delivery.error_objects import plan_failed, write_failed
from apps.delivery.jobs import UNFINISHED
from apps.delivery.models import DeliveredObject, Lane
from apps.delivery.record import Failed
from apps.delivery.targets import target_for
from tests.interop.test_clients import ROOT
from tests.support.delivery_batches import NOW_MS, Engine, records_of, target
from tests.support.delivery_rows import make_delivery, s3_description
from tests.support.processes import free_port
from tests.support.runtimes import memory_runtime, until
from tests.support.s3 import KEY, SECRET, client_of, settings_for

FOLDER = ROOT / ".interop" / "s3"
DATAS = [b'{"n":%d}\n' % n for n in range(3_000)]

pytestmark = [pytest.mark.interop, pytest.mark.django_db(transaction=True)]


@pytest.fixture(scope="module", params=["versitygw", "minio"])
def endpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Skips, and says so among the warnings, where the server is missing."""
    program = FOLDER / request.param
    if not program.is_file():
        why = f"S3 by {request.param} is not tested: needs Go 1.24 (make interop)"
        warnings.warn(why, stacklevel=1)
        pytest.skip(why)
    folder: Path = tmp_path_factory.mktemp("s3")
    address = f"127.0.0.1:{free_port()}"
    for name in ("objects", "meta"):
        (folder / name).mkdir()
    command = [str(program), "--quiet", "--port", address, "--access", KEY, "--secret", SECRET, "posix"]
    command += ["--sidecar", str(folder / "meta"), str(folder / "objects")]
    if request.param == "minio":
        command = [str(program), "server", "--quiet", "--address", address, str(folder / "objects")]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "MINIO_ROOT_USER": KEY,
        "MINIO_ROOT_PASSWORD": SECRET,
    }
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment) as process:
        try:
            until(lambda: _answers(f"http://{address}"))
            yield f"http://{address}"
        finally:
            process.kill()


def _answers(endpoint: str) -> bool:
    try:
        client_of(endpoint).list_buckets()
    except (BotoCoreError, ClientError):
        return False
    return True


@pytest.fixture
def runtime(clock: Any, endpoint: str) -> Iterator[Any]:
    built = memory_runtime(clock, **settings_for(endpoint))
    built.open_in_thread()
    yield built
    built.close_in_thread()


@pytest.fixture
def client(endpoint: str) -> Any:
    return client_of(endpoint)


def bodies(client: Any, bucket: str) -> dict[str, bytes]:
    keys = [one["Key"] for one in client.list_objects_v2(Bucket=bucket).get("Contents", [])]
    return {key: client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


def test_objects_are_written_whole_and_a_repeat_changes_nothing(runtime: Any, client: Any, team: Any) -> None:
    client.create_bucket(Bucket="events")
    description = s3_description(CompressionFormat="GZIP", Prefix="a b/ü=1/", FileExtension=".json.gz")
    where = target("ExtendedS3", description, team_id=team.team.id)
    engine = Engine(records_of(DATAS))
    for _ in range(2):
        engine.attempt_with(lambda: destination_for(runtime, where))
    ((key, body),) = bodies(client, "events").items()
    assert key.startswith("a b/ü=1/2026/09/21/14/orders-1-")
    assert gzip.decompress(body) == b"".join(DATAS)
    head = client.head_object(Bucket="events", Key=key)
    assert (head["ContentEncoding"], head["ContentType"]) == ("gzip", "application/octet-stream")


def test_what_it_refuses_has_awss_codes(runtime: Any, clock: Any, client: Any, team: Any, endpoint: str) -> None:
    def refused(given: Any, **description: Any) -> str:
        where = target("ExtendedS3", s3_description(**description), team_id=team.team.id)
        with pytest.raises(DeliveryFailed) as failure:
            Engine(records_of([b"x"])).attempt_with(lambda: destination_for(given, where))
        assert not failure.value.permanent
        return failure.value.code

    assert refused(runtime, BucketARN="arn:aws:s3:::nowhere") == "S3.NoSuchBucket"
    settings = settings_for(endpoint)
    wrong = memory_runtime(clock, **{**settings, "aws_secret_access_key": "wrong"})
    assert refused(wrong) == "S3.AccessDenied"
    unknown = memory_runtime(clock, **{**settings, "aws_access_key_id": "AKIDUNKNOWN"})
    assert refused(unknown) == "S3.AccessDenied"


def test_failed_records_come_back(runtime: Any, clock: Any, client: Any, team: Any) -> None:
    import workers.delivery
    import workers.delivery_jobs  # noqa: F401 - both write slices
    from workers import slices

    client.create_bucket(Bucket="failed")
    hints = {"SizeInMBs": 1, "IntervalInSeconds": 60}
    description = s3_description(BucketARN="arn:aws:s3:::failed", BufferingHints=hints, CompressionFormat="GZIP")
    stream = make_delivery(team, status="CREATING", destination=description)
    lanes.activate(runtime, stream)
    stream.refresh_from_db()
    errors = target_for(runtime, stream, part="errors")
    batch = Engine(records_of(DATAS)).batch()
    failed = [Failed(one, "splunk-failed", "Splunk.AckTimeout", "no", 1, NOW_MS) for one in records_of(DATAS)]
    write_failed(runtime, errors, batch.identity, failed, plan_failed(errors, ["splunk-failed"], batch))
    newest = client.list_objects_v2(Bucket="failed")["Contents"][0]["LastModified"]
    clock.set(int(newest.timestamp() * 1000) + 1_000)
    job = redrive.start(stream, clock.now_ms())
    while job.status in UNFINISHED:
        slices.run(runtime, "delivery-jobs", str(job.pk))
        job.refresh_from_db()
    assert (job.status, job.records, job.error) == ("COMPLETE", len(DATAS), "")
    clock.advance(61_000)
    for lane in Lane.objects.all():
        slices.run(runtime, "delivery", str(lane.pk))
    found = bodies(client, "failed")
    assert [key for key in found if not key.startswith("2")] == [
        key for key in found if key.startswith("redriven/splunk-failed/")
    ]
    data = {key: body for key, body in found.items() if key.startswith("2")}
    assert b"".join(gzip.decompress(body) for body in data.values()) == b"".join(DATAS)
    written = DeliveredObject.objects.get(key=next(iter(data)))
    assert looking.look(runtime, written).text.startswith('{"n":0}\n{"n":1}\n')


def test_a_key_that_the_server_cannot_store_is_given_up(runtime: Any, client: Any, team: Any) -> None:
    """Both keep objects as files, whose names have 255 bytes at most."""
    client.create_bucket(Bucket="long")
    description = s3_description(BucketARN="arn:aws:s3:::long", Prefix="p" * 300 + "/")
    where = target("ExtendedS3", description, team_id=team.team.id)
    with pytest.raises(DeliveryFailed) as failure:
        Engine(records_of([b"x"])).attempt_with(lambda: destination_for(runtime, where))
    assert (failure.value.code, failure.value.permanent) == ("S3.InvalidObjectKey", True)
