"""The tab Configuration, and deletion: each part saves alone, and nothing that was not changed is touched."""

import re

import pytest

from apps.access.models import AuditEntry
from apps.delivery.models import Connection, DeliveryStream
from tests.console.conftest import text_of
from tests.console.delivery.conftest import settle
from tests.console.delivery.test_create import BASE, KINDS, create

pytestmark = pytest.mark.usefixtures("served")

AT = "/t/first/delivery/ticker"


def plain(response):
    text = re.sub(r"<[^>]+>", " ", text_of(response)).replace("&#x27;", "'").replace("&quot;", '"')
    return re.sub(r"\s+", " ", text)


def fields_of(response, part):
    """What a browser would send back of the form of a part, untouched."""
    forms = re.findall(r"<form.*?</form>", text_of(response), re.DOTALL)
    form = next(one for one in forms if f'name="part" value="{part}"' in one)
    unescape = lambda text: text.replace("&quot;", '"').replace("&#x27;", "'").replace("&amp;", "&")  # noqa: E731
    found = {}
    for tag in re.findall(r"<input[^>]*>", form):
        name, kind = re.search(r'name="([^"]+)"', tag), re.search(r'type="([^"]+)"', tag)
        value = re.search(r'value="([^"]*)"', tag)
        if not name or (kind and kind[1] in {"radio", "checkbox"} and " checked" not in tag):
            continue
        found[name[1]] = unescape(value[1]) if value else "on"
    for name, body in re.findall(r'<textarea[^>]*name="([^"]+)"[^>]*>\n?(.*?)</textarea>', form, re.DOTALL):
        found[name] = unescape(body)
    for name, body in re.findall(r'<select[^>]*name="([^"]+)"[^>]*>(.*?)</select>', form, re.DOTALL):
        chosen = re.search(r'<option value="([^"]*)" selected>', body) or re.search(r'<option value="([^"]*)"', body)
        found[name] = chosen[1]
    return found


@pytest.fixture
def made(client, served):
    def make(**given):
        answer = create(client, **given)
        assert answer.status_code == 302, plain(answer)
        settle(served)
        return DeliveryStream.objects.get()

    return make


def save(client, part="destination", **changes):
    fields = fields_of(client.get(f"{AT}/configuration"), part)
    return client.post(f"{AT}/configuration", {**fields, **changes})


@pytest.mark.parametrize("kind", KINDS)
def test_saving_what_is_there_changes_nothing(client, made, kind):
    before = made(kind=kind, **KINDS[kind], delimiter="on")
    answer = save(client)
    assert answer.status_code == 302, plain(answer)
    after = DeliveryStream.objects.get()
    assert after.destination == before.destination
    assert after.version_id == 1


def test_a_change_is_a_new_version_and_leaves_the_rest(client, made):
    before = made(prefix="a/", convert="parquet", columns="a string", size_mb="64", transform="lambda",
                  transform_arn="arn:aws:lambda:us-east-1:123456789012:function:clean", transform_retries="7")  # fmt: skip
    assert save(client, prefix="b/", interval_s="120").status_code == 302
    after = DeliveryStream.objects.get()
    assert after.version_id == 2
    assert after.destination["Prefix"] == "b/"
    assert after.destination["BufferingHints"] == {"SizeInMBs": 64, "IntervalInSeconds": 120}
    for member in ("ProcessingConfiguration", "DataFormatConversionConfiguration", "BucketARN"):
        assert after.destination[member] == before.destination[member]
    assert "version 2" in plain(client.get(f"{AT}/configuration")) or after.version_id == 2


def test_an_old_page_does_not_overwrite_a_newer_version(client, made):
    made()
    fields = fields_of(client.get(f"{AT}/configuration"), "destination")
    save(client, prefix="b/")
    answer = client.post(f"{AT}/configuration", {**fields, "prefix": "c/"})
    assert answer.status_code == 422
    assert "current version id: 2" in plain(answer)
    assert DeliveryStream.objects.get().destination["Prefix"] == "b/"


@pytest.mark.parametrize("kind", ["http", "splunk", "redshift"])
def test_a_secret_stays_unless_another_is_given(client, made, kind):
    before = made(kind=kind, **KINDS[kind])
    assert save(client, retry_s="100").status_code == 302
    after = DeliveryStream.objects.get()
    assert after.version_id == 2
    assert after.sealed_secrets
    secret = {"http": "http_key", "splunk": "splunk_token", "redshift": "redshift_password"}[kind]
    assert save(client, **{secret: "another-secret"}).status_code == 302
    assert DeliveryStream.objects.get().sealed_secrets != before.sealed_secrets
    assert "another-secret" not in text_of(client.get(f"{AT}/configuration"))


