"""Requests drawn from the model's shapes: mostly right, some at a limit, some wrong. For property tests."""

import base64
import string
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from apps.base.errors import ServiceError
from apps.wire.model import Shape

ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)

SAMPLES = {
    "StreamName": ["a", "a-b_c.9", "", "a b", "x" * 128, "x" * 129, "ünï", "a\n"],
    "StreamARN": [
        "arn:aws:kinesis:us-east-1:123456789012:stream/s",
        "arn:aws:kinesis",
        "",
        "arn:aws:kinesis:r:1:stream/s",
    ],
    "StreamId": ["a" * 20 + "-abc", "a", "", "A" * 20 + "-abc"],
    "HashKey": ["0", "1", "01", "-1", "9" * 39, "9" * 40, "", "٣", "5\n"],
    "SequenceNumber": ["0", "1", "4" * 56, "9" * 129, "9" * 130, "", "x"],
    "PartitionKey": ["k", "", "k" * 256, "k" * 257, "a=", '"=', "é" * 256, "😀" * 128, "\\"],
    "ShardIterator": ["AAA", "", "i" * 512, "i" * 513],
    "ShardId": ["shardId-000000000000", "", "a b", "s" * 129],
}


def values(shape: Shape, depth: int = 0) -> st.SearchStrategy[Any]:
    """A value of a member: bytes for blobs, milliseconds for times."""
    if shape.type == "structure":
        return structures(shape, depth + 1)
    if shape.type == "list":
        return st.lists(values(shape.member, depth + 1), max_size=4)
    if shape.type == "map":
        return st.dictionaries(values(shape.key), values(shape.value), max_size=4)
    if shape.type == "string":
        choices = list(shape.enum) + SAMPLES.get(shape.name, [])
        text = st.text(max_size=10) | st.text(string.ascii_letters, min_size=1, max_size=6)
        return st.sampled_from(choices) | text if choices else text
    return {
        "blob": st.binary(max_size=12),
        "boolean": st.booleans(),
        "integer": st.integers(-3, 12_000),
        "long": st.integers(-3, 2**40),
        "timestamp": st.integers(-10, 2_000_000_000_000),
    }[shape.type]


def structures(shape: Shape, depth: int = 0) -> st.SearchStrategy[dict[str, Any]]:
    """A dict of some members; required ones usually are there."""
    required = {name: values(member, depth) for name, member in shape.members.items() if name in shape.required}
    optional = {name: values(member, depth) for name, member in shape.members.items() if name not in shape.required}
    full = st.fixed_dictionaries(required, optional=optional)
    return full if depth else full | full | st.fixed_dictionaries({}, optional={**required, **optional})


def as_json(value: Any, shape: Shape) -> Any:
    """A request as plain JSON values."""
    if value is None:
        return None
    if shape.type == "structure":
        return {name: as_json(item, shape.members[name]) for name, item in value.items()}
    if shape.type == "list":
        return [as_json(item, shape.member) for item in value]
    if shape.type == "map":
        return {key: as_json(item, shape.value) for key, item in value.items()}
    if shape.type == "blob":
        return base64.b64encode(value).decode()
    return value / 1000 if shape.type == "timestamp" else value


def answered(function: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
    """What comes out of function: a value, or a ServiceError that is the caller's fault. Nothing else may."""
    try:
        return function(*arguments, **more)
    except ServiceError as error:
        refusal = error
    assert refusal.status == 400, refusal.message
    return refusal
