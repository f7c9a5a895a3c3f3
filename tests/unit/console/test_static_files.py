"""Static files from memory: what is sent to whom, and what is kept for how long."""

import gzip

import cramjam
import pytest

from console.static_files import StaticFiles

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
