"""Prefix and ErrorOutputPrefix of a configuration that is given: the grammar is apps/delivery/prefixes.py's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.delivery import prefixes
from apps.delivery.configuration.members import check

Json = dict[str, Any]

Names = Mapping[str, set[str]]


def check_prefixes(given: Json, *, partition_names: Names | None = None, expressions_allowed: bool = True) -> None:
    """Raises InvalidArgumentException unless both, and the time zone, could be evaluated for every record."""
    check(prefixes.check_prefixes, given, partition_names=partition_names, expressions_allowed=expressions_allowed)
