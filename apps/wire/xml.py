"""The few answers that AWS gives in XML: refusals from before anybody knows which service is meant."""

from __future__ import annotations

from xml.sax.saxutils import escape


def encode_error(code: str, message: str) -> bytes:
    """`<Code>` around an indented `<Message>`, with AWS's line breaks. Both texts are escaped."""
    name = escape(code)
    return f"<{name}>\n  <Message>{escape(message)}</Message>\n</{name}>\n".encode()
