"""UpdateDestination: the lock, what merges, what is replaced, and what cannot change."""

import asyncio

import pytest

from apps.base.errors import ServiceError
from apps.delivery import versions
from apps.gateway.invoke import invoke
from apps.leases import hold
from tests.domain.delivery.operations.conftest import destination
from tests.support import firehose as examples
from tests.support.firehose import LEAST, S3

ID = "destinationId-000000000001"

pytestmark = pytest.mark.django_db(transaction=True)


def refused(firehose, version_id, **update) -> tuple[str, str]:
    before = firehose.describe()
    with pytest.raises(ServiceError) as caught:
        firehose.update("d", version_id, **update)
    assert firehose.describe() == before
    return caught.value.code, str(caught.value.message)


def test_members_that_are_not_given_stay(firehose):
    firehose.create(configuration=examples.EXTENDED_S3)
    before = destination(firehose.describe())
    firehose.runtime.clock.advance(1_000)
    described = firehose.update(
        "d", 1, ExtendedS3DestinationUpdate={"Prefix": "new/", "S3BackupUpdate": {"Prefix": "copies/"}}
    )
    assert (described["VersionId"], described["LastUpdateTimestamp"]) == ("2", firehose.runtime.clock.now_ms())
    after = destination(described)
    assert after == {
        **before,
        "Prefix": "new/",
        "S3BackupDescription": {**before["S3BackupDescription"], "Prefix": "copies/"},
    }
    versions = firehose.row().versions.order_by("version_id")
    assert [(one.version_id, one.destination["Prefix"]) for one in versions] == [(1, before["Prefix"]), (2, "new/")]


def test_the_version_is_a_lock(firehose):
    firehose.create()
    firehose.update("d", 1, S3DestinationUpdate={"Prefix": "a/"})
    assert refused(firehose, 1, S3DestinationUpdate={"Prefix": "b/"}) == (
        "ConcurrentModificationException",
        "Cannot update firehose: d since the current version id: 2 and specified version id: 1 do not match",
    )
    assert destination(firehose.update("d", 2, S3DestinationUpdate={"Prefix": "b/"}))["Prefix"] == "b/"


def test_of_several_at_the_same_time_one_wins(firehose):
    firehose.create()

    async def all_at_once():
        params = {"DeliveryStreamName": "d", "CurrentDeliveryStreamVersionId": "1", "DestinationId": ID}
        calls = (
            invoke(firehose.runtime, firehose.principal, "firehose", "UpdateDestination",
                   {**params, "S3DestinationUpdate": {"Prefix": f"{n}/"}})
            for n in range(6)
        )  # fmt: skip
        return await asyncio.gather(*calls, return_exceptions=True)

    codes = [getattr(answer, "code", "") for answer in firehose.runtime.wait_for(all_at_once())]
    assert sorted(codes) == ["", *["ConcurrentModificationException"] * 5]
    assert firehose.describe()["VersionId"] == "2"
    assert firehose.row().versions.count() == 2


def test_another_destination_id(firehose):
    firehose.create()
    with pytest.raises(ServiceError) as caught:
        firehose("UpdateDestination", DeliveryStreamName="d", CurrentDeliveryStreamVersionId="1",
                 DestinationId="destinationId-000000000009", ExtendedS3DestinationUpdate={})  # fmt: skip
    assert (caught.value.code, caught.value.message) == (
        "InvalidArgumentException",
        "Destination Id destinationId-000000000009 not found",
    )


