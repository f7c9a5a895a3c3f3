"""A record's data as people read it: one line for a list, JSON with its numbers untouched, raw text, hex.

All of it is made here, on the server: a browser would round integers over 2^53 and choke on megabytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

PREVIEW_CHARS = 400
SHOWN_BYTES = 64 * 1024
HEX_BYTES = 8 * 1024
HEX_COLUMNS = 16

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
"""Control characters, and those that turn the direction of text round: they could disguise what a record says."""

_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null|[{}\[\],:]')
INDENT = "  "


def text_of(data: bytes) -> str | None:
    """The data as text; None if it is not UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def preview(data: bytes) -> str:
    """One line of at most PREVIEW_CHARS characters; hex for what is not text."""
    head = data[: PREVIEW_CHARS * 4]
    text = _decoded_head(head, whole=len(head) == len(data))
    if text is None or len(_UNPRINTABLE.findall(text)) * 4 > len(text) > 0:
        shown = head[: PREVIEW_CHARS // 3].hex(" ")
        return shown + (" …" if len(data) > PREVIEW_CHARS // 3 else "")
    line = visible(" ".join(text.split()))
    return line[:PREVIEW_CHARS] + ("…" if len(line) > PREVIEW_CHARS or len(data) > len(head) else "")


def _decoded_head(head: bytes, *, whole: bool) -> str | None:
    """head as text, although it may end in the middle of a character."""
    if whole:
        return text_of(head)
    for cut in range(4):
        text = text_of(head[: len(head) - cut])
        if text is not None:
            return text
    return None


def visible(text: str) -> str:
    """Text whose unprintable characters are written as code points: ␀ would say nothing, U+0000 does."""
    return _UNPRINTABLE.sub(lambda found: f"⟨{ord(found[0]):04X}⟩", text)


def raw(data: bytes) -> str:
    """The first SHOWN_BYTES as text; what is not UTF-8 becomes the replacement character."""
    return visible(data[:SHOWN_BYTES].decode("utf-8", "replace"))


def hex_dump(data: bytes) -> str:
    """The first HEX_BYTES, sixteen a line, with offset and characters."""
    lines = []
    for at in range(0, min(len(data), HEX_BYTES), HEX_COLUMNS):
        part = data[at : at + HEX_COLUMNS]
        codes = f"{part[:8].hex(' '):23}  {part[8:].hex(' '):23}"
        letters = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{at:08x}  {codes}  {letters}")
    return "\n".join(lines)


def json_view(data: bytes) -> SafeString | None:
    """The data as indented, coloured JSON; None if it is not JSON or too large to be shown whole."""
    text = text_of(data) if len(data) <= SHOWN_BYTES else None
    if text is None:
        return None
    try:
        # Numbers are left as they are written: parsing them would round long ones, or take for ever.
        found = json.loads(text, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, (dict, list)):
        return None
    return format_html_join("", "{}", ((piece,) for piece in _pieces(text)))


def _pieces(text: str) -> Iterator[SafeString | str]:
    """The tokens of valid JSON, set on lines of their own."""
    tokens = _JSON_TOKEN.findall(text)
    depth = 0
    for at, piece in enumerate(tokens):
        after = tokens[at + 1] if at + 1 < len(tokens) else ""
        if piece in "{[":
            depth += 1
            yield piece if after in {"}", "]"} else f"{piece}\n{INDENT * depth}"
        elif piece in "}]":
            depth -= 1
            yield piece if tokens[at - 1] in {"{", "["} else f"\n{INDENT * depth}{piece}"
        elif piece == ",":
            yield f",\n{INDENT * depth}"
        elif piece == ":":
            yield ": "
        else:
            yield format_html('<span class="{}">{}</span>', _class(piece, after), visible(piece))


def _class(piece: str, after: str) -> str:
    if piece.startswith('"'):
        return "p" if after == ":" else "s"
    return "k" if piece in {"true", "false", "null"} else "n"
