"""The data viewer decodes: gzip, aggregates, schemas of the registry and pasted ones; in the list, the inspector, the filter
and the link, all from the address."""

import gzip
import hashlib
import json
from urllib.parse import parse_qs, urlsplit

import pytest

from apps.gateway.invoke import invoke_sync
from console.decoding import choice
from console.models import DecodingSchema
from tests.console.conftest import other_team, put, signed_in, text_of
from tests.unit.console.test_decoding import BIG, ENCODED, ORDER, PROTO

PAGE = "/t/first/streams/orders/records"

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("unhurried", "stream")]


def aggregate(*records):
    """As the KPL writes it: (key, data) pairs."""

    def field(number, body):
        return bytes([number << 3 | 2]) + bytes([len(body)]) + body

    keys = b"".join(field(1, key.encode()) for key, _ in records)
    bodies = b"".join(field(3, bytes([8, n]) + field(3, data)) for n, (_, data) in enumerate(records))
    message = keys + bodies
    return b"\xf3\x89\x9a\xc2" + message + hashlib.md5(message, usedforsecurity=False).digest()


def register(served, team):
    params = {
        "SchemaName": "orders",
        "DataFormat": "AVRO",
        "Compatibility": "NONE",
        "SchemaDefinition": json.dumps(ORDER),
    }
    answer = invoke_sync(served, team.principal, "glue", "CreateSchema", params)
    return answer["SchemaVersionId"].replace("-", "")


def opened(client, **query):
    """The viewer with its newest record open."""
    return text_of(client.get(PAGE, query))


def test_gzip_and_aggregates_are_shown_and_found(client, served, team):
    put(served, team, "orders", ("a", gzip.compress(b'{"event": "packed"}')))
    page = opened(client)
    assert "packed" in page
    assert '<span class="tag">gzip</span>' in page
    put(served, team, "orders", ("b", aggregate(("cust-1", b'{"n": 1}'), ("cust-2", gzip.compress(b"second")))))
    page = opened(client)
    assert "KPL aggregate of 2" in page
    assert "1 of 2, key cust-1" in page
    assert "second" in page
    found = opened(client, q="data.event = packed")
    assert "1 record shown of 2 looked at" in found
    assert "1 record shown of 2 looked at" in opened(client, q="key = cust-2")
    stored = opened(client, decode="stored")
    assert "packed" not in stored
    assert "KPL aggregate" not in stored


def test_a_header_of_the_registry_is_enough(client, served, team):
    version = register(served, team)
    put(served, team, "orders", ("a", bytes([3, 0]) + bytes.fromhex(version) + ENCODED))
    page = opened(client)
    assert "orders, version 1" in page
    assert str(BIG) in page
    assert "1 record shown" in opened(client, q="data.who = mira")
    put(served, team, "orders", ("b", bytes([3, 0]) + bytes(16) + b"only looks like one"))
    assert "only looks like one" in opened(client)


def test_a_schema_of_the_registry_is_chosen(client, served, team):
    register(served, team)
    put(served, team, "orders", ("a", ENCODED))
    assert str(BIG) not in opened(client)
    sent = client.post(
        f"{PAGE}/decode", {"how": "registry", "schema": "default-registry/orders", "back": "q=mira&next=/x"}
    )
    assert sent.status_code == 302
    assert parse_qs(urlsplit(sent["Location"]).query) == {"decode": ["registry:default-registry/orders"], "q": ["mira"]}
    page = text_of(client.get(sent["Location"]))
    assert str(BIG) in page
    assert "Decode: orders, version 1" in page


def test_a_pasted_schema_is_kept_and_its_link_works(client, served, team):
    put(served, team, "orders", ("a", b"\x08\x81\x80\x80\x80\x80\x80\x80\x80\x10"))
    sent = client.post(f"{PAGE}/decode", {"how": "paste", "kind": "protobuf", "definition": PROTO, "message": "Order"})
    page = text_of(client.get(sent["Location"]))
    assert str(BIG) in page
    assert "Protobuf, Order" in page
    assert "?decode=pasted%3A" in page
    form = text_of(client.get(f"{PAGE}/decode?{urlsplit(sent['Location']).query}"))
    assert "message Order { int64 id = 1;" in form
    stranger = signed_in(other_team())
    assert stranger.get(sent["Location"]).status_code == 404


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"how": "paste", "kind": "avro", "definition": '{"type": "recrod"}'}, "Unknown type: recrod<"),
        ({"how": "paste", "kind": "avro", "definition": '{"type": "array"}'}, "items is missing."),
        ({"how": "paste", "kind": "avro", "definition": '{"type": "record"}'}, "field missing from the schema<"),
        ({"how": "paste", "kind": "avro", "definition": "5"}, "This is no Avro schema"),
        ({"how": "paste", "kind": "avro", "definition": " "}, "Paste a schema."),
        ({"how": "registry"}, "Choose a schema."),
        ({"how": "registry", "schema": "x/y"}, "Select a valid choice"),
        ({"how": "by magic"}, "Select a valid choice"),
    ],
)
def test_a_choice_that_cannot_be_made_keeps_what_was_typed(client, values, told):
    answer = client.post(f"{PAGE}/decode", values)
    assert answer.status_code == 422
    assert told in text_of(answer)
    assert not DecodingSchema.objects.exists()


@pytest.mark.parametrize("value", ["pasted:0000", "registry:a/b", "registry:", "rot13"])
def test_an_address_that_asks_for_what_there_is_not_says_so(client, served, team, value):
    put(served, team, "orders", ("a", b"x"))
    answer = client.get(PAGE, {"decode": value})
    assert answer.status_code == 200
    assert 'role="alert"' in text_of(answer)


def test_pasted_schemas_are_bounded(team, served, monkeypatch):
    monkeypatch.setattr(choice, "PASTED_MAX", 2)
    monkeypatch.setattr(choice.decoder, "check", lambda schema: None)
    for n in range(4):
        choice.keep(team.team.id, choice.Schema("avro", f'"{n}"'), n)
    assert list(DecodingSchema.objects.order_by("at_ms").values_list("definition", flat=True)) == ['"2"', '"3"']


def test_records_that_are_followed_are_decoded(client, served, team):
    begin = client.post(f"{PAGE}/follow", {"from": ""}).json()
    put(served, team, "orders", ("a", gzip.compress(b"packed")))
    rows = client.post(f"{PAGE}/follow", {"from": begin["from"]}).json()["rows"]
    assert "packed" in rows
