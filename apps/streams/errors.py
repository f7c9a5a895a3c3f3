"""Every error of Kinesis Data Streams: AWS's code and text in the class, built from the facts of the case.

Texts come from recordings of AWS; some end in a full stop and some do not, as recorded.
"""

from __future__ import annotations

from typing import Self

from apps.base.errors import AccessDeniedException, ServiceError, ValidationException
from apps.billing.spending_hold import PAUSED_TEXT


class ResourceNotFoundException(ServiceError):
    """A stream, shard or consumer does not exist (or is not there yet)."""

    code = "ResourceNotFoundException"

    @classmethod
    def stream(cls, name: str, account_id: str) -> Self:
        """No such stream."""
        return cls(f"Stream {name} under account {account_id} not found.")

    @classmethod
    def shard(cls, shard_id: str, name: str, account_id: str) -> Self:
        """No such shard, or no such stream, where AWS does not tell the two apart."""
        return cls(f"Shard {shard_id} in stream {name} under account {account_id} does not exist")

    @classmethod
    def could_not_find_shard(cls, shard_id: str, name: str, account_id: str) -> Self:
        """A malformed shard id (as sent), or, in resharding calls, an unknown one (normalised)."""
        return cls(f"Could not find shard {shard_id} in stream {name} under account {account_id}.")

    @classmethod
    def consumer(cls, consumer: str, account_id: str) -> Self:
        """No such consumer; consumer is the ARN, or the name where the caller gave a name."""
        return cls(f"Consumer {consumer}, account {account_id} not found.")


class ResourceInUseException(ServiceError):
    """The resource exists already, or is not in a state that allows the call."""

    code = "ResourceInUseException"

    @classmethod
    def stream_exists(cls, name: str, account_id: str) -> Self:
        """CreateStream of a name that is taken."""
        return cls(f"Stream {name} under account {account_id} already exists.")

    @classmethod
    def stream_not_active(cls, name: str, account_id: str, status: str) -> Self:
        """The call needs an ACTIVE stream."""
        return cls(f"Stream {name} under account {account_id} not ACTIVE, instead in state {status}")

    @classmethod
    def consumer_exists(cls, name: str, account_id: str) -> Self:
        """RegisterStreamConsumer of a name that is taken."""
        return cls(f"Consumer {name} under account {account_id} already exists.")

    @classmethod
    def consumer_not_active(cls, name: str, created_s: int, stream: str, account_id: str) -> Self:
        """SubscribeToShard needs an ACTIVE consumer."""
        return cls(
            f"Consumer {name} with creation timestamp {created_s} under stream: {stream} , account {account_id} "
            "is not in ACTIVE status."
        )

    @classmethod
    def subscription_active(cls, account_id: str, stream: str, shard_id: str, consumer: str) -> Self:
        """SubscribeToShard less than five seconds after the last success for the same consumer and shard; and what
        the earlier subscription is told when a later one takes its place."""
        return cls(f"Another active subscription exists for this consumer: {account_id}:{stream}:{shard_id}:{consumer}")


class LimitExceededException(ServiceError):
    """A quota of the account or the stream, or too many calls of the control plane."""

    code = "LimitExceededException"


class InvalidArgumentException(ServiceError):
    """An argument that its type allows, but the operation does not."""

    code = "InvalidArgumentException"


class ExpiredIteratorException(ServiceError):
    """The shard iterator is more than five minutes old."""

    code = "ExpiredIteratorException"


class ExpiredNextTokenException(ServiceError):
    """The page token is more than five minutes old."""

    code = "ExpiredNextTokenException"


class ProvisionedThroughputExceededException(ServiceError):
    """A shard's budget per second is spent. Clients wait and repeat."""

    code = "ProvisionedThroughputExceededException"

    @classmethod
    def shard(cls, shard_id: str, name: str, account_id: str, because: str = "") -> Self:
        """The shard's write, read or iterator budget. because: a sentence more."""
        return cls(rate_exceeded(shard_id, name, account_id, because))

    @classmethod
    def paused(cls, name: str, account_id: str) -> Self:
        """The team's budget is spent, and an owner lets it pause writes. The code is the one that AWS's clients back off
        from; the whole call is refused, also PutRecords: a producer that looks at no single entry must not lose any."""
        return cls(f"Writes to stream {name} under account {account_id} are refused. {PAUSED_TEXT}")


class DryRunOperationException(ServiceError):
    """The call had DryRun and would have succeeded."""

    code = "DryRunOperationException"

    def __init__(self) -> None:
        super().__init__("Request would have succeeded, but DryRun flag is set.")


def rate_exceeded(shard_id: str, name: str, account_id: str, because: str = "") -> str:
    """The text of a throttled call or PutRecords entry. because: a sentence more."""
    text = f"Rate exceeded for shard {shard_id} in stream {name} under account {account_id}."
    return f"{text} {because}" if because else text


__all__ = [
    "AccessDeniedException",
    "DryRunOperationException",
    "ExpiredIteratorException",
    "ExpiredNextTokenException",
    "InvalidArgumentException",
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "ResourceInUseException",
    "ResourceNotFoundException",
    "ServiceError",
    "ValidationException",
    "rate_exceeded",
]
