"""Firehose's operations by their names, and the workers' part of a delivery stream's life."""

from dataclasses import dataclass
from typing import Any

import pytest

from apps.delivery.models import DeliveryStream
from apps.gateway.invoke import invoke_sync
from apps.runtime import Runtime
from tests.support.firehose import LEAST, configured
from tests.support.runtimes import run_due

Json = dict[str, Any]


@dataclass(frozen=True)
class Firehose:
    """A caller."""

    runtime: Runtime
    principal: Any

    def __call__(self, operation: str, **params: Any) -> Json:
        return invoke_sync(self.runtime, self.principal, "firehose", operation, params)

    def create(self, name: str = "d", kind: str = "ExtendedS3", configuration: Json | None = None, **more: Any) -> Json:
        """A delivery stream, ACTIVE; its description."""
        given = configured(kind, LEAST[kind] if configuration is None else configuration)
        self("CreateDeliveryStream", DeliveryStreamName=name, **given, **more)
        self.settle()
        return self.describe(name)

    def update(self, name: str, version_id: int, **update: Any) -> Json:
        """UpdateDestination, and the description after it."""
        self(
            "UpdateDestination",
            DeliveryStreamName=name,
            CurrentDeliveryStreamVersionId=str(version_id),
            DestinationId="destinationId-000000000001",
            **update,
        )
        return self.describe(name)

    def describe(self, name: str = "d") -> Json:
        return self("DescribeDeliveryStream", DeliveryStreamName=name)["DeliveryStreamDescription"]

    def row(self, name: str = "d") -> DeliveryStream:
        return DeliveryStream.objects.select_related("team").get(name=name, team_id=self.principal.team_id)

    def settle(self) -> None:
        """Let the workers do what is due now."""
        run_due(self.runtime, "delivery-streams", "delivery")


@pytest.fixture
def firehose(runtime, team) -> Firehose:
    return Firehose(runtime, team.principal)


def destination(described: Json) -> Json:
    """The one description of a destination (of S3: the extended one)."""
    [found] = described["Destinations"]
    [*_, (_, value)] = [(k, v) for k, v in found.items() if k not in {"DestinationId", "S3DestinationDescription"}]
    return value
