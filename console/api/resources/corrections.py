"""Corrections: usage that came after its month was closed, or that the operator put right."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from apps.billing.meters import METERS
from apps.billing.models import Correction, CorrectionReason
from apps.teams import billing_corrections
from apps.teams.billing_corrections import Wanted
from console import calls
from console.api.operator import SLUG_CHARS_MAX, OperatorView, team_named, told_at
from console.api.paging import PageQuery, filtered, page, page_of
from console.api.request import ApiRequest
from console.api.resources.bills import TAG
from console.api.resources.metrics import TIME_MS_MAX
from console.api.view import ApiView

DIGITS: Final = r"^-?[0-9]{1,19}$"
DIGITS_CHARS_MAX: Final = 20
MONTH: Final = r"^[0-9]{4}-[0-9]{2}$"
RESOURCE_CHARS_MAX, KEY_CHARS_MAX = 200, 128
LOOKUPS: Final = {"month": "bill_month", "resource": "resource", "meter": "meter", "reason": "reason"}
ORDER: Final = ("-booked_at_ms", "-pk")

Json = dict[str, Any]


class CorrectionSerializer(serializers.Serializer[Any]):
    """Usage of an hour, booked later. It is never changed; what was wrong about one is put right by another."""

    id = serializers.IntegerField()
    resource = serializers.CharField(help_text="As stream/orders.")
    meter = serializers.CharField()
    unit = serializers.CharField(help_text="Of the quantity.")
    hour_ms = serializers.IntegerField(help_text="When the hour of UTC begins that it belongs to.")
    meter_key = serializers.CharField(allow_null=True, help_text="What it is booked under; null: no key.")
    quantity = serializers.RegexField(DIGITS, help_text="Added to the hour; with a minus it takes usage off.")
    reason = serializers.ChoiceField(CorrectionReason.choices)
    note = serializers.CharField(allow_null=True, help_text="Why, where a person did it.")
    booked_at_ms = serializers.IntegerField()
    booked_by = serializers.CharField(allow_null=True, help_text="Who; null: the metering itself.")
    bill_month = serializers.RegexField(MONTH, help_text="The month whose bill has it.")


class OperatorCorrectionSerializer(CorrectionSerializer):
    """The same, with whose it is."""

    team = serializers.CharField(help_text="The team's short name.")


class CorrectionQuery(PageQuery):
    """Filters of the list."""

    month = serializers.RegexField(MONTH, max_length=7, required=False, help_text="On the bill of this month.")
    resource = serializers.CharField(max_length=RESOURCE_CHARS_MAX, required=False, help_text="Of one.")
    meter = serializers.ChoiceField(list(METERS), required=False, help_text="Of one meter.")
    reason = serializers.ChoiceField(CorrectionReason.choices, required=False, help_text="Why they were booked.")


class OperatorCorrectionQuery(CorrectionQuery):
    """Of all teams."""

    team = serializers.CharField(max_length=SLUG_CHARS_MAX, required=False, help_text="Of one, by its short name.")


class NewCorrectionSerializer(serializers.Serializer[Any]):
    """What is to be put right."""

    team = serializers.CharField(max_length=SLUG_CHARS_MAX, help_text="The team's short name.")
    resource = serializers.CharField(
        max_length=RESOURCE_CHARS_MAX, help_text="As stream/orders: one that the team has used."
    )
    meter = serializers.ChoiceField(list(METERS))
    hour_ms = serializers.IntegerField(min_value=0, max_value=TIME_MS_MAX, help_text="A full hour of UTC.")
    meter_key = serializers.CharField(
        max_length=KEY_CHARS_MAX, default="", allow_blank=True, help_text="What it is booked under; empty: no key."
    )
    quantity = serializers.RegexField(
        DIGITS, max_length=DIGITS_CHARS_MAX, help_text="In the meter's unit, added; with a minus it takes usage off."
    )
    note = serializers.CharField(max_length=billing_corrections.NOTE_CHARS_MAX, help_text="Why.")


class Corrections(ApiView):
    """All of the team's."""

    tag = TAG
    needs: ClassVar = {"GET": "billing:read"}
    names: ClassVar = {"GET": "listCorrections"}

    @extend_schema(parameters=[CorrectionQuery], responses=page_of(CorrectionSerializer))
    def get(self, request: ApiRequest) -> Response:
        """The team's corrections, the newest first. Each is billed at the prices of the hour that it belongs to."""
        query = self.query(request, CorrectionQuery)
        rows = filtered(Correction.objects.filter(team=request.team), query, LOOKUPS)
        return Response(page(request, rows, ORDER, query, _shown))


class OperatorCorrections(OperatorView):
    """All teams'."""

    needs: ClassVar = {"GET": "billing:read", "POST": "billing:write"}
    names: ClassVar = {"GET": "listAllCorrections", "POST": "createCorrection"}
    creates = True
    examples: ClassVar = {
        "POST": {
            "team": "shop", "resource": "stream/orders", "meter": "payload-units", "hour_ms": 1_795_161_600_000,
            "meter_key": "", "quantity": "-250000", "note": "Counted twice by a client that repeated itself",
        }
    }  # fmt: skip

    @extend_schema(parameters=[OperatorCorrectionQuery], responses=page_of(OperatorCorrectionSerializer))
    def get(self, request: ApiRequest) -> Response:
        """The corrections of all teams, the newest first."""
        query = self.query(request, OperatorCorrectionQuery)
        rows = filtered(Correction.objects.select_related("team"), query, LOOKUPS | {"team": "team__slug"})
        return Response(page(request, rows, ORDER, query, _shown_with_team))

    @extend_schema(request=NewCorrectionSerializer, responses={201: OperatorCorrectionSerializer})
    def post(self, request: ApiRequest) -> Response:
        """Put usage of an hour right (CorrectUsage). It is on the bill of the month that is open now, and never changes."""
        given = self.read(request, NewCorrectionSerializer)
        wanted = Wanted(
            given["resource"],
            given["meter"],
            given["hour_ms"],
            int(given["quantity"]),
            given["note"],
            given["meter_key"],
        )
        with told_at({"hour": "hour_ms"}):
            made = billing_corrections.correct(calls.actor(request), request.user, team_named(given["team"]).pk, wanted)
        return Response(_shown_with_team(made), 201)


def _shown(row: Correction) -> Json:
    return {
        "id": row.pk,
        "resource": row.resource,
        "meter": row.meter,
        "unit": METERS[row.meter].unit,
        "hour_ms": row.hour_ms,
        "meter_key": row.meter_key or None,
        "quantity": str(row.quantity),
        "reason": row.reason,
        "note": row.note or None,
        "booked_at_ms": row.booked_at_ms,
        "booked_by": row.booked_by or None,
        "bill_month": row.bill_month,
    }


def _shown_with_team(row: Correction) -> Json:
    return _shown(row) | {"team": row.team.slug}
