"""A record's data as one line, as JSON with its numbers untouched, as text, as bytes."""

import json
import re

import pytest

from console.pages import record_views as views


def plain(html):
    """What a reader sees."""
    return (
        re.sub(r"<[^>]+>", "", html)
        .replace("&quot;", '"')
        .replace("&#x27;", "'")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
    )


@pytest.mark.parametrize(
    "value",
    [
        {}, [], {"a": 1}, [[[]]], {"a": {}, "b": []}, {"a": [1, 2, {"b": None}], "c": True}, {"": ""}, {"k": 'a"b\\c{[,:]}'},
        {"é": "ü 漢字 🌊"}, [{"a": 1}, {"b": [False]}],
    ],
)  # fmt: skip
def test_json_is_laid_out_as_python_lays_it_out(value):
    data = json.dumps(value, ensure_ascii=False).encode()
    assert plain(views.json_view(data)) == json.dumps(value, indent=2, ensure_ascii=False)


@pytest.mark.parametrize(
    "number",
    [
        "49650217378496502173784965021737849650217378496502173780",
        "9007199254740993",
        "1.10",
        "1e400",
        "-0",
        "0.1e-7",
        "9" * 6000,
    ],
)
def test_numbers_stay_as_they_were_written(number):
    assert f'<span class="n">{number}</span>' in views.json_view(b'{"n": ' + number.encode() + b"}")


@pytest.mark.parametrize(
    "data", [b"", b"text", b"{", b"[" * 100_000, b'{"a": NaN', b"\xff{}", b"7", b'"text"', b"null", b" "]
)
def test_what_is_not_an_object_or_list_is_not_json(data):
    assert views.json_view(data) is None


def test_deep_nesting_does_not_overflow():
    deep = b"[" * 900 + b"]" * 900
    assert views.json_view(deep) is None or plain(views.json_view(deep)).count("[") == 900
    assert views.json_view(b"[" * 50_000 + b"]" * 50_000) is None


def test_markup_in_json_is_escaped():
    found = views.json_view(b'{"<b>": "</pre><script>"}')
    assert "<script" not in found
    assert "&lt;/pre&gt;&lt;script&gt;" in found


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"one  two\n three", "one two three"),
        (b"", ""),
        (b"\xff\xfe\x00\x01", "ff fe 00 01"),
        (b"\x00\x01\x02abc", "00 01 02 61 62 63"),
        (b"mostly text, one bell\x07", "mostly text, one bell⟨0007⟩"),
        ("\u202etxt.exe".encode(), "⟨202E⟩txt.exe"),
        (b"x" * 1000, "x" * 400 + "…"),
    ],
)
def test_the_preview_is_one_line(data, line):
    assert views.preview(data) == line


@pytest.mark.parametrize("cut", range(4))
def test_a_preview_may_cut_a_character_in_two(cut):
    data = b"x" * (views.PREVIEW_CHARS * 4 - cut) + "🌊🌊".encode()
    assert views.preview(data).startswith("xxx")


def test_a_preview_of_megabytes_is_quick_and_short():
    assert len(views.preview(b"\xff" * 10_000_000)) < 500
    assert len(views.preview(b'{"a": "' + b"x" * 10_000_000 + b'"}')) < 500


def test_hex_has_offsets_and_letters():
    assert views.hex_dump(bytes(range(30, 50))).splitlines() == [
        "00000000  1e 1f 20 21 22 23 24 25  26 27 28 29 2a 2b 2c 2d  .. !\"#$%&'()*+,-",
        "00000010  2e 2f 30 31                                       ./01",
    ]
    assert len(views.hex_dump(b"x" * 10**6).splitlines()) == views.HEX_BYTES // 16


def test_raw_shows_what_cannot_be_seen():
    assert views.raw(b"a\x00b\nc\td") == "a⟨0000⟩b\nc\td"
    assert views.raw(b"\xff") == "\ufffd"
