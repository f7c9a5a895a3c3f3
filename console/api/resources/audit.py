"""The audit log: who changed what, when, from where, and how it was before and after."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import msgspec
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from apps.access import search
from apps.access.models import AuditEntry
from apps.access.search import Position, Wanted
from console.api import paging
from console.api.paging import PageQuery
from console.api.request import ApiRequest
from console.api.resources.metrics import TIME_MS_MAX
from console.api.view import ApiView

TAG: Final = "Audit log"
PLACE: Final = ("at_ms", "entry_id")
KINDS: Final = ("changes", "looks", "data")
WORDS_MAX: Final = 10

Json = dict[str, Any]


class AuditEntrySerializer(serializers.Serializer[Any]):
    """One call."""

    id = serializers.CharField()
    at_ms = serializers.IntegerField()
    account_id = serializers.CharField(help_text="Of the caller.")
    principal = serializers.CharField(allow_blank=True, help_text="The caller's ARN.")
    person = serializers.CharField(allow_null=True, help_text="An e-mail address; null: a program without one.")
    key = serializers.CharField(allow_blank=True, help_text="The access key, the token, or `console`.")
    session = serializers.CharField(allow_null=True, help_text="Of a person in the console.")
    service = serializers.CharField()
    operation = serializers.CharField()
    resource = serializers.CharField(allow_blank=True)
    source_ip = serializers.CharField(allow_blank=True, help_text="Empty: from inside.")
    endpoint = serializers.CharField(allow_null=True, help_text="The network endpoint that it came through.")
    user_agent = serializers.CharField(allow_blank=True)
    request_id = serializers.CharField(allow_blank=True)
    outcome = serializers.CharField(help_text="`ok`, or the error's code.")
    message = serializers.CharField(allow_blank=True, help_text="The error's text, cut.")
    is_data = serializers.BooleanField(help_text="A call of the data plane.")


class WholeAuditEntrySerializer(AuditEntrySerializer):
    """One call, with what it changed."""

    before = serializers.DictField(allow_null=True, help_text="null: not known, or it was not there.")
    after = serializers.DictField(allow_null=True, help_text="null: not known, or it is not there.")


class AuditPageSerializer(serializers.Serializer[Any]):
    """Entries, the newest first."""

    items = AuditEntrySerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)
    looked_to_ms = serializers.IntegerField(
        allow_null=True, help_text="Filters that no index knows look at so much at once; the cursor goes on from there."
    )


class AuditQuery(PageQuery):
    """Filters of the entries."""

    from_ms = serializers.IntegerField(min_value=0, max_value=TIME_MS_MAX, default=0, help_text="Since then.")
    to_ms = serializers.IntegerField(min_value=0, max_value=TIME_MS_MAX, required=False, help_text="Before then.")
    resource = serializers.CharField(
        max_length=2_048, default="", help_text="An ARN, or a name as member/ann@example.com, with what belongs to it."
    )
    who = serializers.CharField(
        max_length=254, required=False, help_text="Part of a person's address or a caller's ARN."
    )
    operation = serializers.CharField(max_length=80, default="", help_text="Part of its name, as CreateStream.")
    service = serializers.CharField(max_length=40, default="", help_text="As kinesis, firehose, console.")
    key = serializers.CharField(max_length=128, default="", help_text="Part of an access key's or a token's id.")
    address = serializers.CharField(max_length=45, default="", help_text="How the caller's address begins.")
    request_id = serializers.CharField(max_length=64, default="", help_text="Of one request.")
    outcome = serializers.CharField(max_length=80, default="", help_text="`ok`, `failed`, or an error's code.")
    kind = serializers.ChoiceField(KINDS, default="", help_text="Changes, looks, or calls of the data plane.")
    q = serializers.CharField(max_length=500, default="", help_text="Words that stand anywhere in it.")


class AuditLog(ApiView):
    """The trail."""

    tag = TAG
    needs: ClassVar = {"GET": "audit:read"}
    names: ClassVar = {"GET": "listAuditEntries"}

    @extend_schema(parameters=[AuditQuery], responses=AuditPageSerializer)
    def get(self, request: ApiRequest) -> Response:
        """The team's audit log, the newest first: calls by the team, and by others on what is the team's."""
        query = self.query(request, AuditQuery)
        names = ("resource", "operation", "service", "key", "address", "request_id", "outcome", "kind")
        wanted = Wanted(
            request.team.account_id,
            since_ms=query["from_ms"],
            until_ms=query.get("to_ms"),
            who=(query["who"],) if "who" in query else (),
            words=tuple(query["q"].split()[:WORDS_MAX]),
            **{name: query[name] for name in names},
        )
        place = paging.opened(request, query["cursor"], PLACE)
        found = search.page(wanted, query["limit"], None if place is None else Position(place[0], place[1]))
        more = None if found.more is None else paging.cursor(request, PLACE, (found.more.at_ms, found.more.entry_id))
        items = [_shown(row) for row in found.rows]
        return Response({"items": items, "next_cursor": more, "looked_to_ms": found.looked_to_ms})


class OneAuditEntry(ApiView):
    """One of them."""

    tag = TAG
    needs: ClassVar = {"GET": "audit:read"}
    names: ClassVar = {"GET": "getAuditEntry"}

    @extend_schema(responses=WholeAuditEntrySerializer)
    def get(self, request: ApiRequest, entry: int) -> Response:
        """One entry, with the state of what was changed before and after."""
        found = search.entry(request.team.account_id, entry)
        if found is None:
            raise Http404
        return Response(_shown(found) | {"before": _state(found.before), "after": _state(found.after)})


def _state(text: str | None) -> Json | None:
    return None if text is None else msgspec.json.decode(text)


def _shown(row: AuditEntry) -> Json:
    return {
        "id": str(row.pk),
        "at_ms": row.at_ms,
        "account_id": row.account_id,
        "principal": row.principal,
        "person": row.person or None,
        "key": row.key_id,
        "session": row.session or None,
        "service": row.service,
        "operation": row.operation,
        "resource": row.resource,
        "source_ip": row.source_ip,
        "endpoint": row.endpoint_id or None,
        "user_agent": row.user_agent,
        "request_id": row.request_id,
        "outcome": row.outcome or "ok",
        "message": row.message,
        "is_data": row.is_data,
    }
