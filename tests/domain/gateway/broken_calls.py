"""What can be wrong with a call, told by AWS's model: for each limit of each member a call that breaks it alone."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from apps.wire.model import Operation, Shape
from apps.wire.validate import Pattern, unanchored

LENGTH_MAX = 5_000
"""Texts and lists are not made longer than this to break a limit."""

ELSEWHERE = "not-there"
"""The name of what does not exist."""

NAMES = dict.fromkeys(("StreamName", "ConsumerName", "DeliveryStreamName"), "ResourceNotFoundException")
"""Members that name something which must exist, except where the operation makes it."""

MAKES = {
    ("CreateStream", "StreamName"),
    ("RegisterStreamConsumer", "ConsumerName"),
    ("CreateDeliveryStream", "DeliveryStreamName"),
}
TOKENS = {"NextToken", "ShardIterator"}


@dataclass(frozen=True)
class Broken:
    """A call that must be refused: with which code, and what its text must say."""

    why: str
    params: Any
    code: str
    says: str = ""


def broken_calls(operation: Operation, params: dict[str, Any]) -> Iterator[Broken]:
    """Every way to break one thing of a valid call."""
    yield Broken("the body is a list", [], "SerializationException")
    yield from _types(operation.input, params, params, ())
    yield from _limits(operation.input, params, params, (), "")
    yield from _meanings(operation, params)


# --- wrong types -----------------------------------------------------------------------------------------------------

WRONG = {
    "string": 7, "blob": 7, "integer": "seven", "double": "half", "boolean": "perhaps", "timestamp": "yesterday", "list": "some",
    "map": "some", "structure": "some",
}  # fmt: skip


def _types(shape: Shape, value: Any, whole: dict[str, Any], path: tuple[Any, ...]) -> Iterator[Broken]:
    for name, member in shape.members.items():
        at = (*path, name)
        why = f"{'.'.join(map(str, at))} is no {member.type}"
        yield Broken(why, _put(whole, at, WRONG[member.type]), "SerializationException")
        if name in value:
            yield from _types_below(member, value[name], whole, at)


def _types_below(shape: Shape, value: Any, whole: dict[str, Any], path: tuple[Any, ...]) -> Iterator[Broken]:
    if shape.type == "structure":
        yield from _types(shape, value, whole, path)
    elif shape.type == "list" and shape.member is not None:
        if shape.member.type == "structure":
            yield from _types(shape.member, value[0], whole, (*path, 0))
        else:
            why = f"{path[-1]} holds no {shape.member.type}"
            yield Broken(why, _put(whole, (*path, 0), WRONG[shape.member.type]), "SerializationException")
    elif shape.type == "map":
        yield Broken(f"{path[-1]} holds no text", _put(whole, path, {"a": 7}), "SerializationException")


# --- broken limits ---------------------------------------------------------------------------------------------------


def _limits(shape: Shape, value: Any, whole: dict[str, Any], path: tuple[Any, ...], said: str) -> Iterator[Broken]:
    for name, member in shape.members.items():
        at, text = (*path, name), f"{said}{name[0].lower()}{name[1:]}"
        if name in shape.required:
            says = f"Value null at '{text}' failed to satisfy constraint: Member must not be null"
            yield Broken(f"{text} is missing", _without(whole, at), "ValidationException", says)
        for why, bad, constraint in _bad_values(member):
            says = f"at '{text}' failed to satisfy constraint: {constraint}"
            if path or not _is_alternative(name, value):
                yield Broken(f"{text} {why}", _put(whole, at, bad), "ValidationException", says)
        if name in value and member.type == "structure":
            yield from _limits(member, value[name], whole, at, f"{text}.")
        elif name in value and member.type == "list" and member.member is not None:
            if member.maximum is not None and member.maximum < LENGTH_MAX:
                says = f"at '{text}' failed to satisfy constraint: Member must have length less than or equal to"
                many = value[name][:1] * (member.maximum + 1)
                yield Broken(f"{text} has too many", _put(whole, at, many), "ValidationException", says)
            if member.member.type == "structure":
                yield from _limits(member.member, value[name][0], whole, (*at, 0), f"{text}.1.member.")
            for why, bad, _ in _bad_values(member.member):
                says = f"at '{text}' failed to satisfy constraint: Member must satisfy constraint: ["
                yield Broken(f"{text} holds one that {why}", _put(whole, at, [bad]), "ValidationException", says)


def _is_alternative(name: str, value: dict[str, Any]) -> bool:
    """An example without the member: putting it in might break more than its limit."""
    return name not in value and name in TOKENS


def _bad_values(shape: Shape) -> Iterator[tuple[str, Any, str]]:
    """Values of the right type that break exactly one limit, and AWS's name of it."""
    if shape.type == "string":
        yield from _bad_texts(shape)
    elif shape.type in {"integer", "double"}:
        if shape.minimum is not None:
            text = f"Member must have value greater than or equal to {shape.minimum}"
            yield "is too small", shape.minimum - 1, text
        if shape.maximum is not None:
            text = f"Member must have value less than or equal to {shape.maximum}"
            yield "is too large", shape.maximum + 1, text
    elif shape.type == "list" and shape.minimum:
        yield "is empty", [], f"Member must have length greater than or equal to {shape.minimum}"
    elif shape.type == "map":
        if shape.minimum:
            yield "is empty", {}, f"Member must have length greater than or equal to {shape.minimum}"
        if shape.maximum is not None:
            many = {f"k{n}": "" for n in range(shape.maximum + 1)}
            yield "has too many", many, f"Member must have length less than or equal to {shape.maximum}"
        assert shape.key is not None
        assert shape.key.maximum is not None
        long = {"k" * (shape.key.maximum + 1): "v"}
        yield "has a long key", long, "Map keys must satisfy constraint: [Member must have length less than or equal to"


