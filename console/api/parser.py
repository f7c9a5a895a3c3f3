"""JSON as RFC 8259 has it: UTF-8, no NaN, no half surrogates, nested no deeper than a program means it."""

from __future__ import annotations

from typing import IO, Any

import msgspec
from django.utils.http import parse_header_parameters
from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.parsers import BaseParser

CHARSETS = ("utf-8", "utf8", "us-ascii")
"""Names of what is read; another one would be read as something that it is not."""


class Json(BaseParser):
    """Reads a body. Whole numbers stay exact, however long."""

    media_type = "application/json"

    def parse(self, stream: IO[Any], media_type: str | None = None, parser_context: Any = None) -> Any:  # noqa: ARG002 - DRF's
        """The value. Raises ParseError, UnsupportedMediaType."""
        charset = parse_header_parameters(media_type or "")[1].get("charset", CHARSETS[0])
        if charset.lower() not in CHARSETS:
            raise UnsupportedMediaType(media_type or "", "JSON is UTF-8.")
        try:
            return msgspec.json.decode(stream.read())
        except RecursionError as error:
            raise ParseError("The body is nested too deeply.") from error
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ParseError(f"The body is not JSON: {error}.") from error
