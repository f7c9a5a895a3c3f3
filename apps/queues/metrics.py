"""Counting what is received from a queue and acknowledged."""

from __future__ import annotations

from apps.queues.models import Queue
from apps.queues.views import QueueView
from apps.runtime import Call, Runtime


def count(call: Call, queue: QueueView, metric: str, value: int) -> None:
    """One observation of one call."""


def measure(
    runtime: Runtime, queue: Queue, visible: int, in_flight: int, dead_visible: int, dead_in_flight: int
) -> None:
    """One observation of what is in the queue."""
