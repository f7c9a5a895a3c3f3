"""Keys of the objects that channels write: OutputKeyTemplate with its expressions.

An object is named by what is pinned alone: the time is the arrival of its oldest record, in UTC. AWS does not say how two
objects of one minute are kept apart; here a UUID that derives from the batch stands before the extension.
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from typing import Final

from apps.delivery.prefixes import NAMESPACE, checked_key

DEFAULT_TEMPLATE: Final = "data/!{channel-name}/!{yyyy}/!{MM}/!{dd}/!{HH}/!{channel-id}-!{mm}!{extension}"
EXTENSION: Final = "extension"
EXPRESSION: Final = re.compile(r"!\{([^{}]*)\}")
TIMES: Final = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M"}
NAMES: Final = frozenset({"channel-name", "channel-id", EXTENSION, *TIMES})


def check_template(template: str, *, compressed: bool) -> None:
    """See that it could be evaluated. Raises ValueError with a sentence."""
    for name in EXPRESSION.findall(template):
        if name not in NAMES:
            raise ValueError(
                f"OutputKeyTemplate contains an invalid expression: !{{{name}}}. Valid are "
                f"{', '.join(f'!{{{one}}}' for one in sorted(NAMES))}."
            )
    rest = EXPRESSION.sub("", template)
    if "{" in rest or "}" in rest:
        raise ValueError("OutputKeyTemplate contains a brace that belongs to no expression.")
    count = template.count(f"!{{{EXTENSION}}}")
    if compressed and not count:
        raise ValueError("OutputKeyTemplate must contain !{extension} when CompressionType is GZIP or ZSTD.")
    if count > 1:
        raise ValueError("OutputKeyTemplate can contain !{extension} only once.")
    if template.startswith("/"):
        raise ValueError("OutputKeyTemplate must not begin with a slash.")
    object_key(template, "x" * 128, "x" * 24, 0, "x", ".zst")


def object_key(template: str, name: str, channel_id: str, at_ms: int, seed: str, extension: str) -> str:
    """The key of an object. at_ms: arrival of its oldest record; seed: names the batch for ever. Raises ValueError."""
    at = dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC)
    values = {
        "channel-name": name,
        "channel-id": channel_id,
        **{word: at.strftime(form) for word, form in TIMES.items()},
    }
    unique = f"-{uuid.uuid5(NAMESPACE, seed)}"
    values[EXTENSION] = unique + extension
    key = EXPRESSION.sub(lambda found: values[found[1]], template)
    return checked_key(key if f"!{{{EXTENSION}}}" in template else key + unique)
