"""Alarms: rules over metrics, what happened to them, and trials of both a rule and its notifications."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar, Final

import msgspec
from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response

from apps.base.units import SECOND_MS
from apps.cloudwatch import muting, testing
from apps.cloudwatch.alarms import arn_of
from apps.cloudwatch.models import Alarm, History, HistoryKind, State
from apps.cloudwatch.operations.alarms import settings_of
from apps.cloudwatch.preview import Preview, preview
from apps.cloudwatch.reading import Reader
from apps.cloudwatch.suggestions import suggested
from apps.runtime import Call
from apps.wire import validate
from apps.wire.model import load
from console import calls
from console.api.etags import tagged
from console.api.paging import PageQuery, filtered, page, page_of, whole
from console.api.request import ApiRequest
from console.api.resources.alarm_rules import EXAMPLE, PutAlarmSerializer, members_of, plain_rule
from console.api.resources.metrics import TIME_MS_MAX
from console.api.view import ApiView

TAG: Final = "Alarms"

Json = dict[str, Any]


class AlarmSerializer(PutAlarmSerializer):
    """An alarm."""

    name = serializers.CharField()
    arn = serializers.CharField()
    state = serializers.ChoiceField(State.choices)
    state_reason = serializers.CharField(allow_blank=True)
    state_changed_at_ms = serializers.IntegerField(help_text="To another one.")
    configured_at_ms = serializers.IntegerField()
    muted_until_ms = serializers.IntegerField(allow_null=True, help_text="Until then it tells nobody.")


class AlarmQuery(PageQuery):
    """Filters of the list."""

    state = serializers.ChoiceField(State.choices, required=False, help_text="In this state.")
    q = serializers.CharField(max_length=255, required=False, help_text="Part of the name.")


class ChangedAlarmSerializer(serializers.Serializer[Any]):
    """What is to change of an alarm without making it anew."""

    muted_until_ms = serializers.IntegerField(
        min_value=0, max_value=TIME_MS_MAX, required=False, allow_null=True, help_text="null: it tells again."
    )
    actions_enabled = serializers.BooleanField(required=False)


class HistorySerializer(serializers.Serializer[Any]):
    """Something that happened to an alarm."""

    id = serializers.CharField()
    alarm = serializers.CharField()
    kind = serializers.ChoiceField(HistoryKind.choices)
    at_ms = serializers.IntegerField()
    summary = serializers.CharField()
    data = serializers.DictField(help_text="AWS's HistoryData.")  # type: ignore[assignment]  # the metaclass takes it away


class HistoryQuery(PageQuery):
    """Filters of the history."""

    alarm = serializers.CharField(
        max_length=255, required=False, help_text="Of one alarm, also of one that is deleted."
    )
    kind = serializers.ChoiceField(HistoryKind.choices, required=False, help_text="Of one kind.")
    from_ms = serializers.IntegerField(min_value=0, max_value=TIME_MS_MAX, required=False, help_text="Since then.")
    to_ms = serializers.IntegerField(min_value=0, max_value=TIME_MS_MAX, required=False, help_text="Until then.")


class TestedAlarmSerializer(serializers.Serializer[Any]):
    """Whose notifications are tried."""

    alarm = serializers.CharField(max_length=255)


class SentSerializer(serializers.Serializer[Any]):
    """One notification."""

    target = serializers.CharField()
    problem = serializers.CharField(allow_null=True, help_text="Why it did not arrive; null: it did.")


class AlarmTestSerializer(serializers.Serializer[Any]):
    """What was sent."""

    sent = SentSerializer(many=True)


class FiredSerializer(serializers.Serializer[Any]):
    """A time in ALARM."""

    from_ms = serializers.IntegerField()
    to_ms = serializers.IntegerField(allow_null=True, help_text="null: it still would be.")


class AlarmPreviewSerializer(serializers.Serializer[Any]):
    """How often an alarm would have fired."""

    start_ms = serializers.IntegerField()
    end_ms = serializers.IntegerField()
    every_ms = serializers.IntegerField(help_text="So often it was looked at.")
    fired = FiredSerializer(many=True)
    t = serializers.ListField(child=serializers.IntegerField())
    d = serializers.ListField(
        child=serializers.FloatField(allow_null=True), help_text="The metric: of some values the worst."
    )
    has_data = serializers.BooleanField(help_text="false: only the rule for missing data was at work.")
    problem = serializers.CharField(allow_blank=True, help_text="Why nothing can be said.")


class SuggestionSerializer(serializers.Serializer[Any]):
    """An alarm that is not there yet."""

    name = serializers.CharField()
    about = serializers.CharField(help_text="The stream.")
    why = serializers.CharField()
    alarm = PutAlarmSerializer()


class Alarms(ApiView):
    """All of the team's."""

    tag = TAG
    needs: ClassVar = {"GET": "alarm:read"}
    names: ClassVar = {"GET": "listAlarms"}

    @extend_schema(parameters=[AlarmQuery], responses=page_of(AlarmSerializer))
    def get(self, request: ApiRequest) -> Response:
        """The team's alarms, by name."""
        query = self.query(request, AlarmQuery)
        rows = filtered(_rows(request), query, {"state": "state", "q": "name__icontains"})
        return Response(page(request, rows, ("name",), query, lambda row: _shown(request, row)))