@pytest.mark.parametrize(
    ("kind", "update", "changed"),
    [
        ("Redshift", {"Username": "other", "S3Update": {"Prefix": "p/"}}, {"Username": "other"}),
        ("Elasticsearch", {"IndexName": "other"}, {"IndexName": "other"}),
        ("Amazonopensearchservice", {"IndexRotationPeriod": "OneWeek"}, {"IndexRotationPeriod": "OneWeek"}),
        ("AmazonOpenSearchServerless", {"IndexName": "other"}, {"IndexName": "other"}),
        ("Splunk", {"HECAcknowledgmentTimeoutInSeconds": 300}, {"HECAcknowledgmentTimeoutInSeconds": 300}),
        ("HttpEndpoint", {"RetryOptions": {"DurationInSeconds": 5}}, {"RetryOptions": {"DurationInSeconds": 5}}),
        ("Iceberg", {"AppendOnly": True}, {"AppendOnly": True}),
    ],
)
def test_each_kind_merges(firehose, kind, update, changed):
    before = destination(firehose.create(kind=kind))
    sealed = firehose.row().sealed_secrets
    after = destination(firehose.update("d", 1, **{f"{kind}DestinationUpdate": update}))
    if "S3Update" in update:
        changed = {**changed, "S3DestinationDescription": {**before["S3DestinationDescription"], "Prefix": "p/"}}
    assert after == {**before, **changed}
    assert bool(firehose.row().sealed_secrets) == bool(sealed)


def test_an_endpoint_takes_the_place_of_a_domain(firehose):
    arn = "arn:aws:es:us-east-1:123456789012:domain/logs"
    given = {**{k: v for k, v in examples.SEARCH.items() if k != "ClusterEndpoint"}, "DomainARN": arn}
    assert destination(firehose.create(kind="Elasticsearch", configuration=given))["DomainARN"] == arn
    update = {"ClusterEndpoint": "https://other.example.com"}
    after = destination(firehose.update("d", 1, ElasticsearchDestinationUpdate=update))
    assert after["ClusterEndpoint"] == "https://other.example.com"
    assert "DomainARN" not in after


def test_an_access_key_does_not_move_to_another_address(firehose):
    firehose.create(kind="HttpEndpoint")
    url = LEAST["HttpEndpoint"]["EndpointConfiguration"]["Url"]
    firehose.update("d", 1, HttpEndpointDestinationUpdate={"EndpointConfiguration": {"Url": url, "Name": "renamed"}})
    assert firehose.row().sealed_secrets
    firehose.update("d", 2, HttpEndpointDestinationUpdate={"EndpointConfiguration": {"Url": "https://b.example.com"}})
    assert not firehose.row().sealed_secrets


def test_conversion_that_is_switched_off_keeps_its_details(firehose):
    before = destination(firehose.create(configuration=examples.CONVERTED))["DataFormatConversionConfiguration"]
    update = {"DataFormatConversionConfiguration": {"Enabled": False}}
    after = destination(firehose.update("d", 1, ExtendedS3DestinationUpdate=update))
    assert after["DataFormatConversionConfiguration"] == {**before, "Enabled": False}


def test_another_type_replaces_and_needs_everything(firehose):
    firehose.create(configuration={**S3, "Prefix": "old/"})
    code, said = refused(firehose, 1, RedshiftDestinationUpdate={"Username": "u", "Password": "secret"})
    assert code == "ValidationException"
    assert "Value null at 'redshiftDestinationConfiguration.roleARN' failed to satisfy constraint" in said
    update = {**LEAST["Redshift"], "S3Update": LEAST["Redshift"]["S3Configuration"]}
    del update["S3Configuration"]
    described = firehose.update("d", 1, RedshiftDestinationUpdate=update)
    assert set(described["Destinations"][0]) == {"DestinationId", "RedshiftDestinationDescription"}
    assert destination(described)["S3DestinationDescription"]["Prefix"] == "staging/"


