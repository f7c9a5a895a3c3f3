"""Static files from memory: what is sent to whom, and what is kept for how long."""

import gzip
import io
from pathlib import Path

import cramjam
import pytest
from django.core.files.storage import FileSystemStorage
from django.http import HttpResponse, StreamingHttpResponse
from django.test import RequestFactory

from console.static_files import Compressed, StaticFiles
from console.storage import JOINED, joined

STATIC = Path(__file__).resolve().parents[3] / "static"

SCRIPT = b"export const answer = 42;\n" * 100
FONT = bytes(range(256)) * 4


@pytest.fixture
def files(tmp_path):
    (tmp_path / "js").mkdir()
    (tmp_path / "js/app.0123456789ab.js").write_bytes(SCRIPT)
    (tmp_path / "js/app.js").write_bytes(SCRIPT)
    (tmp_path / "geist.0123456789ab.woff2").write_bytes(FONT)
    (tmp_path / "staticfiles.json").write_text("{}")
    return StaticFiles(tmp_path)


@pytest.mark.parametrize(
    ("accepted", "encoding", "unpack"),
    [
        ("gzip, deflate, br", "br", lambda body: bytes(cramjam.brotli.decompress(body))),
        ("gzip", "gzip", gzip.decompress),
        ("br;q=0, gzip;q=0.5", "gzip", gzip.decompress),
        ("", None, bytes),
        ("identity", None, bytes),
    ],
)
def test_compressed_as_the_browser_can(files, accepted, encoding, unpack):
    status, headers, body = files.answer("GET", "/static/js/app.0123456789ab.js", accepted)
    told = dict(headers)
    assert (status, told.get("content-encoding"), unpack(body)) == (200, encoding, SCRIPT)
    assert told["content-type"] == "text/javascript; charset=utf-8"
    assert told["vary"] == "accept-encoding"
    assert told["x-content-type-options"] == "nosniff"


def test_hashed_names_are_kept_for_ever_and_others_are_not(files):
    kept = dict(files.answer("GET", "/static/js/app.0123456789ab.js", "")[1])["cache-control"]
    assert kept == "public, max-age=31536000, immutable"
    assert dict(files.answer("GET", "/static/js/app.js", "")[1])["cache-control"] == "no-cache"


def test_fonts_are_compressed_already(files):
    status, headers, body = files.answer("GET", "/static/geist.0123456789ab.woff2", "br, gzip")
    assert (status, body) == (200, FONT)
    assert dict(headers)["content-type"] == "font/woff2"
    assert "content-encoding" not in dict(headers)


def test_head_tells_and_sends_nothing(files):
    assert files.answer("HEAD", "/static/js/app.js", "br")[2] == b""


@pytest.mark.parametrize(
    "path", ["/static/", "/static/none.js", "/static/../control.sqlite3", "/static/staticfiles.json"]
)
def test_nothing_else_is_there(files, path):
    assert files.answer("GET", path, "br")[0] == 404


def test_nothing_is_written(files):
    assert files.answer("POST", "/static/js/app.js", "")[0] == 405


def test_modules_that_are_sent_together_run_as_one():
    class Sources:
        def __init__(self, texts):
            self._texts = texts

        def open(self, path):
            return io.BytesIO(self._texts[path].encode())

    sources = Sources({
        "js/a.js": 'import { b, C } from "./b.js";\nimport { d } from "./d.js";\nconst own = 1;\nb(own, d, C);\n',
        "js/b.js": 'import { d } from "./d.js";\nconst own = 2;\nexport function b() { return own + d; }\nexport class C {}\n',
        "js/d.js": "export const d = 3;\n",
    })  # fmt: skip
    text = joined({path: (sources, path) for path in ("js/a.js", "js/b.js", "js/d.js")}, "js/a.js")
    assert text.index("const of_d") < text.index("const of_b") < text.index("const of_a")
    assert text.count("const of_d") == 1
    assert "const { b, C } = of_b;" in text
    assert "return { b, C };" in text
    assert not [line for line in text.splitlines() if line.startswith(("import", "export"))]


def test_each_module_of_ours_can_be_joined():
    paths = {f"js/{path.name}": (FileSystemStorage(STATIC), f"js/{path.name}") for path in (STATIC / "js").glob("*.js")}
    for name in JOINED:
        assert len(joined(paths, name)) > len((STATIC / name).read_text())


PAGE = b"<p>The tide comes in.</p>" * 60


def page_for(accepted, body=PAGE, **headers):
    request = RequestFactory().get("/", HTTP_ACCEPT_ENCODING=accepted)
    return Compressed(lambda _: HttpResponse(body, headers=headers))(request)


def test_pages_are_compressed_as_the_browser_can_and_of_a_random_length():
    answers = [page_for("gzip, br") for _ in range(40)]
    assert {bytes(cramjam.brotli.decompress(answer.content)) for answer in answers} == {PAGE}
    assert {answer["Content-Encoding"] for answer in answers} == {"br"}
    assert all(answer["Content-Length"] == str(len(answer.content)) for answer in answers)
    assert len({len(answer["X-Padding"]) for answer in answers}) > 1
    assert answers[0]["Vary"] == "Accept-Encoding"
    assert gzip.decompress(page_for("gzip").content) == PAGE
    assert page_for("br;q=0").content == PAGE


def test_what_is_short_or_has_an_etag_or_is_compressed_stays():
    assert page_for("br", b"ok").content == b"ok"
    assert page_for("br", ETag='"1"').content == PAGE
    assert page_for("br", ETag='"1"')["ETag"] == '"1"'
    assert page_for("br", **{"Content-Encoding": "gzip"}).content == PAGE


def test_what_is_sent_piece_by_piece_stays_as_browsers_read_the_first_member_of_a_gzip_file_alone():
    async def pieces():
        yield b"from,to,cost\n"
        yield b"2026-10-01,2026-11-01,156.24\n" * 100

    request = RequestFactory().get("/", HTTP_ACCEPT_ENCODING="gzip, br")
    answer = Compressed(lambda _: StreamingHttpResponse(pieces(), content_type="text/csv"))(request)
    assert not answer.has_header("Content-Encoding")
