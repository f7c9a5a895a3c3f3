"""How often one token may ask: a bucket each, shared by all web processes as the shards' budgets are."""

from __future__ import annotations

from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from apps.throttle.interface import Budget
from console import calls
from console.api.request import ApiRequest

PER_S, BURST = 20, 200
"""Requests of one token."""


class PerToken(BaseThrottle):
    """429 with Retry-After when a token's bucket is empty."""

    def allow_request(self, request: ApiRequest, view: APIView) -> bool:  # type: ignore[override]  # noqa: ARG002 - DRF's hook
        """Takes one. Requests without a token are none of its business: they are refused or public."""
        if request.auth is None:
            return True
        name, budget = f"rest/{request.auth.public_id}", Budget(PER_S, 0, BURST, 0)
        return calls.take(name, budget)

    def wait(self) -> float:
        """Seconds until there is one again."""
        return 1.0
