"""The shards of a data stream: looking at them, splitting, merging, changing their number."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, ClassVar

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response

from apps.metrics.shard_load import Load, ShardLoad, shard_load
from apps.streams import sequence, topology
from apps.streams.addressing import shard_id_text, shard_index
from apps.streams.errors import ResourceNotFoundException
from apps.streams.models import Shard, Stream
from apps.streams.operations.shards import shown as visible
from console import calls
from console.api.paging import PageQuery, page, page_of
from console.api.request import ApiRequest
from console.api.resources import streams
from console.api.view import ApiView

IDLE = Load(0, 0, 0, 0, 0, 0)
"""Of a shard that nobody used."""

HASH_KEY = r"^(0|[1-9][0-9]{0,38})\Z"


class LoadSerializer(serializers.Serializer[Any]):
    """What a shard had to do over the last minute."""

    in_bytes_per_s = serializers.FloatField(help_text="Keys and data that it took.")
    in_records_per_s = serializers.FloatField()
    throttled_records_per_s = serializers.FloatField(help_text="Offered and refused.")
    out_bytes_per_s = serializers.FloatField()
    out_records_per_s = serializers.FloatField()
    share = serializers.FloatField(help_text="Of its write limit, refused included; 1 is full.")


class ShardSerializer(serializers.Serializer[Any]):
    """A shard."""

    id = serializers.CharField()
    number = serializers.IntegerField(help_text="The number in its id.")
    state = serializers.ChoiceField(["OPEN", "CLOSED"], help_text="A closed one was split or merged: it is read only.")
    starting_hash_key = serializers.CharField(help_text="Inclusive; decimal.")
    ending_hash_key = serializers.CharField(help_text="Inclusive; decimal.")
    parents = serializers.ListField(child=serializers.CharField(), help_text="Ids of those that it came from.")
    starting_sequence_number = serializers.CharField()
    ending_sequence_number = serializers.CharField(allow_null=True, help_text="Null while it is open.")
    opened_at_ms = serializers.IntegerField(help_text="UTC, milliseconds.")
    closed_at_ms = serializers.IntegerField(allow_null=True, help_text="Null while it is open.")
    load = LoadSerializer(allow_null=True, help_text="Null: not known now.")


class ShardQuery(PageQuery):
    """Filters of the list."""

    state = serializers.ChoiceField(["OPEN", "CLOSED"], required=False, help_text="Only those in this state.")


class CountSerializer(serializers.Serializer[Any]):
    """How many shards there are to be."""

    open_shards = serializers.IntegerField(
        min_value=1, max_value=streams.SHARDS_MAX, help_text="Half to double of what there is."
    )


class CountedSerializer(serializers.Serializer[Any]):
    """From how many to how many."""

    open_shards = serializers.IntegerField(help_text="Now.")
    target_open_shards = serializers.IntegerField(help_text="When it is done.")


class SplitSerializer(serializers.Serializer[Any]):
    """Where to split."""

    new_starting_hash_key = serializers.RegexField(
        HASH_KEY, max_length=39, required=False, help_text="Where the upper one begins; else the middle."
    )


class MergeSerializer(serializers.Serializer[Any]):
    """Two neighbours."""

    shard_to_merge = serializers.CharField(max_length=128, help_text="The lower one's id.")
    adjacent_shard_to_merge = serializers.CharField(max_length=128, help_text="The id of the one above it.")


class Shards(ApiView):
    """All of a stream's."""

    tag = "Shards"
    needs: ClassVar = {"GET": "stream:read", "PATCH": "stream:reshard"}
    names: ClassVar = {"GET": "listShards", "PATCH": "changeShardCount"}
    examples: ClassVar = {"PATCH": {"open_shards": 4}}

    @classmethod
    def has_etag(cls) -> bool:
        """Their load is another one each second: nobody could guard a change with it."""
        return False

    @extend_schema(parameters=[ShardQuery], responses=page_of(ShardSerializer))
    def get(self, request: ApiRequest, name: str) -> Response:
        """List shards, with their ranges, lineage and load. They come by number; closed ones as long as they have records."""
        query = self.query(request, ShardQuery)
        stream = streams.one(request, name)
        rows = visible(stream, calls.now_ms())
        if "state" in query:
            rows = rows.filter(closed_at_ms__isnull=query["state"] == "OPEN")
        loads = shard_load(request.team.id, stream.id)
        return Response(page(request, rows, ("index",), query, lambda row: shown(row, loads)))

    @extend_schema(request=CountSerializer, responses={202: CountedSerializer})
    def patch(self, request: ApiRequest, name: str) -> Response:
        """Change the number of open shards. The ranges become even; the stream is UPDATING meanwhile (UpdateShardCount)."""
        stream = streams.one(request, name)
        count = self.read(request, CountSerializer)["open_shards"]
        params = {"TargetShardCount": count, "ScalingType": "UNIFORM_SCALING"}
        answer = calls.call(request, "UpdateShardCount", StreamName=stream.name, **params)
        counts = {"open_shards": answer["CurrentShardCount"], "target_open_shards": answer["TargetShardCount"]}
        return Response(counts, 202)


