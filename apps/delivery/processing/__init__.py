"""Processors: what records go through before they are delivered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from apps.delivery.processing import configuration
from apps.delivery.processing.interface import Chain

if TYPE_CHECKING:
    from apps.delivery.destinations.interface import Target
    from apps.runtime import Runtime


def chain_for(runtime: Runtime, target: Target, source_kind: str) -> Chain:
    """The processors of a delivery stream, for one slice. source_kind: "direct" or "stream"; a transform is told of the data
    stream that a record is from."""
    from apps.delivery.processing.chain import Steps, steps_of, steps_once_more

    return Steps(steps_of(runtime, target, source_kind), steps_once_more(runtime, target))


def check(destination_type: str, description: dict[str, Any]) -> None:
    """See that the processors of a description can be: types, parameters, values, queries, combinations.

    Raises ValueError with a sentence. Takes some 30 ms if there is a query.
    """
    configuration.check(destination_type, description)
