"""The table of services: X-Amz-Target to the operation's model, function and typed request."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from apps.base.errors import ServiceError, UnknownOperationException
from apps.streams.operations import NOT_IMPLEMENTED, OPERATIONS, REQUESTS
from apps.wire.model import Operation, load


class UnsupportedOperationException(ServiceError):
    """AWS has the operation, this version of Tidegate has not."""

    code = "UnsupportedOperationException"


@dataclass(frozen=True, slots=True)
class Route:
    """Where one operation leads. function None: not implemented, and why. on_loop: data plane, awaited directly."""

    service: str
    name: str
    operation: Operation
    function: Callable[..., Any] | None
    request_type: type[msgspec.Struct] | None
    on_loop: bool
    why_not: str = ""

    def refuse(self) -> UnsupportedOperationException:
        """The error of an operation that is not implemented."""
        return UnsupportedOperationException(f"The operation {self.name} is not supported. {self.why_not}")


def route(service: str, operation: str) -> Route:
    """The route of an operation by its AWS name. Raises UnknownOperationException."""
    try:
        return ROUTES[service, operation]
    except KeyError:
        raise UnknownOperationException from None


def _routes() -> dict[tuple[str, str], Route]:
    model = load("kinesis")
    return {
        ("kinesis", name): Route(
            "kinesis",
            name,
            operation,
            OPERATIONS.get(name),
            REQUESTS.get(name),
            inspect.iscoroutinefunction(OPERATIONS.get(name)),
            NOT_IMPLEMENTED.get(name, ""),
        )
        for name, operation in model.operations.items()
    }


ROUTES = _routes()
"""By service and operation name."""

TARGETS = {f"{load(service).target_prefix}.{name}": found for (service, name), found in ROUTES.items()}
"""By the whole text of X-Amz-Target."""
