"""Which destination a delivery stream has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apps.delivery.destinations.interface import Destination, Target
from apps.delivery.models import DestinationType

if TYPE_CHECKING:
    from apps.runtime import Runtime


def destination_for(runtime: Runtime, target: Target) -> Destination:
    """The destination of the target, made anew for one attempt. A backup is an S3 destination, whatever it backs up, and so
    is the error prefix, for what the processors gave up.

    The imports are late: each kind has libraries of its own, and most workers need few of them.
    """
    if target.part == "errors":
        from apps.delivery.destinations.s3 import ErrorLines

        return ErrorLines(runtime, target)
    kind = DestinationType.S3 if target.part == "backup" else DestinationType(target.destination_type)
    match kind:
        case DestinationType.S3 if "Channel" in target.description:
            from apps.delivery.destinations.channel_s3 import ChannelS3Destination

            return ChannelS3Destination(runtime, target)
        case DestinationType.S3:
            from apps.delivery.destinations.s3 import S3Destination

            return S3Destination(runtime, target)
        case DestinationType.HTTP:
            from apps.delivery.destinations.http import HttpDestination

            return HttpDestination(runtime, target)
        case DestinationType.SPLUNK:
            from apps.delivery.destinations.splunk import SplunkDestination

            return SplunkDestination(runtime, target)
        case DestinationType.ELASTICSEARCH | DestinationType.OPENSEARCH | DestinationType.OPENSEARCH_SERVERLESS:
            from apps.delivery.destinations.opensearch import SearchDestination

            return SearchDestination(runtime, target)
        case DestinationType.REDSHIFT:
            from apps.delivery.destinations.redshift import RedshiftDestination

            return RedshiftDestination(runtime, target)
        case DestinationType.ICEBERG:
            from apps.delivery.destinations.iceberg import IcebergDestination

            return IcebergDestination(runtime, target)
        case _:
            raise ValueError(f"{kind} is no destination that deliveries can be made to")
