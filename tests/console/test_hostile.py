"""What strangers write is shown as text: keys, data, names and file names never become markup, script or style."""

import json
import re
from html.parser import HTMLParser

import pytest

from apps.accounts import keys
from apps.streams.models import Ingestion
from console.csp import POLICY
from tests.console.conftest import make_stream, put, text_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("unhurried")]

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</pre></code><h1>owned</h1>",
    "javascript:alert(1)",
    "{{ 7|add:7 }}{% now 'Y' %}",
    "&lt;b&gt; &#60;script&#62;",
    "\u202etxt.exe",
    "\x00\x1b[31m\x07",
    "</script><svg onload=alert(1)>",
    "<style>*{display:none}</style>",
    "<!-- -->",
]


_OWN = re.compile(r'value="[^"]*"|<textarea.*?</textarea>', re.DOTALL)
"""What a person typed comes back to them as they typed it."""


class Page(HTMLParser):
    """The tags and attributes that a browser would see."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def check(response, *, typed=False):
    """typed: the text is the reader's own, so it may stand as it is, but still only as text."""
    text = text_of(response)
    assert response.status_code < 500
    for tag, attributes in Page(text).found:
        assert tag not in {"img", "style", "iframe", "object", "base"}, tag
        assert not [name for name in attributes if name.startswith("on") or name == "style"], (tag, attributes)
        if tag == "script":
            assert attributes["src"].startswith("/static/")
        for name in ("href", "src", "action", "formaction", "xlink:href"):
            assert not (attributes.get(name) or "").strip().lower().startswith(("javascript:", "data:")), attributes
    assert text.count("<h1>owned") == 0
    assert typed or not set(_OWN.sub("", text)) & {"\u202e", "\x00", "\x1b"}
    assert response["Content-Security-Policy"] == POLICY
    assert response["X-Content-Type-Options"] == "nosniff"
    return text


@pytest.mark.parametrize("payload", HOSTILE)
def test_records(client, team, served, stream, payload):
    data = payload.encode()
    wrapped = json.dumps({"a": {payload: payload}}, ensure_ascii=False).encode()
    numbers = put(served, team, stream, (payload, data), ("k", wrapped))
    base = "/t/first/streams/orders"
    pages = [f"{base}/records", f"{base}/latest", f"{base}/records?q={payload}"]
    for record in numbers:
        link = f"{base}/records/{int(record['ShardId'][-4:])}/{record['SequenceNumber']}"
        pages += [f"{link}?view={view}" for view in ("json", "raw", "hex", "meta")]
        pages.append(f"{base}/put?again={int(record['ShardId'][-4:]):04d}:{record['SequenceNumber']}")
    for path in pages:
        check(client.get(path.replace("#", "%23").replace("\x00", "%00").replace("&", "%26")))


@pytest.mark.parametrize("payload", HOSTILE)
def test_addresses_and_forms(client, stream, payload):
    base = "/t/first/streams"
    for path, field in (
        (base, "q"), (base, "sort"), (base, "status"), (f"{base}/orders/records", "at"), (f"{base}/orders/records", "record"),
        (f"{base}/orders/records", "from"), (f"{base}/orders/records", "shard"), (f"{base}/orders/records", "view"),
        ("/t/first/palette", "q"), ("/t/first/palette", "at"), ("/t/first/create-stream", "name"), ("/t/first/create-stream/name", "name"),
        ("/t/first/create-stream/beside", "tags"), ("/t/first/ingestion/import", "target"), ("/t/first/ingestion/replay", "source"),
    ):  # fmt: skip
        check(client.get(path, {field: payload}), typed=True)
    for path, given in (
        ("/t/first/create-stream", {"name": payload, "tags": payload, "mode": payload}),
        (f"{base}/orders/consumers", {"name": payload}),
        (f"{base}/orders/delete", {"name": payload}),
        (f"{base}/orders/configuration", {"part": "tags", "tags": "=" + payload}),
        (f"{base}/orders/put", {"kind": "base64", "content": payload, "key": payload, "count": "1"}),
    ):
        check(client.post(path, given), typed=True)


def test_names_of_keys_files_and_people(client, team, served, stream):
    for payload in HOSTILE:
        keys.create(team.team, team.user, payload.replace("\x00", "")[:80], 1)
        Ingestion.objects.create(
            team=team.team, kind="import", target_name="orders", created_at_ms=1, status="FAILED", finished_at_ms=served.clock.now_ms(),
            source={"file": "x", "name": payload.replace("\x00", ""), "key": "", "key_field": 0}, error=payload.replace("\x00", ""),
        )  # fmt: skip
    client.post("/t/first/profile", {"part": "about", "name": HOSTILE[0], "theme": "system"})
    for path in (
        "/t/first/keys",
        "/t/first/ingestion",
        "/t/first",
        "/t/first/profile",
        f"/t/first/ingestion/{Ingestion.objects.first().pk}",
    ):
        text = text_of(client.get(path))
        assert "<script>alert" not in text
        assert "<img" not in text


def test_tags_are_text(client, team, served):
    make_stream(served, team, "tagged", 1, Tags={"a b": "x+y=z @/_.:-"})
    check(client.get("/t/first/streams"))
    check(client.get("/t/first/streams/tagged/configuration"))


def test_error_pages_carry_the_policy(client, served):
    for path in ("/nowhere", "/t/first/streams/none", "/t/none", "/setup"):
        answer = client.get(path)
        assert answer.status_code == 404
        check(answer)


def test_a_bug_is_a_page_with_an_id_and_one_line_in_the_log(client, monkeypatch, served):
    from structlog.testing import capture_logs

    from console.pages import keys as page

    monkeypatch.setattr(page, "render", None)
    client.raise_request_exception = False
    with capture_logs() as logs:
        answer = client.get("/t/first/keys")
    assert answer.status_code == 500
    request_id = re.search(r'class="mono">([0-9a-f-]{36})<', text_of(answer))[1]
    failed = [line for line in logs if line["event"] == "page_failed"]
    assert [line["request_id"] for line in failed] == [request_id]
    assert answer["Content-Security-Policy"] == POLICY
