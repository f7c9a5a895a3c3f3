"""Condition blocks: operators, their sets and IfExists, as AWS evaluates them.

All conditions of a statement must hold; of several values of one key one is enough, and for the negated operators none
may match. A key that the request lacks fails the plain operators and satisfies the negated ones.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from apps.access.policy.patterns import Context, Pattern

VALUES_CACHED = 4_096
ARN_PARTS = 6

_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,2})?")
"""No `nan`, which is neither less nor more than anything, and none of Python's own spellings."""

Test = Callable[[str, Pattern, Context], bool]
"""Does a value of the request fit a value of the policy?"""


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator on one key."""

    key: str
    values: tuple[Pattern, ...]
    test: Test
    negated: bool = False
    each: str = ""
    """`any` or `all` of the request's values, for ForAnyValue and ForAllValues."""
    if_exists: bool = False
    is_null: bool = False

    @property
    def names(self) -> frozenset[str]:
        """The keys whose values decide."""
        return frozenset((self.key,)).union(*(value.names for value in self.values))

    def holds(self, context: Context) -> bool:
        """Does the request satisfy it?"""
        given = context.get(self.key)
        if self.is_null:
            wanted = {value.text.lower() == "true" for value in self.values}
            return (given is None) in wanted
        if given is None:
            return self.if_exists or self.each == "all" or (self.negated and self.each != "any")
        several = (given,) if isinstance(given, str) else given
        if self.each == "all":
            return all(self._fits(value, context) for value in several)
        if self.each == "any" or not self.negated:
            return any(self._fits(value, context) for value in several)
        return all(self._fits(value, context) for value in several)

    def _fits(self, value: str, context: Context) -> bool:
        return any(self.test(value, wanted, context) for wanted in self.values) != self.negated


def _equals(value: str, wanted: Pattern, context: Context) -> bool:
    return wanted.filled(context) == value


def _equals_ignoring_case(value: str, wanted: Pattern, context: Context) -> bool:
    text = wanted.filled(context)
    return text is not None and text.casefold() == value.casefold()


def _like(value: str, wanted: Pattern, context: Context) -> bool:
    return wanted.matches(value, context)


def _bool(value: str, wanted: Pattern, context: Context) -> bool:
    text = wanted.filled(context)
    return text is not None and text.lower() == value.lower()


def _binary(value: str, wanted: Pattern, _context: Context) -> bool:
    try:
        return base64.b64decode(wanted.text, validate=True) == base64.b64decode(value, validate=True)
    except binascii.Error:
        return False


def _ordered(parse: Callable[[str], float | None], fits: Callable[[float, float], bool]) -> Test:
    def test(value: str, wanted: Pattern, context: Context) -> bool:
        text = wanted.filled(context)
        left, right = parse(value), parse(text) if text is not None else None
        return left is not None and right is not None and fits(left, right)

    return test


@lru_cache(maxsize=VALUES_CACHED)
def number(text: str) -> float | None:
    """A number of a policy; None: it is none."""
    return float(text) if _NUMBER.fullmatch(text) else None


@lru_cache(maxsize=VALUES_CACHED)
def moment(text: str) -> float | None:
    """Epoch seconds of an ISO 8601 time or of epoch seconds; None: it is neither."""
    seconds = number(text)
    if seconds is not None:
        return seconds
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


@lru_cache(maxsize=VALUES_CACHED)
def network(text: str) -> IPv4Network | IPv6Network | None:
    """A CIDR range or one address; None: it is neither."""
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _in_network(value: str, wanted: Pattern, context: Context) -> bool:
    text = wanted.filled(context)
    found = network(text) if text is not None else None
    try:
        address = ip_address(value)
    except ValueError:
        return False
    if address.version == 6 and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return found is not None and address in found


def _arn_like(value: str, wanted: Pattern, context: Context) -> bool:
    """Each of the six parts by itself: a star does not reach over a colon but in the last one."""
    return wanted.matches_parts(value, context, ARN_PARTS)


def _comparisons(prefix: str, parse: Callable[[str], float | None]) -> dict[str, tuple[Test, bool]]:
    equal = _ordered(parse, lambda left, right: left == right)
    return {
        f"{prefix}Equals": (equal, False),
        f"{prefix}NotEquals": (equal, True),
        f"{prefix}LessThan": (_ordered(parse, lambda left, right: left < right), False),
        f"{prefix}LessThanEquals": (_ordered(parse, lambda left, right: left <= right), False),
        f"{prefix}GreaterThan": (_ordered(parse, lambda left, right: left > right), False),
        f"{prefix}GreaterThanEquals": (_ordered(parse, lambda left, right: left >= right), False),
    }


OPERATORS: dict[str, tuple[Test, bool]] = {
    "StringEquals": (_equals, False),
    "StringNotEquals": (_equals, True),
    "StringEqualsIgnoreCase": (_equals_ignoring_case, False),
    "StringNotEqualsIgnoreCase": (_equals_ignoring_case, True),
    "StringLike": (_like, False),
    "StringNotLike": (_like, True),
    "Bool": (_bool, False),
    "BinaryEquals": (_binary, False),
    "IpAddress": (_in_network, False),
    "NotIpAddress": (_in_network, True),
    "ArnEquals": (_arn_like, False),
    "ArnLike": (_arn_like, False),
    "ArnNotEquals": (_arn_like, True),
    "ArnNotLike": (_arn_like, True),
    **_comparisons("Numeric", number),
    **_comparisons("Date", moment),
}
"""Every operator but Null, which asks whether the key is there: the test, and whether it is negated."""

_BY_LOWER = {name.lower(): name for name in OPERATORS}
_WITH_WILDCARDS = (_like, _arn_like)


class UnknownOperator(Exception):
    """No such operator."""


class WrongValue(Exception):
    """A value that the operator cannot compare with."""


def make(operator: str, key: str, values: list[str], *, variables: bool) -> Condition:
    """The condition of one key. Raises UnknownOperator and WrongValue."""
    qualifier, colon, name = operator.partition(":")
    each = {"foranyvalue": "any", "forallvalues": "all"}.get(qualifier.lower(), "") if colon else ""
    if colon and not each:
        raise UnknownOperator(operator)
    name = name if colon else operator
    if name.lower() == "null":
        if not all(value.lower() in {"true", "false"} for value in values):
            raise WrongValue(operator)
        return Condition(key.lower(), tuple(Pattern(value, variables=False) for value in values), _equals, is_null=True)
    if_exists = name.lower().endswith("ifexists")
    known = _BY_LOWER.get(name[: -len("IfExists")].lower() if if_exists else name.lower())
    if known is None:
        raise UnknownOperator(operator)
    test, negated = OPERATORS[known]
    _check(known, values)
    wildcards = test in _WITH_WILDCARDS
    patterns = tuple(Pattern(value, variables=variables, wildcards=wildcards) for value in values)
    return Condition(key.lower(), patterns, test, negated, each, if_exists)


def _check(operator: str, values: list[str]) -> None:
    parse: Callable[[str], object | None] | None = None
    if operator.startswith("Numeric"):
        parse = number
    elif operator.startswith("Date"):
        parse = moment
    elif operator in {"IpAddress", "NotIpAddress"}:
        parse = network
    elif operator == "Bool":
        parse = {"true": 1, "false": 1}.get
        values = [value.lower() for value in values]
    if parse is not None and any(parse(value) is None for value in values if "${" not in value):
        raise WrongValue(operator)
