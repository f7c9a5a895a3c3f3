"""Addresses of data streams and of what belongs to them."""

from __future__ import annotations

from django.urls import URLPattern, path

from console.api.resources import (
    consumers,
    ingestion,
    queues,
    records,
    shards,
    stream_policy,
    stream_tags,
    streams,
)

PREFIX = "api/v1/"
ONE = PREFIX + "streams/<str:name>"

stream_patterns: list[URLPattern] = [
    path(PREFIX + "streams", streams.Streams.as_view(), name="api-streams"),
    path(ONE, streams.OneStream.as_view(), name="api-stream"),
    path(ONE + "/tags", stream_tags.StreamTags.as_view(), name="api-stream-tags"),
    path(ONE + "/tags/<str:key>", stream_tags.OneStreamTag.as_view(), name="api-stream-tag"),
    path(ONE + "/policy", stream_policy.StreamPolicy.as_view(), name="api-stream-policy"),
    path(ONE + "/shards", shards.Shards.as_view(), name="api-shards"),
    path(ONE + "/shards/merge", shards.Merge.as_view(), name="api-shards-merge"),
    path(ONE + "/shards/<str:shard>", shards.OneShard.as_view(), name="api-shard"),
    path(ONE + "/shards/<str:shard>/split", shards.Split.as_view(), name="api-shard-split"),
    path(ONE + "/consumers", consumers.Consumers.as_view(), name="api-consumers"),
    path(ONE + "/consumers/<str:consumer>", consumers.OneConsumer.as_view(), name="api-consumer"),
    path(ONE + "/records", records.Records.as_view(), name="api-records"),
    path(ONE + "/records/<str:shard>/<str:sequence>", records.OneRecord.as_view(), name="api-record"),
    path(PREFIX + "queues", queues.Queues.as_view(), name="api-queues"),
    path(PREFIX + "queues/<str:queue>", queues.OneQueue.as_view(), name="api-queue"),
    path(PREFIX + "ingestion", ingestion.Jobs.as_view(), name="api-ingestion"),
    path(PREFIX + "ingestion/replays", ingestion.Replays.as_view(), name="api-ingestion-replays"),
    path(PREFIX + "ingestion/imports", ingestion.Imports.as_view(), name="api-ingestion-imports"),
    path(PREFIX + "ingestion/<int:job>", ingestion.OneJob.as_view(), name="api-ingestion-job"),
    path(PREFIX + "ingestion/<int:job>/cancel", ingestion.Cancellation.as_view(), name="api-ingestion-cancel"),
]
