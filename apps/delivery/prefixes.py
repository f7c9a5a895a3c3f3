"""Where objects go in a bucket: Prefix and ErrorOutputPrefix with their expressions, and the objects' names.

Everything here is a function of the description, of the batch's identity, and of the arrival of its oldest record, so that
whoever repeats a batch finds the same keys; what is random for people (random-string, the name's UUID) derives from the
identity.

A key never has a part `.` or `..`, nor a control character: S3 would store such keys, but many servers keep objects as files,
and most tools cannot name them. A prefix that is like that is refused; where a record's partition key makes it so, the record
goes to the error prefix.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from apps.delivery.java_time import compiled, format_time, instants, zone_of

Json = dict[str, Any]

DEFAULT_PREFIX: Final = "yyyy/MM/dd/HH/"
"""Pattern of what is put behind a prefix that says nothing of the time."""

EVALUATED_CHARACTERS_MAX: Final = 512
"""Of either prefix; AWS's guide."""
KEY_BYTES_MAX: Final = 1_024
"""Of an object in S3."""
RANDOM_CHARACTERS: Final = 11
ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_DNS, "objects.tidegate.local")

ERROR_TYPE: Final = "firehose:error-output-type"
RANDOM: Final = "firehose:random-string"
FROM_QUERY: Final = "partitionKeyFromQuery:"
FROM_LAMBDA: Final = "partitionKeyFromLambda:"
TIMESTAMP: Final = "timestamp:"

