"""What callers of queues are told. Where AWS's own text is not known, the sentence is ours and says what to do."""

from __future__ import annotations

from apps.base.errors import ThrottlingException
from apps.queues.deliveries import IN_FLIGHT_MAX
from apps.streams.errors import ResourceNotFoundException


def not_found(arn: str, account_id: str) -> ResourceNotFoundException:
    """No such queue, or no longer."""
    return ResourceNotFoundException(f"Queue {arn} under account {account_id} not found.")


def not_active(arn: str, account_id: str, status: str) -> ResourceNotFoundException:
    """The queue does not deliver yet. (A queue's data operations know no ResourceInUseException.)"""
    return ResourceNotFoundException(f"Queue {arn} under account {account_id} not ACTIVE, instead in state {status}")


def too_many_in_flight(arn: str) -> ThrottlingException:
    """A queue has a limit of records in flight."""
    return ThrottlingException(too_many_in_flight_text(arn))


def too_many_in_flight_text(arn: str) -> str:
    """The text of a refused receive, or of a batch's entry."""
    return (
        f"Queue {arn} has {IN_FLIGHT_MAX} records in flight, the most it may have. Acknowledge records, or wait until "
        "their visibility timeouts expire."
    )
