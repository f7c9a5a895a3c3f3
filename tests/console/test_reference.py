"""The API reference: true to the document, small, searchable without script, with examples that run."""

import gzip
import json
import shlex

import httpx
import pytest
from django.test import Client

from apps.accounts.permissions import ACTIONS
from console.api.document import document
from console.pages.api_operations import described
from console.pages.reference import resources
from tests.api.conftest import api_of
from tests.console.conftest import settle, signed_in_as, text_of


def test_each_operation_of_the_document_has_its_place():
    told = {operation["operationId"] for item in document()["paths"].values() for operation in item.values()}
    assert {one.id for resource in resources() for one in resource.operations} == told
    assert len({resource.slug for resource in resources()}) == len(resources())


def test_the_first_page_tells_what_all_have_in_common(client):
    page = text_of(client.get("/t/first/reference"))
    for told in (
        "Authorization: Bearer",
        "Idempotency-Key",
        "If-Match",
        "next_cursor",
        "request_id",
        "/api/v1/streams",
    ):
        assert told in page
    for resource in resources():
        assert f"/t/first/reference/{resource.slug}" in page


def test_a_resource_tells_its_operations(client):
    page = text_of(client.get("/t/first/reference/streams?op=createStream"))
    assert page.count('<details class="panel part op" open>') == 1
    for told in ("createStream", "/streams/{name}", "stream:create", "retention_hours", "encryption.type"):
        assert told in page
    assert "24 to 8,760" in page
    assert client.get("/t/first/reference/nothing").status_code == 404
    opened = text_of(client.get("/t/first/reference/streams?op=deleteStream", headers={"HX-Request": "true"}))
    assert opened.startswith('<div class="panel-b op-b">')
    assert "with_consumers" in opened
    assert "with_consumers" not in page


def test_pages_are_small(client):
    largest = max(resources(), key=lambda resource: len(resource.operations))
    for path in ("", f"/{largest.slug}?op={largest.operations[0].id}"):
        body = client.get(f"/t/first/reference{path}").content
        assert len(gzip.compress(body, 6)) <= 15 * 1024, path


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("split", "splitShard"),
        ("POST+records", "putRecords"),
        ("stream:delete", "deleteStream"),
        ("%3Cscript%3E", None),
    ],
)
def test_words_find_operations_without_script(client, asked, found):
    page = text_of(client.get(f"/t/first/reference?q={asked}"))
    assert (f"?op={found}#{found}" in page) if found else ("No operation has all of these words" in page)
    assert "<script>" not in page
    part = client.get(f"/t/first/reference?q={asked}", headers={"HX-Request": "true"})
    assert "<html" not in text_of(part)


def test_what_a_member_may_not_is_marked_with_the_reason(team, served):
    viewer = signed_in_as(team, "viewer")
    page = text_of(viewer.get("/t/first/reference/records?op=putRecords"))
    assert "record:write</span> is not among your permissions. Needs record:write: Owner, Admin, Developer." in page
    assert "which you have" in text_of(viewer.get("/t/first/reference/shards?op=listShards"))


def test_each_operation_says_its_permission_in_code_and_words():
    for one in described():
        assert one.needs == "" or one.needs in ACTIONS
        assert {code.key for code in one.codes} == {"curl", "python"}
        assert "$TIDEGATE_TOKEN" in one.codes[0].text


def send_curl(text, token):
    """What curl would send, through Django's client."""
    words = shlex.split(text.replace(" \\\n", " ").replace("$TIDEGATE_TOKEN", token))
    assert words[0] == "curl"
    method, url, headers, body = "GET", "", {}, ""
    rest = iter(words[1:])
    for word in rest:
        if word == "-X":
            method = next(rest)
        elif word == "-H":
            name, _, value = next(rest).partition(": ")
            headers[name] = value
        elif word == "-d":
            body = next(rest)
        else:
            url = word
    kind = headers.pop("Content-Type", "application/json")
    return Client().generic(method, "/" + url.split("/", 3)[3], body, kind, headers=headers)


@pytest.mark.usefixtures("unhurried")
@pytest.mark.django_db(transaction=True)  # the data plane and the key service are asked from other threads
def test_examples_run_as_pasted(team, served, monkeypatch):
    monkeypatch.setattr("console.calls.wait_until_active", lambda *_: settle(served))
    codes = {one.id: one.codes for one in described()}
    token = api_of(team.user, team.team).token
    monkeypatch.setenv("TIDEGATE_TOKEN", token)
    for name in (
        "createStream",
        "listStreams",
        "changeStream",
        "putRecords",
        "readRecords",
        "listShards",
        "setStreamTags",
    ):
        answer = send_curl(codes[name][0].text, token)
        assert answer.status_code in {200, 201}, (name, answer.content)
        settle(served)

    def through_django(request):
        answer = Client().generic(
            request.method, request.url.raw_path.decode(), request.read(), request.headers.get("content-type", ""),
            headers={"authorization": request.headers["authorization"]},
        )  # fmt: skip
        return httpx.Response(answer.status_code, content=answer.content)

    real = httpx.Client
    monkeypatch.setattr(httpx, "Client", lambda **given: real(transport=httpx.MockTransport(through_django), **given))
    for name in ("getStream", "putRecords", "readRecords", "registerConsumer", "deleteStreamPolicy", "removeStreamTag"):
        if name == "deleteStreamPolicy":
            exec(compile(codes["setStreamPolicy"][1].text, "setStreamPolicy", "exec"), {})
        exec(compile(codes[name][1].text, name, "exec"), {})
        settle(served)


def test_examples_are_whole():
    for one in described():
        compile(one.codes[1].text, one.id, "exec")
        assert "{" not in one.codes[0].text.split("\n")[0], one.id
        for part in one.codes[0].text.split(" -d ")[1:]:
            json.loads(shlex.split(part)[0])