STRANGE_TEXTS = ("~ü~", "a\nb", "a b", ":*")
"""Each pattern of the model refuses one of them."""


def _bad_texts(shape: Shape) -> Iterator[tuple[str, Any, str]]:
    if shape.enum:
        yield "is none of its values", "NOTHING_OF_THE_KIND", "Member must satisfy enum value set: ["
        return
    if shape.pattern is not None:
        bad = next(text for text in STRANGE_TEXTS if not Pattern.of(shape.pattern).matches(text))
        text = f"Member must satisfy regular expression pattern: {unanchored(shape.pattern)}"
        yield "does not match", bad, text
    if shape.minimum:
        yield "is empty", "", f"Member must have length greater than or equal to {shape.minimum}"
    if shape.maximum is not None and shape.maximum < LENGTH_MAX:
        yield "is too long", "a" * (shape.maximum + 1), f"Member must have length less than or equal to {shape.maximum}"


# --- right form, wrong meaning ---------------------------------------------------------------------------------------


def _meanings(operation: Operation, params: dict[str, Any]) -> Iterator[Broken]:
    members = operation.input.members
    if {"StreamName", "StreamARN"} <= set(members) and "ShardIterator" not in members:
        neither = {name: value for name, value in params.items() if name not in {"StreamName", "StreamARN"}}
        yield Broken("no stream is named", neither, "InvalidArgumentException", "should be provided")
        both = {**params, "StreamName": ELSEWHERE}
        yield Broken("name and ARN disagree", both, "InvalidArgumentException", "do not name the same stream")
    for name in members:
        if name in NAMES and (operation.name, name) not in MAKES:
            others = {other: value for other, value in params.items() if other not in {"StreamARN", "ConsumerARN"}}
            if name == "ConsumerName":
                others["StreamARN"] = params["StreamARN"]
            yield Broken(f"{name} does not exist", {**others, name: ELSEWHERE}, NAMES[name], ELSEWHERE)
        if name in {"StreamARN", "ConsumerARN", "QueueARN", "ResourceARN"}:
            yield from _arns(operation, params, name)
        if name in TOKENS:
            alone = {other: value for other, value in params.items() if other in {"StreamARN", "ShardIterator"}}
            if operation.name == "ListShards":
                alone = {}
            yield Broken(f"{name} is invented", {**alone, name: "AAAA"}, "InvalidArgumentException", f"Invalid {name}.")


def _arns(operation: Operation, params: dict[str, Any], name: str) -> Iterator[Broken]:
    if name not in params:
        return
    dropped = {"StreamName", "ConsumerName"} if name == "ConsumerARN" else {"StreamName"}
    others = {other: value for other, value in params.items() if other not in dropped}
    if name == "ConsumerARN":
        others.pop("StreamARN", None)
    if name == "StreamARN" and "ConsumerARN" in params:
        others.pop("ConsumerARN")
    arn = params[name]
    gone = (
        f"{arn[:-1]}{'1' if arn[-1] == '0' else '0'}" if name in {"ConsumerARN", "QueueARN"} else f"{arn}-{ELSEWHERE}"
    )
    code = "InvalidArgumentException" if "ShardIterator" in params else "ResourceNotFoundException"
    yield Broken(f"{name} does not exist", {**others, name: gone}, code)
    far = arn.replace(":123456789012:", ":999999999999:")
    yield Broken(f"{name} is of nobody", {**others, name: far}, "ResourceNotFoundException|AccessDeniedException")


# --- changed copies --------------------------------------------------------------------------------------------------


def _put(params: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(params)
    here: Any = changed
    for step in path[:-1]:
        here = here[step]
    here[path[-1]] = value
    return changed


def _without(params: dict[str, Any], path: tuple[Any, ...]) -> dict[str, Any]:
    changed = copy.deepcopy(params)
    here: Any = changed
    for step in path[:-1]:
        here = here[step]
    here.pop(path[-1], None)
    return changed
