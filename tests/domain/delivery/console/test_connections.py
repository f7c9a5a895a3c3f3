"""Connections: what is kept, what is refused, and that secrets stay where they belong."""

import pytest

from apps.access.models import AuditEntry
from apps.delivery import connections
from apps.delivery.connections import ConnectionRefused, Given
from apps.delivery.models import Connection
from tests.support.delivery_rows import make_delivery

SECRET = "not-to-be-shown"


@pytest.fixture
def delivery(team):
    return make_delivery(team)


@pytest.fixture
def put(delivery, runtime):
    def ask(part, *, allow_private=True, **given):
        connections.put(
            delivery, part, Given(**given), master_key_path=runtime.config.master_key_path,
            allow_private=allow_private, by="mira",
        )  # fmt: skip

    return ask


def opened(delivery, runtime):
    return connections.read(delivery.connections.all(), runtime.config.master_key_path)


def test_what_is_put_is_read_and_the_secret_is_sealed(delivery, put, runtime):
    put("s3", endpoint_url="http://localhost:9000", region="eu-west-1", access_key_id="AKID", secret=SECRET)
    assert opened(delivery, runtime) == {
        "s3": {
            "endpoint_url": "http://localhost:9000",
            "region": "eu-west-1",
            "access_key_id": "AKID",
            "secret_access_key": SECRET,
        }
    }
    assert SECRET not in Connection.objects.get().sealed_secret
    entry = AuditEntry.objects.get(operation="PutDeliveryConnection")
    assert (entry.principal, entry.resource) == ("mira", str(delivery.arn))
    assert SECRET not in entry.message


def test_nothing_given_clears(delivery, put, runtime):
    put("lambda", endpoint_url="https://transform.example")
    put("lambda")
    assert opened(delivery, runtime) == {}
    assert AuditEntry.objects.filter(operation="DeleteDeliveryConnection").count() == 1


def test_a_secret_that_is_not_given_again_stays_but_never_moves(delivery, put, runtime):
    put("s3", endpoint_url="http://localhost:9000", access_key_id="AKID", secret=SECRET)
    put("s3", endpoint_url="http://localhost:9000", access_key_id="AKID", region="eu-west-1")
    assert opened(delivery, runtime)["s3"]["secret_access_key"] == SECRET
    with pytest.raises(ConnectionRefused) as refused:
        put("s3", endpoint_url="http://elsewhere:9000", access_key_id="AKID")
    assert refused.value.member == "secret"
    with pytest.raises(ConnectionRefused):
        put("s3", endpoint_url="http://localhost:9000", access_key_id="AKOTHER")
    assert opened(delivery, runtime)["s3"]["endpoint_url"] == "http://localhost:9000"


@pytest.mark.parametrize(("kind", "status", "stays"), [
    ("HttpEndpoint", "ACTIVE", False), ("Redshift", "ACTIVE", False), ("HttpEndpoint", "CREATING", True), ("Splunk", "ACTIVE", True),
])  # fmt: skip
def test_a_secret_of_the_destination_is_not_sent_to_another_address(delivery, put, kind, status, stays):
    delivery.destination_type, delivery.status, delivery.sealed_secrets = kind, status, "sealed"
    delivery.save()
    delivery.versions.update(sealed_secrets="sealed")
    put("s3", access_key_id="AKID", secret=SECRET)
    put("destination", region="eu-west-1", access_key_id="AKID", secret=SECRET)
    delivery.refresh_from_db()
    assert delivery.sealed_secrets == "sealed"
    put("destination", endpoint_url="https://elsewhere.example")
    delivery.refresh_from_db()
    kept = {delivery.sealed_secrets, *delivery.versions.values_list("sealed_secrets", flat=True)}
    assert kept == {"sealed" if stays else ""}


def test_a_change_is_seen_by_the_hot_path(delivery, put):
    put("s3", access_key_id="AKID", secret=SECRET)
    before = delivery.version
    delivery.refresh_from_db()
    assert delivery.version > before


@pytest.mark.parametrize(
    ("part", "given", "member"),
    [
        ("elsewhere", {}, "part"),
        ("s3", {"endpoint_url": "ftp://x"}, "endpoint_url"),
        ("s3", {"endpoint_url": "https://user:pass@host"}, "endpoint_url"),
        ("s3", {"endpoint_url": "https://minio.example"}, "access_key_id"),
        ("backup", {"endpoint_url": "https://minio.example"}, "access_key_id"),
        ("s3", {"access_key_id": "AKID"}, "secret"),
        ("s3", {"secret": "x"}, "access_key_id"),
        ("s3", {"access_key_id": "A\nB", "secret": "x"}, "access_key_id"),
        ("lambda", {"region": "x" * 41}, "region"),
        ("s3", {"region": "x@169.254.169.254/", "access_key_id": "AKID", "secret": "x"}, "region"),
        ("s3", {"region": "a.example", "access_key_id": "AKID", "secret": "x"}, "region"),
    ],
)
def test_what_cannot_be_is_refused_and_not_kept(delivery, put, part, given, member):
    with pytest.raises(ConnectionRefused) as refused:
        put(part, **given)
    assert refused.value.member == member
    assert not Connection.objects.exists()


@pytest.mark.parametrize("url", ["http://minio.example", "https://169.254.169.254/latest", "https://[::1]:9000"])
def test_private_addresses_are_refused_where_they_are_not_allowed(delivery, put, url):
    with pytest.raises(ConnectionRefused):
        put("s3", endpoint_url=url, access_key_id="AKID", secret=SECRET, allow_private=False)
    assert not Connection.objects.exists()
