"""Redshift: staged once, loaded by one COPY at a time, into a real PostgreSQL."""

import gzip
import json
from dataclasses import replace
from typing import Any

import pytest

from apps.base.clock import FakeClock
from apps.delivery.destinations import redshift as destination
from apps.delivery.destinations import redshift_session
from apps.delivery.destinations.interface import DeliveryFailed, NotYet, Target
from apps.leases.models import Lease
from apps.runtime import Runtime
from tests.support.delivery_batches import Engine, records_of, target
from tests.support.redshift import PASSWORD, USER, Redshift
from tests.support.runtimes import memory_runtime
from tests.support.s3 import S3Server, settings_for
from tests.support.teams import make_team

pytestmark = [pytest.mark.django_db, pytest.mark.postgres]

JDBC = "jdbc:redshift://examplecluster.abc123.us-west-2.redshift.amazonaws.com:5439/dev"
ROLE = "arn:aws:iam::123456789012:role/firehose"


@pytest.fixture
def runtime(clock: FakeClock, s3: S3Server) -> Any:
    built = memory_runtime(clock, **settings_for(s3.endpoint))
    built.open_in_thread()
    yield built
    built.close_in_thread()


class Bench:
    def __init__(self, runtime: Runtime, redshift: Redshift) -> None:
        self.runtime, self.redshift = runtime, redshift
        self.team = make_team()

    def target(self, staging: Any = None, password: str = PASSWORD, user: str = USER, **command: Any) -> Target:
        bucket = {
            "RoleARN": ROLE,
            "BucketARN": "arn:aws:s3:::staging",
            "Prefix": "in/",
            "CompressionFormat": "UNCOMPRESSED",
        }
        description = {
            "RoleARN": ROLE, "ClusterJDBCURL": JDBC, "Username": user,
            "CopyCommand": {"DataTableName": "events", "CopyOptions": "json 'auto'", **command},
            "S3DestinationDescription": bucket | (staging or {}),
        }  # fmt: skip
        return target(
            "Redshift", description, team_id=self.team.team.pk, secrets={"Password": password},
            connections={"destination": {"endpoint_url": self.redshift.endpoint}},
        )  # fmt: skip

    def deliver(self, engine: Engine, to: Target) -> Any:
        return engine.attempt_with(lambda: destination.RedshiftDestination(self.runtime, to))

    def fails(self, engine: Engine, to: Target) -> DeliveryFailed:
        with pytest.raises(DeliveryFailed) as caught:
            self.deliver(engine, to)
        return caught.value

    def rows(self) -> list[Any]:
        return self.redshift.run("SELECT id, name FROM events ORDER BY id")


@pytest.fixture
def bench(runtime: Runtime, redshift: Redshift) -> Bench:
    return Bench(runtime, redshift)


def rows_of(*numbers: int) -> list[bytes]:
    return [json.dumps({"id": number, "name": f"n{number}"}).encode() for number in numbers]


def test_rows_arrive_with_object_and_manifest(bench: Bench, s3: S3Server) -> None:
    delivered = bench.deliver(Engine(records_of(rows_of(1, 2))), bench.target())
    assert (delivered.records, bench.rows()) == (2, [(1, "n1"), (2, "n2")])
    manifest, staged = sorted(s3.keys("staging"), key=lambda key: "manifests/" not in key)
    assert manifest.startswith("in/manifests/2")
    assert json.loads(s3.body("staging", manifest)) == {
        "entries": [{"url": f"s3://staging/{staged}", "mandatory": True}]
    }
    assert s3.body("staging", staged) == b"".join(rows_of(1, 2))
    assert [one.key for one in delivered.written] == [staged]
    assert f"CREDENTIALS 'aws_iam_role={ROLE}' MANIFEST" in bench.redshift.copies[0]


def test_gzip_with_columns_and_a_delimiter(bench: Bench, s3: S3Server) -> None:
    to = bench.target(
        {"CompressionFormat": "GZIP"}, DataTableName="public.events", DataTableColumns="name,id", CopyOptions="delimiter '\\t'"
    )  # fmt: skip
    bench.deliver(Engine(records_of([b"one\t1\n", b"two\t2\n"])), to)
    assert bench.rows() == [(1, "one"), (2, "two")]
    staged = next(key for key in s3.keys("staging") if "manifests" not in key)
    assert staged.endswith(".gz")
    assert gzip.decompress(s3.body("staging", staged)) == b"one\t1\ntwo\t2\n"


def test_a_failed_copy_stages_nothing_again(bench: Bench, s3: S3Server) -> None:
    engine, to = Engine(records_of(rows_of(1))), bench.target(DataTableName="events_of_tomorrow")
    assert bench.fails(engine, to).code == "Redshift.TableNotFound"
    before = {one["Key"]: one["LastModified"] for one in s3.client.list_objects_v2(Bucket="staging")["Contents"]}
    bench.redshift.run("CREATE TABLE events_of_tomorrow (id int, name text)")
    bench.deliver(engine, to)
    after = {one["Key"]: one["LastModified"] for one in s3.client.list_objects_v2(Bucket="staging")["Contents"]}
    assert before == after
    assert bench.redshift.run("SELECT id FROM events_of_tomorrow") == [(1,)]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"DataTableName": "missing"}, "Redshift.TableNotFound"),
        ({"DataTableColumns": "id,missing"}, "Redshift.ColumnNotFound"),
        ({"password": "another one"}, "Redshift.AuthenticationFailed"),
        ({"user": "another one"}, "Redshift.AuthenticationFailed"),
        ({"CopyOptions": "delimiter '|'"}, "Redshift.DataLoadFailed"),
    ],
)
def test_codes_of_failures(bench: Bench, changes: Any, code: str) -> None:
    failure = bench.fails(Engine(records_of(rows_of(1))), bench.target(**changes))
    assert (failure.code, failure.permanent, failure.keep) == (code, False, False)
    assert "another one" not in failure.message or code == "Redshift.AuthenticationFailed"
    assert not Lease.objects.exclude(owner="").exists()


