"""Every error of Data Firehose: AWS's code and text in the class, built from the facts of the case."""

from __future__ import annotations

from typing import Self

from apps.base.errors import ServiceError
from apps.billing.spending_hold import PAUSED_TEXT


class ResourceNotFoundException(ServiceError):
    """A delivery stream does not exist (or does not take records yet)."""

    code = "ResourceNotFoundException"

    @classmethod
    def delivery_stream(cls, name: str, account_id: str) -> Self:
        """No such delivery stream."""
        return cls(f"Firehose {name} under account {account_id} not found.")


class ResourceInUseException(ServiceError):
    """The delivery stream exists already, or is not in a state that allows the call."""

    code = "ResourceInUseException"

    @classmethod
    def exists(cls, name: str, account_id: str) -> Self:
        """CreateDeliveryStream of a name that is taken."""
        return cls(f"Firehose {name} under accountId {account_id} already exists")

    @classmethod
    def not_active(cls, name: str, account_id: str, status: str) -> Self:
        """The call needs an ACTIVE delivery stream."""
        return cls(f"Firehose {name} under accountId {account_id} is not ACTIVE, instead in state {status}")


class InvalidArgumentException(ServiceError):
    """An argument that its type allows, but the operation does not."""

    code = "InvalidArgumentException"


class LimitExceededException(ServiceError):
    """A quota of the account or the delivery stream."""

    code = "LimitExceededException"


class ConcurrentModificationException(ServiceError):
    """Another update of the destination came first."""

    code = "ConcurrentModificationException"


class ServiceUnavailableException(ServiceError):
    """More is put than may be, or the log cannot take it now. Clients wait and repeat. HTTP 503."""

    code = "ServiceUnavailableException"
    status = 503

    @classmethod
    def slow_down(cls) -> Self:
        """The quotas of Direct PUT."""
        return cls(SLOW_DOWN)

    @classmethod
    def paused(cls, name: str, account_id: str) -> Self:
        """The team's budget is spent, and an owner lets it pause writes. AWS's clients back off from this code; the whole
        call is refused, also PutRecordBatch: a producer that looks at no single entry must not lose any."""
        return cls(f"Puts into Firehose {name} under account {account_id} are refused. {PAUSED_TEXT}")


SLOW_DOWN = "Slow down."


class InvalidKMSResourceException(ServiceError):
    """The KMS key that covers the delivery stream may not be used. The member code: the key service's own word."""

    code = "InvalidKMSResourceException"

    @classmethod
    def of(cls, error: ServiceError) -> Self:
        """What Kinesis calls KMSDisabledException and the like."""
        return cls(error.message, code=error.code)


__all__ = [
    "SLOW_DOWN",
    "ConcurrentModificationException",
    "InvalidArgumentException",
    "InvalidKMSResourceException",
    "LimitExceededException",
    "ResourceInUseException",
    "ResourceNotFoundException",
    "ServiceUnavailableException",
]
