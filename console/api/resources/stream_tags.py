"""Tags of a data stream."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from console import calls
from console.api.fields import TagsField
from console.api.request import ApiRequest
from console.api.resources import streams
from console.api.resources.stream_settings import replace_tags
from console.api.view import ApiView


class TagsSerializer(serializers.Serializer[Any]):
    """All tags."""

    tags = TagsField(help_text="By key.")


class StreamTags(ApiView):
    """A stream's."""

    tag = "Streams"
    needs: ClassVar = {"GET": "stream:read", "PUT": "stream:write"}
    names: ClassVar = {"GET": "getStreamTags", "PUT": "setStreamTags"}
    examples: ClassVar = {"PUT": {"tags": {"team": "shop", "stage": "live"}}}

    @extend_schema(responses=TagsSerializer)
    def get(self, request: ApiRequest, name: str) -> Response:
        """Look at a stream's tags."""
        return Response({"tags": streams.tags_of(streams.one(request, name))})

    @extend_schema(request=TagsSerializer, responses=TagsSerializer)
    def put(self, request: ApiRequest, name: str) -> Response:
        """Set all tags of a stream. Those that are not in the body go (AddTagsToStream, RemoveTagsFromStream)."""
        stream = streams.one(request, name)
        replace_tags(request, stream, self.read(request, TagsSerializer)["tags"])
        return Response({"tags": streams.tags_of(streams.one(request, name))})


class OneStreamTag(ApiView):
    """One of them."""

    tag = "Streams"
    needs: ClassVar = {"DELETE": "stream:write"}
    names: ClassVar = {"DELETE": "removeStreamTag"}

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: ApiRequest, name: str, key: str) -> Response:
        """Take one tag away. One that is not there is no error (RemoveTagsFromStream)."""
        calls.call(request, "RemoveTagsFromStream", StreamName=streams.one(request, name).name, TagKeys=[key])
        return Response(status=204)