def test_access_to_the_bucket_denied_by_the_cluster(bench: Bench) -> None:
    bench.redshift.fault = lambda: "denied"
    assert bench.fails(Engine(records_of(rows_of(1))), bench.target()).code == "Redshift.S3BucketAccessDenied"


@pytest.mark.parametrize("fault", ["cut-after", "cut-before"])
def test_a_copy_whose_end_nobody_heard_is_asked_about(bench: Bench, fault: str) -> None:
    engine, to = Engine(records_of(rows_of(1, 2))), bench.target()
    bench.redshift.fault = lambda: fault
    assert bench.fails(engine, to).code == "Redshift.ConnectionFailed"
    bench.redshift.fault = lambda: ""
    with pytest.raises(NotYet):
        bench.deliver(engine, to)  # it may still run: nobody else copies until its lease is over
    Lease.objects.filter(kind=destination.LEASE_KIND).update(expires_at_ms=0)
    assert bench.deliver(engine, to).records == 2
    assert bench.rows() == [(1, "n1"), (2, "n2")]
    assert len(bench.redshift.copies) == (1 if fault == "cut-after" else 2)


def test_without_load_history_it_is_at_least_once(bench: Bench) -> None:
    engine, to = Engine(records_of(rows_of(1))), bench.target()
    bench.redshift.fault = lambda: "cut-after"
    bench.fails(engine, to)
    bench.redshift.fault = lambda: ""
    bench.redshift.run("ALTER TABLE stl_load_commits RENAME TO hidden")
    Lease.objects.filter(kind=destination.LEASE_KIND).update(expires_at_ms=0)
    bench.redshift.run("CREATE VIEW nothing AS SELECT 1")
    bench.redshift._load = lambda _statement, **_: bench.redshift.run("INSERT INTO events VALUES (1, 'n1')")  # type: ignore[assignment,method-assign]
    bench.deliver(engine, to)
    assert bench.rows() == [(1, "n1"), (1, "n1")]


def test_one_copy_at_a_time(bench: Bench) -> None:
    to = bench.target()
    Lease.objects.create(kind=destination.LEASE_KIND, key="7", owner="another lane", counter=1, checkpoint={})
    from apps.leases import hold

    held = hold.take(destination.LEASE_KIND, "7", "another lane", 60_000)
    assert held is not None
    engine = Engine(records_of(rows_of(1)))
    with pytest.raises(NotYet):
        bench.deliver(engine, to)
    assert bench.redshift.copies == []
    hold.release(held, None)
    bench.deliver(engine, to)
    assert bench.rows() == [(1, "n1")]


def test_what_is_given_up_stays_in_the_bucket_with_its_manifest(bench: Bench, s3: S3Server) -> None:
    engine, to = Engine(records_of(rows_of(1))), bench.target(DataTableName="missing")
    bench.fails(engine, to)
    made = destination.RedshiftDestination(bench.runtime, to)
    [written] = made.given_up(engine.batch())
    assert written.key.startswith("in/errors/manifests/")
    listed = json.loads(s3.body("staging", written.key))["entries"][0]["url"]
    assert s3.body("staging", listed.removeprefix("s3://staging/")) == rows_of(1)[0]


def test_a_server_that_never_answers_is_left(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redshift_session, "ANSWER_S", 0.3)
    bench.redshift.fault = lambda: "stall"
    assert bench.fails(Engine(records_of(rows_of(1))), bench.target()).code == "Redshift.ConnectionFailed"


def test_a_server_that_never_ends_is_left(bench: Bench) -> None:
    """libpq would keep a message of a gigabyte in memory."""
    bench.redshift.fault = lambda: "endless"
    assert bench.fails(Engine(records_of(rows_of(1))), bench.target()).code == "Redshift.ConnectionFailed"
    assert bench.redshift.said < 256 * 1024 * 1024


def test_nothing_but_the_password_is_shown(bench: Bench) -> None:
    """GSSAPI would be the operator's Kerberos ticket."""
    bench.redshift.asks_for = 7
    failure = bench.fails(Engine(records_of(rows_of(1))), bench.target())
    assert failure.code == "Redshift.ConnectionFailed"
    assert "GSSAPI" in failure.message


def test_private_addresses_are_not_connected_to(bench: Bench) -> None:
    object.__setattr__(bench.runtime.config, "private_destinations", "refuse")
    failure = bench.fails(Engine(records_of(rows_of(1))), bench.target())
    assert failure.code == "Redshift.ConnectionFailed"
    assert "Only https is called." in failure.message
    jdbc = replace(bench.target(), connections={})
    jdbc.description["ClusterJDBCURL"] = "jdbc:redshift://localhost:5439/dev"
    assert "Private and local addresses are not called." in bench.fails(Engine(records_of(rows_of(2))), jdbc).message
    assert bench.redshift.copies == []
