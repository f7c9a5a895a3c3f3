"""SubscribeToShard."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from apps.runtime import Call
from apps.streams.shapes import SubscribeToShardEvent


async def subscribe_to_shard(call: Call, params: dict[str, Any]) -> AsyncIterator[tuple[str, SubscribeToShardEvent]]: ...