class OneShard(ApiView):
    """One of them."""

    tag = "Shards"
    needs: ClassVar = {"GET": "stream:read"}
    names: ClassVar = {"GET": "getShard"}

    @extend_schema(responses=ShardSerializer)
    def get(self, request: ApiRequest, name: str, shard: str) -> Response:
        """Look at a shard."""
        stream = streams.one(request, name)
        found = one(stream, shard)
        return Response(shown(found, shard_load(request.team.id, stream.id)))


class Split(ApiView):
    """SplitShard."""

    tag = "Shards"
    needs: ClassVar = {"POST": "stream:reshard"}
    names: ClassVar = {"POST": "splitShard"}
    examples: ClassVar = {"POST": {"new_starting_hash_key": "85070591730234615865843651857942052864"}}

    @extend_schema(request=SplitSerializer, responses={202: streams.StreamSerializer})
    def post(self, request: ApiRequest, name: str, shard: str) -> Response:
        """Split a shard in two. The stream is UPDATING meanwhile (SplitShard)."""
        stream = streams.one(request, name)
        found = one(stream, shard)
        at = self.read(request, SplitSerializer).get("new_starting_hash_key")
        if at is None:
            middle = topology.middle((int(found.start_hash), int(found.end_hash)))
            if middle is None:
                raise ValidationError({"new_starting_hash_key": "The shard is too narrow to be split."})
            at = str(middle)
        params = {"ShardToSplit": found.shard_id, "NewStartingHashKey": at}
        calls.call(request, "SplitShard", StreamName=stream.name, **params)
        return Response(streams.shown(streams.one(request, name)), 202)


class Merge(ApiView):
    """MergeShards."""

    tag = "Shards"
    needs: ClassVar = {"POST": "stream:reshard"}
    names: ClassVar = {"POST": "mergeShards"}
    examples: ClassVar = {
        "POST": {"shard_to_merge": "shardId-000000000000", "adjacent_shard_to_merge": "shardId-000000000001"}
    }

    @extend_schema(request=MergeSerializer, responses={202: streams.StreamSerializer})
    def post(self, request: ApiRequest, name: str) -> Response:
        """Merge a shard with the one above it. The stream is UPDATING meanwhile (MergeShards)."""
        stream = streams.one(request, name)
        given = self.read(request, MergeSerializer)
        params = {
            "ShardToMerge": given["shard_to_merge"],
            "AdjacentShardToMerge": given["adjacent_shard_to_merge"],
        }
        calls.call(request, "MergeShards", StreamName=stream.name, **params)
        return Response(streams.shown(streams.one(request, name)), 202)


def one(stream: Stream, text: str) -> Shard:
    """The stream's shard of this id or number, open or closed. Raises Http404."""
    try:
        index = shard_index(text, "", "")
    except ResourceNotFoundException:
        raise Http404 from None
    found = visible(stream, calls.now_ms()).filter(index=index).first()
    if found is None:
        raise Http404
    return found


def shown(row: Shard, loads: dict[int, ShardLoad] | None) -> dict[str, Any]:
    """A shard as the API tells it."""
    ending = None
    if row.closed_at_ms is not None:
        ending = sequence.ending(row.created_s, row.index, row.closed_at_ms // 1000)
    return {
        "id": row.shard_id,
        "number": row.index,
        "state": "OPEN" if row.closed_at_ms is None else "CLOSED",
        "starting_hash_key": row.start_hash,
        "ending_hash_key": row.end_hash,
        "parents": [shard_id_text(p) for p in (row.parent_index, row.adjacent_parent_index) if p is not None],
        "starting_sequence_number": sequence.starting(row.created_s, row.index),
        "ending_sequence_number": ending,
        "opened_at_ms": row.opened_at_ms,
        "closed_at_ms": row.closed_at_ms,
        "load": None if loads is None else asdict(loads[row.index].last_60_s if row.index in loads else IDLE),
    }