class OneAlarm(ApiView):
    """One of them."""

    tag = TAG
    needs: ClassVar = {"GET": "alarm:read", "PUT": "alarm:write", "PATCH": "alarm:write", "DELETE": "alarm:write"}
    names: ClassVar = {"GET": "getAlarm", "PUT": "putAlarm", "PATCH": "changeAlarm", "DELETE": "deleteAlarm"}
    examples: ClassVar = {"PUT": EXAMPLE, "PATCH": {"actions_enabled": False}}

    @extend_schema(responses=AlarmSerializer)
    def get(self, request: ApiRequest, alarm: str) -> Response:
        """An alarm with its rule and its state."""
        return Response(_shown(request, _one(request, alarm)))

    @extend_schema(request=PutAlarmSerializer, responses={200: AlarmSerializer, 201: AlarmSerializer})
    def put(self, request: ApiRequest, alarm: str) -> Response:
        """Make an alarm, or put another in its place (PutMetricAlarm). The state of one that is there stays."""
        params = {"AlarmName": alarm, **members_of(self.read(request, PutAlarmSerializer))}
        is_new = not _rows(request).filter(name=alarm).exists()
        calls.cloudwatch(request, "PutMetricAlarm", **params)
        shown = _shown(request, _one(request, alarm))
        return tagged(request, shown, 201) if is_new else Response(shown)

    @extend_schema(request=ChangedAlarmSerializer, responses=AlarmSerializer)
    def patch(self, request: ApiRequest, alarm: str) -> Response:
        """Mute it until a time, or switch its actions on and off. Its state goes on changing."""
        _one(request, alarm)
        given = self.read(request, ChangedAlarmSerializer)
        if "muted_until_ms" in given:
            config, until_ms = calls.runtime().config, given["muted_until_ms"]
            muting.mute(config, request.team.pk, alarm, until_ms, by=calls.actor(request), now_ms=calls.now_ms())
        if "actions_enabled" in given:
            operation = "EnableAlarmActions" if given["actions_enabled"] else "DisableAlarmActions"
            calls.cloudwatch(request, operation, AlarmNames=[alarm])
        return Response(_shown(request, _one(request, alarm)))

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: ApiRequest, alarm: str) -> Response:
        """Delete it (DeleteAlarms). Its history stays."""
        _one(request, alarm)
        calls.cloudwatch(request, "DeleteAlarms", AlarmNames=[alarm])
        return Response(status=204)


class AlarmHistory(ApiView):
    """What happened."""

    tag = TAG
    needs: ClassVar = {"GET": "alarm:read"}
    names: ClassVar = {"GET": "listAlarmHistory"}

    @extend_schema(parameters=[HistoryQuery], responses=page_of(HistorySerializer))
    def get(self, request: ApiRequest) -> Response:
        """What happened to the team's alarms, the newest first: changes of state, notifications, changes by people."""
        query = self.query(request, HistoryQuery)
        rows = History.objects.filter(team=request.team)
        columns = {"alarm": "alarm_name", "kind": "kind", "from_ms": "at_ms__gte", "to_ms": "at_ms__lte"}
        rows = filtered(rows, query, columns)
        return Response(page(request, rows, ("-at_ms", "-pk"), query, _line))


