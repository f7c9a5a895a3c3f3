"""Metrics of queues: what each call received and acknowledged, and what is in a queue once a minute.

Not kept of AWS: it stops publishing for a queue that had no visible records for about six hours.
"""

from __future__ import annotations

from apps.queues.models import Queue
from apps.queues.views import QueueView
from apps.runtime import Call, Runtime

VISIBLE_MAX = 1_000_000
"""The most that CloudWatch reports as visible."""


def label(queue_id: str, name: str) -> str:
    """The values of the dimensions QueueId and QueueName, as counters.add_labelled and names.QUEUE have them."""
    return f"{queue_id}/{name}"


def received(call: Call, queue: QueueView, records: int) -> None:
    """Count one ReceiveQueueRecords."""
    counters, team_id, stream, name = call.runtime.counters, queue.team_id, queue.stream_key, label_of(queue)
    counters.add_labelled(team_id, stream, "ReceivedQueueRecords", name, records)
    counters.add_labelled(team_id, stream, "EmptyReceives", name, 0 if records else 1)


def acknowledged(call: Call, queue: QueueView, records: int) -> None:
    """Count one AcknowledgeQueueRecords."""
    counters = call.runtime.counters
    counters.add_labelled(queue.team_id, queue.stream_key, "AcknowledgedQueueRecords", label_of(queue), records)


def label_of(queue: QueueView) -> str:
    """A view's label."""
    return label(queue.queue_id, queue.name)


def measure(runtime: Runtime, queue: Queue, visible: int, in_flight: int, dead_visible: int) -> None:
    """One observation of what is in the queue."""
    counters, team_id, stream = runtime.counters, queue.team_id, queue.stream_id
    name = label(queue.queue_id, queue.name)
    counters.add_labelled(team_id, stream, "VisibleQueueRecords", name, min(visible, VISIBLE_MAX))
    counters.add_labelled(team_id, stream, "InFlightQueueRecords", name, in_flight)
    counters.add_labelled(team_id, stream, "VisibleDeadLetterQueueRecords", name, min(dead_visible, VISIBLE_MAX))