def test_what_the_operation_refuses_stands_at_its_field(client, made):
    made()
    answer = save(client, prefix="a/../b/")
    assert answer.status_code == 422
    assert 'id="id_prefix_err"' in text_of(answer)
    assert 'value="a/../b/"' in text_of(answer)


def test_connections_are_set_and_cleared_and_their_secret_stays(client, made):
    made()
    given = {"s3_endpoint": "http://localhost:9000", "s3_key": "AKID", "s3_secret": "very-secret"}
    assert save(client, "connections", **given).status_code == 302
    sealed = Connection.objects.get().sealed_secret
    page = text_of(client.get(f"{AT}/configuration"))
    assert "http://localhost:9000" in page
    assert "very-secret" not in page
    assert save(client, "connections", s3_region="eu-west-1").status_code == 302
    assert Connection.objects.get().sealed_secret == sealed
    moved = save(client, "connections", s3_endpoint="http://elsewhere:9000")
    assert moved.status_code == 422
    assert "needs its secret" in plain(moved)
    save(client, "connections", s3_endpoint="", s3_region="", s3_key="")
    assert not Connection.objects.exists()
    assert AuditEntry.objects.filter(operation="DeleteDeliveryConnection").exists()


def test_tags(client, made):
    row = made(tags="team=core\npci")
    assert save(client, "tags", tags="team=web\nnew=1").status_code == 302
    assert {tag.key: tag.value for tag in row.tags.all()} == {"team": "web", "new": "1"}
    assert save(client, "tags", tags="=x").status_code == 422


def test_a_role_that_does_not_exist_is_told(client, made):
    made()
    assert "There is no role arn:aws:iam::123456789012:role/firehose here" in plain(client.get(f"{AT}/configuration"))


def test_encryption_needs_a_key_that_is_one(client, made):
    made()
    answer = client.post(f"{AT}/configuration", {"part": "encryption", "encryption": "on", "key_arn": "nonsense"})
    assert answer.status_code == 422
    assert 'id="id_key_arn_err"' in text_of(answer)


def test_deleting_asks_for_the_name_and_says_what_goes(client, made, served):
    made()
    assert "Nothing waits to be delivered" in plain(client.get(f"{AT}/delete"))
    assert "Type ticker to delete it" in plain(client.post(f"{AT}/delete", {"name": "tickr"}))
    assert client.post(f"{AT}/delete", {"name": "ticker"})["Location"] == "/t/first/delivery"
    assert DeliveryStream.objects.get().status == "DELETING"
    settle(served)
    assert not DeliveryStream.objects.exists()
    assert BASE["name"] == "ticker"


def test_what_no_field_is_for_is_not_lost(client, made):
    """Tables beyond the first came from the API."""
    row = made(kind="iceberg", **KINDS["iceberg"])
    other = {"DestinationDatabaseName": "lake", "DestinationTableName": "other"}
    row.destination["DestinationTableConfigurationList"].append(other)
    row.save()
    assert save(client, iceberg_table="renamed", interval_s="90").status_code == 302
    first, second = DeliveryStream.objects.get().destination["DestinationTableConfigurationList"]
    assert second == other
    assert first["DestinationTableName"] == "renamed"


def test_options_of_a_serializer_stay(client, made):
    row = made(convert="parquet", columns="a string", size_mb="64")
    row.destination["DataFormatConversionConfiguration"]["OutputFormatConfiguration"]["Serializer"]["ParquetSerDe"][
        "Compression"
    ] = "GZIP"
    row.save()
    assert save(client, serde="hive").status_code == 302
    said = DeliveryStream.objects.get().destination["DataFormatConversionConfiguration"]
    assert said["OutputFormatConfiguration"]["Serializer"]["ParquetSerDe"]["Compression"] == "GZIP"
    assert "HiveJsonSerDe" in said["InputFormatConfiguration"]["Deserializer"]


def test_a_domain_by_its_arn_stays_one(client, made):
    row = made(kind="opensearch", **KINDS["opensearch"])
    del row.destination["ClusterEndpoint"]
    row.destination["DomainARN"] = "arn:aws:es:us-east-1:123456789012:domain/logs"
    row.save()
    answer = save(client, retry_s="60")
    assert answer.status_code == 302, plain(answer)
    after = DeliveryStream.objects.get().destination
    assert after["DomainARN"].endswith("domain/logs")
    assert "ClusterEndpoint" not in after