class AlarmTests(ApiView):
    """Trials of notifications."""

    tag = TAG
    needs: ClassVar = {"POST": "alarm:write"}
    names: ClassVar = {"POST": "testAlarm"}
    examples: ClassVar = {"POST": {"alarm": "orders-iterator-age"}}

    @extend_schema(request=TestedAlarmSerializer, responses={200: AlarmTestSerializer})
    def post(self, request: ApiRequest) -> Response:
        """Send a test notification to everybody whom the alarm tells, once, and say how each went."""
        name = self.read(request, TestedAlarmSerializer)["alarm"]
        found = _rows(request).select_related("team").filter(name=name).first()
        if found is None:
            raise ValidationError({"alarm": "There is no alarm of that name."})
        sent = testing.notify(calls.runtime(), found, by=calls.actor(request))
        return Response({"sent": [{"target": one.target, "problem": one.problem} for one in sent]})


class AlarmPreviews(ApiView):
    """Trials of rules."""

    tag = TAG
    needs: ClassVar = {"POST": "alarm:write"}
    names: ClassVar = {"POST": "previewAlarm"}
    examples: ClassVar = {"POST": EXAMPLE}

    @extend_schema(request=PutAlarmSerializer, responses={200: AlarmPreviewSerializer})
    def post(self, request: ApiRequest) -> Response:
        """How often an alarm would have fired, from what is kept of its metric. Nothing is made."""
        params = {"AlarmName": "preview", **members_of(self.read(request, PutAlarmSerializer))}
        validate.check(load("cloudwatch").operations["PutMetricAlarm"], params)
        runtime = calls.runtime()
        settings = settings_of(Call(runtime, calls.principal(request), str(uuid.uuid4()), calls.now_ms()), params)
        return Response(_previewed(preview(Reader(request.team.pk, runtime.clock), settings)))


class AlarmSuggestions(ApiView):
    """What is missing."""

    tag = TAG
    needs: ClassVar = {"GET": "alarm:read"}
    names: ClassVar = {"GET": "listAlarmSuggestions"}

    @extend_schema(responses=page_of(SuggestionSerializer))
    def get(self, request: ApiRequest) -> Response:
        """Alarms that the team's streams could do with and have not: put one as it is told here."""
        self.query(request, serializers.Serializer)
        items = [
            {"name": one.name, "about": one.about, "why": one.why, "alarm": plain_rule(one.params, is_on=True)}
            for one in suggested(request.team.pk)
        ]
        return Response(whole(items))


def _rows(request: ApiRequest) -> QuerySet[Alarm]:
    return Alarm.objects.filter(team=request.team)


def _one(request: ApiRequest, name: str) -> Alarm:
    found = _rows(request).filter(name=name).first()
    if found is None:
        raise Http404
    return found


def _shown(request: ApiRequest, row: Alarm) -> Json:
    return {
        "name": row.name,
        "arn": arn_of(calls.runtime().config, request.team.account_id, row.name),
        **plain_rule(row.settings, is_on=row.actions_enabled),
        "state": row.state,
        "state_reason": row.reason,
        "state_changed_at_ms": row.changed_at_ms,
        "configured_at_ms": row.configured_at_ms,
        "muted_until_ms": row.muted_until_ms,
    }


def _line(row: History) -> Json:
    return {
        "id": str(row.pk),
        "alarm": row.alarm_name,
        "kind": row.kind,
        "at_ms": row.at_ms,
        "summary": row.summary,
        "data": msgspec.json.decode(row.data),
    }


def _previewed(found: Preview) -> Json:
    return {
        "start_ms": found.start_s * SECOND_MS,
        "end_ms": found.end_s * SECOND_MS,
        "every_ms": found.every_s * SECOND_MS,
        "fired": [
            {"from_ms": since_s * SECOND_MS, "to_ms": None if until_s is None else until_s * SECOND_MS}
            for since_s, until_s in found.fired
        ],
        "t": [at_s * SECOND_MS for at_s, _ in found.points],
        "d": [value for _, value in found.points],
        "has_data": found.has_data,
        "problem": found.problem,
    }