EXPRESSION = re.compile(r"!\{([^{}]*)\}")
NAME = r"-[0-9]+-(?P<at>[0-9]{4}(?:-[0-9]{2}){5})-[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}(?:[.][^/]*)?"
"""What follows the delivery stream's name in the name of an object."""
FRACTIONS = frozenset("SnNA")
"""Letters of what is shorter than a second, which an object's name does not tell."""
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]|[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Moment:
    """What the expressions of one object are evaluated with. at_ms: arrival of its oldest record. seed: names the object for
    ever (the batch's identity with all that is its alone)."""

    at_ms: int
    zone: str
    seed: str
    partition_keys: Mapping[str, str] | None = None
    error_type: str = ""


def expressions(prefix: str) -> list[str]:
    """What stands between !{ and }."""
    return EXPRESSION.findall(prefix)


def object_prefix(description: Json, moment: Moment) -> str:
    """Prefix evaluated, with the time behind it where it has none of its own. Raises ValueError with a sentence.

    With partition keys nothing is put behind it: they are the whole path, as in AWS's examples.
    """
    prefix: str = description.get("Prefix") or ""
    named = expressions(prefix)
    if not any(one.startswith((TIMESTAMP, FROM_QUERY, FROM_LAMBDA)) for one in named):
        prefix += f"!{{{TIMESTAMP}{DEFAULT_PREFIX}}}"
    return checked(_evaluated(prefix, moment), "Prefix")


def error_prefix(description: Json, moment: Moment) -> str:
    """ErrorOutputPrefix evaluated; without one, or with one that has no expressions: <prefix><error type>/yyyy/MM/dd/HH/.
    Raises ValueError with a sentence."""
    return checked(_evaluated(_error_template(description), moment), "ErrorOutputPrefix")


def _error_template(description: Json) -> str:
    prefix: str = description.get("ErrorOutputPrefix") or EXPRESSION.sub("", description.get("Prefix") or "")
    return prefix if expressions(prefix) else f"{prefix}!{{{ERROR_TYPE}}}/!{{{TIMESTAMP}{DEFAULT_PREFIX}}}"


def steady_error_prefix(description: Json, error_type: str = "") -> str:
    """What all keys of failed records begin with, whatever their time (and their type, if none is given): for listing them."""
    template = _error_template(description)
    if error_type:
        template = template.replace(f"!{{{ERROR_TYPE}}}", error_type)
    found = EXPRESSION.search(template)
    return template[: found.start()] if found else template


def error_type_of(description: Json, stream: str, key: str) -> str | None:
    """The error-output-type of a key of failed records that this delivery stream wrote; None if it is none of its keys, be it
    of another delivery stream with the same prefix. Empty if its prefix does not tell the type."""
    named = re.fullmatch(f"(.*?){re.escape(stream)}{NAME}", key, re.DOTALL)
    if named is None:
        return None
    zone = description.get("CustomTimeZone") or ""
    for at_ms in instants(named["at"], zone):
        found = re.fullmatch(_error_pattern(_error_template(description), at_ms, zone), named[1])
        if found is not None:
            return found.groupdict().get("type") or ""
    return None


def _error_pattern(template: str, at_ms: int, zone: str) -> str:
    """A regular expression for error prefixes of objects whose oldest record arrived within this second."""
    pattern, at, named = "", 0, False
    for found in EXPRESSION.finditer(template):
        pattern += re.escape(template[at : found.start()])
        at = found.end()
        if found[1] == ERROR_TYPE and not named:
            pattern, named = f"{pattern}(?P<type>[A-Za-z0-9-]+)", True
        elif found[1].startswith(TIMESTAMP) and not FRACTIONS.intersection(found[1].removeprefix(TIMESTAMP)):
            pattern += re.escape(format_time(found[1].removeprefix(TIMESTAMP), at_ms, zone))
        else:
            pattern += "(?P=type)" if found[1] == ERROR_TYPE else "[^/]*"
    return pattern + re.escape(template[at:])


def object_name(stream: str, version_id: int, moment: Moment) -> str:
    """<stream>-<version>-<yyyy-MM-dd-HH-mm-ss>-<uuid>: the time in the prefix's zone."""
    at = format_time("yyyy-MM-dd-HH-mm-ss", moment.at_ms, moment.zone)
    return f"{stream}-{version_id}-{at}-{uuid.uuid5(NAMESPACE, moment.seed)}"


def checked_key(key: str) -> str:
    """The key, if it can be one of an object. Raises ValueError with a sentence."""
    if len(key.encode("utf-8", "surrogatepass")) > KEY_BYTES_MAX:
        raise ValueError(f"The key of an object has at most {KEY_BYTES_MAX} bytes.")
    return checked(key, "The key of an object", len(key))


def checked(evaluated: str, name: str, characters_max: int = EVALUATED_CHARACTERS_MAX) -> str:
    """An evaluated prefix that can be one. Raises ValueError with a sentence."""
    if len(evaluated) > characters_max:
        raise ValueError(f"{name} has more than {characters_max} characters when it is evaluated.")
    if UNPRINTABLE.search(evaluated):
        raise ValueError(f"{name} has a control character.")
    if (
        {".", ".."}.intersection(evaluated.split("/")[:-1])
        or evaluated.endswith(("/..", "/."))
        or evaluated in {".", ".."}
    ):
        raise ValueError(f"{name} has a part that is . or ...")
    return evaluated


def partition_problem(description: Json, partition_keys: Mapping[str, str]) -> str:
    """Why no object could be named with these partition keys; empty: it can."""
    try:
        object_prefix(description, Moment(0, "", "", partition_keys))
    except ValueError as error:
        return str(error)
    return ""


def check_prefixes(
    description: Json, *, partition_names: Mapping[str, set[str]] | None = None, expressions_allowed: bool = True
) -> None:
    """See that Prefix, ErrorOutputPrefix and CustomTimeZone of an S3 description could be evaluated for every record.

    partition_names: with dynamic partitioning, the names that a query and a transform answer, by "query" and "lambda"; a
    transform's are not known beforehand ("lambda" is then empty and any name is taken). expressions_allowed: False for the
    staging bucket of Redshift. Raises ValueError with a sentence.
    """
    prefix, error = description.get("Prefix") or "", description.get("ErrorOutputPrefix") or ""
    zone_of(description.get("CustomTimeZone") or "")
    for name, text in (("Prefix", prefix), ("ErrorOutputPrefix", error)):
        _check_text(name, text)
    named = expressions(prefix)
    if not expressions_allowed and (named or error):
        raise ValueError(
            "Prefix can't have expressions and ErrorOutputPrefix must be null when the destination is Amazon Redshift."
        )
    if ERROR_TYPE in named:
        raise ValueError("Prefix can't contain !{firehose:error-output-type}.")
    if named and not error:
        raise ValueError("ErrorOutputPrefix can't be null or empty when Prefix contains expressions.")
    if expressions(error) and ERROR_TYPE not in expressions(error):
        raise ValueError("ErrorOutputPrefix must contain !{firehose:error-output-type} when it contains expressions.")
    if any(one.startswith((FROM_QUERY, FROM_LAMBDA)) for one in expressions(error)):
        raise ValueError("ErrorOutputPrefix can't contain partition keys.")
    _check_partition_names(named, partition_names)
    _try(description, named)


def _check_text(name: str, text: str) -> None:
    """Every !{ begins an expression that is one."""
    for one in expressions(text):
        if one not in {ERROR_TYPE, RANDOM} and not one.startswith((TIMESTAMP, FROM_QUERY, FROM_LAMBDA)):
            raise ValueError(f"{name} contains an invalid expression: !{{{one}}}.")
        if one.startswith(TIMESTAMP):
            compiled(one.removeprefix(TIMESTAMP))
        if one in {FROM_QUERY, FROM_LAMBDA}:
            raise ValueError(f"{name} contains a partition key without a name: !{{{one}}}.")
    if "!{" in EXPRESSION.sub("", text):
        raise ValueError(f"{name} contains an expression that has no end.")
    checked(EXPRESSION.sub("x", text), name, 2 * EVALUATED_CHARACTERS_MAX)


def _check_partition_names(named: list[str], known: Mapping[str, set[str]] | None) -> None:
    queried = {one.removeprefix(FROM_QUERY) for one in named if one.startswith(FROM_QUERY)}
    answered = {one.removeprefix(FROM_LAMBDA) for one in named if one.startswith(FROM_LAMBDA)}
    if known is None:
        if queried or answered:
            raise ValueError("Prefix can contain partition keys only when dynamic partitioning is enabled.")
        return
    if not queried and not answered:
        raise ValueError("Prefix must contain a partition key when dynamic partitioning is enabled.")
    missing = sorted(queried - known.get("query", set()))
    if missing:
        raise ValueError(f"Prefix contains partition keys that no query extracts: {', '.join(missing)}.")


def _try(description: Json, named: list[str]) -> None:
    """Evaluate both for a moment, which tells what no rule above does: the length, and what a time zone cannot write."""
    keys = {one.partition(":")[2]: "x" for one in named if one.startswith((FROM_QUERY, FROM_LAMBDA))}
    moment = Moment(0, description.get("CustomTimeZone") or "", "", keys, "format-conversion-failed")
    object_prefix(description, moment)
    error_prefix(description, moment)


def _evaluated(prefix: str, moment: Moment) -> str:
    chance = _random_strings(moment.seed)
    return EXPRESSION.sub(lambda found: _value(found[1], moment, chance), prefix)


def _value(expression: str, moment: Moment, chance: Iterator[str]) -> str:
    if expression.startswith(TIMESTAMP):
        return format_time(expression.removeprefix(TIMESTAMP), moment.at_ms, moment.zone)
    if expression == RANDOM:
        return next(chance)
    if expression == ERROR_TYPE:
        return moment.error_type
    for namespace in (FROM_QUERY, FROM_LAMBDA):
        if expression.startswith(namespace):
            return _partition_key(moment, expression.removeprefix(namespace))
    raise ValueError(f"There is no expression !{{{expression}}}.")


def _partition_key(moment: Moment, name: str) -> str:
    value = (moment.partition_keys or {}).get(name)
    if not value:
        raise ValueError(f"The partition key {name!r} is missing or empty.")
    return value


def _random_strings(seed: str) -> Iterator[str]:
    """One after the other for each time that it is asked for."""
    letter: Callable[[int], str] = lambda byte: ALPHABET[byte % len(ALPHABET)]  # noqa: E731
    count = 0
    while True:
        digest = hashlib.sha256(f"{seed}#{count}".encode()).digest()
        yield "".join(map(letter, digest[:RANDOM_CHARACTERS]))
        count += 1