@pytest.mark.parametrize(
    ("kind", "configuration", "update", "says"),
    [
        ("ExtendedS3", S3, {"HttpEndpointDestinationUpdate": {}},
         "Changing the destination type to or from HttpEndpoint is not supported at this time"),
        ("HttpEndpoint", LEAST["HttpEndpoint"], {"ExtendedS3DestinationUpdate": S3}, "to or from HttpEndpoint"),
        ("Elasticsearch", examples.SEARCH, {"ExtendedS3DestinationUpdate": S3}, "Switching between Amazon OpenSearch"),
        ("ExtendedS3", examples.EXTENDED_S3, {"ExtendedS3DestinationUpdate": {"S3BackupMode": "Disabled"}},
         "S3BackupMode cannot be changed from Enabled to Disabled."),
        ("Elasticsearch", examples.SEARCH, {"ElasticsearchDestinationUpdate": {"S3BackupMode": "AllDocuments"}},
         "S3BackupMode cannot be changed after"),
        ("ExtendedS3", examples.PARTITIONED,
         {"ExtendedS3DestinationUpdate": {"DynamicPartitioningConfiguration": {"Enabled": False}, "Prefix": "a/",
                                          "ProcessingConfiguration": {"Enabled": False}}}, "Dynamic Partitioning"),
        ("ExtendedS3", {k: v for k, v in examples.PARTITIONED.items()
                        if k in {"RoleARN", "BucketARN", "ErrorOutputPrefix", "BufferingHints"}},
         {"ExtendedS3DestinationUpdate": {name: examples.PARTITIONED[name] for name in
                                          ("Prefix", "DynamicPartitioningConfiguration", "ProcessingConfiguration")}},
         "Dynamic Partitioning"),
        ("ExtendedS3", S3, {"S3DestinationUpdate": {}, "SplunkDestinationUpdate": {}}, "Exactly one destination"),
        ("ExtendedS3", S3, {"SnowflakeDestinationUpdate": {}}, "Snowflake"),
        ("ExtendedS3", S3, {"ExtendedS3DestinationUpdate": {"Prefix": "!{nonsense}"}}, "invalid expression"),
    ],
)  # fmt: skip
def test_changes_that_cannot_be(firehose, kind, configuration, update, says):
    firehose.create(kind=kind, configuration=configuration)
    code, said = refused(firehose, 1, **update)
    assert (code, says in said) == ("InvalidArgumentException", True), said


def test_backup_may_be_switched_on_and_gets_lanes(firehose):
    firehose.create()
    assert [lane.role for lane in firehose.row().lanes.all()] == ["deliver"]
    firehose.update(
        "d", 1, ExtendedS3DestinationUpdate={"S3BackupMode": "Enabled", "S3BackupUpdate": {**S3, "Prefix": "b/"}}
    )
    firehose.settle()
    assert sorted(lane.role for lane in firehose.row().lanes.all()) == ["backup", "deliver"]


def test_old_versions_go_but_for_those_that_a_batch_is_pinned_under(firehose, monkeypatch):
    monkeypatch.setattr(versions, "KEPT", 3)
    firehose.create()
    firehose.update("d", 1, S3DestinationUpdate={"Prefix": "1/"})
    held = hold.take("delivery", str(firehose.row().lanes.get().pk), "me", 30_000)
    hold.pin(held, {"version": 2})
    for version_id in range(2, 7):
        firehose.update("d", version_id, S3DestinationUpdate={"Prefix": f"{version_id}/"})
    assert sorted(firehose.row().versions.values_list("version_id", flat=True)) == [2, 5, 6, 7]


def test_an_update_that_says_nothing_changes_nothing_but_the_version(firehose):
    for example, (kind, given) in examples.MOST.items():
        name = example.replace(" ", "-")
        before = firehose.create(name=name, kind=kind, configuration=given)
        sealed = firehose.row(name).sealed_secrets
        after = firehose.update(name, 1, **{f"{kind}DestinationUpdate": {}})
        assert after["Destinations"] == before["Destinations"], example
        assert (after["VersionId"], bool(firehose.row(name).sealed_secrets)) == ("2", bool(sealed)), example


def test_a_password_is_never_sent_to_another_cluster(firehose):
    """Whoever may update a delivery stream, but was never told its password, could name a server of their own."""
    firehose.create(kind="Redshift")
    url = LEAST["Redshift"]["ClusterJDBCURL"]
    elsewhere = "jdbc:redshift://other.abc.us-west-2.redshift.elsewhere.example:5439/dev"
    code, said = refused(firehose, 1, RedshiftDestinationUpdate={"ClusterJDBCURL": elsewhere})
    assert (code, said) == ("InvalidArgumentException", "Username and Password must be specified.")
    firehose.update("d", 1, RedshiftDestinationUpdate={"ClusterJDBCURL": url})
    firehose.update("d", 2, RedshiftDestinationUpdate={"Password": "Another-1", "ClusterJDBCURL": elsewhere})
    assert destination(firehose.describe())["ClusterJDBCURL"] == elsewhere
