"""Which requests are AWS's? Everything else on the port is the console's.

The gateway never reads cookies, and the console never reads signatures.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote_plus

METHODS = frozenset({"POST", "PUT", "DELETE", "OPTIONS"})
"""On exactly `/`, these are the gateway's even without a header that says so. GET / is the console's front page."""

RPC_PATHS = "/service/"
"""Where Smithy RPC v2 has its operations: `/service/<service>/operation/<operation>`. No page lives there."""


def claims(method: str, path: str, headers: Mapping[str, str], query: str) -> bool:
    """True if the gateway answers this request. Header names are lower-case."""
    if "x-amz-target" in headers or (path == "/" and method in METHODS):
        return True
    if "smithy-protocol" in headers and path.startswith(RPC_PATHS):
        return True
    if headers.get("authorization", "").startswith("AWS"):
        return True
    return bool(query) and any(name.startswith("X-Amz-") for name in _names(query))


def _names(query: str) -> list[str]:
    return [unquote_plus(part.partition("=")[0]) for part in query.split("&")]
