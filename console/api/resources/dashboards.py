"""Dashboards: widgets over metrics, in AWS's own body."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import msgspec
from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response

from apps.cloudwatch import dashboards
from apps.cloudwatch.dashboards import arn_of
from apps.cloudwatch.errors import DashboardInvalidInputError
from apps.cloudwatch.models import Dashboard
from console import calls
from console.api.etags import tagged
from console.api.paging import PageQuery, filtered, page, page_of
from console.api.request import ApiRequest
from console.api.view import ApiView

TAG: Final = "Dashboards"

Json = dict[str, Any]


class DashboardSerializer(serializers.Serializer[Any]):
    """A dashboard in the list."""

    name = serializers.CharField()
    arn = serializers.CharField()
    size_bytes = serializers.IntegerField()
    modified_at_ms = serializers.IntegerField()


class WarningSerializer(serializers.Serializer[Any]):
    """Something that is kept and not drawn."""

    path = serializers.CharField(allow_blank=True, help_text="Where in the body: a JSON pointer.")
    text = serializers.CharField()


class WholeDashboardSerializer(DashboardSerializer):
    """A dashboard with its body."""

    body = serializers.DictField(help_text="AWS's dashboard body.")
    warnings = WarningSerializer(many=True)


class PutDashboardSerializer(serializers.Serializer[Any]):
    """What a dashboard is to be."""

    body = serializers.DictField(
        help_text="AWS's dashboard body: widgets of metrics and of text on a grid of 24 columns."
    )


class DashboardQuery(PageQuery):
    """Filters of the list."""

    q = serializers.CharField(max_length=255, required=False, help_text="Part of the name.")


class Dashboards(ApiView):
    """All of the team's."""

    tag = TAG
    needs: ClassVar = {"GET": "alarm:read"}
    names: ClassVar = {"GET": "listDashboards"}

    @extend_schema(parameters=[DashboardQuery], responses=page_of(DashboardSerializer))
    def get(self, request: ApiRequest) -> Response:
        """The team's dashboards, by name."""
        query = self.query(request, DashboardQuery)
        rows = filtered(_rows(request), query, {"q": "name__icontains"})
        return Response(page(request, rows, ("name",), query, lambda row: _listed(request, row)))


class OneDashboard(ApiView):
    """One of them."""

    tag = TAG
    needs: ClassVar = {"GET": "alarm:read", "PUT": "alarm:write", "DELETE": "alarm:write"}
    names: ClassVar = {"GET": "getDashboard", "PUT": "putDashboard", "DELETE": "deleteDashboard"}
    examples: ClassVar = {
        "PUT": {
            "body": {
                "widgets": [
                    {
                        "type": "metric",
                        "width": 12,
                        "properties": {"metrics": [["AWS/Kinesis", "IncomingBytes", "StreamName", "orders"]]},
                    }
                ]
            }
        }
    }

    @extend_schema(responses=WholeDashboardSerializer)
    def get(self, request: ApiRequest, dashboard: str) -> Response:
        """A dashboard with its body."""
        return Response(_shown(request, _one(request, dashboard)))

    @extend_schema(
        request=PutDashboardSerializer, responses={200: WholeDashboardSerializer, 201: WholeDashboardSerializer}
    )
    def put(self, request: ApiRequest, dashboard: str) -> Response:
        """Make a dashboard, or put another in its place (PutDashboard)."""
        body = self.read(request, PutDashboardSerializer)["body"]
        is_new = not _rows(request).filter(name=dashboard).exists()
        try:
            calls.cloudwatch(
                request, "PutDashboard", DashboardName=dashboard, DashboardBody=msgspec.json.encode(body).decode()
            )
        except DashboardInvalidInputError as error:
            raise _wrong(error) from error
        shown = _shown(request, _one(request, dashboard))
        return tagged(request, shown, 201) if is_new else Response(shown)

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: ApiRequest, dashboard: str) -> Response:
        """Delete it (DeleteDashboards)."""
        _one(request, dashboard)
        calls.cloudwatch(request, "DeleteDashboards", DashboardNames=[dashboard])
        return Response(status=204)


def _rows(request: ApiRequest) -> QuerySet[Dashboard]:
    return Dashboard.objects.filter(team=request.team)


def _one(request: ApiRequest, name: str) -> Dashboard:
    found = _rows(request).filter(name=name).first()
    if found is None:
        raise Http404
    return found


def _wrong(error: DashboardInvalidInputError) -> ValidationError:
    """At the places of the body that the operation speaks of."""
    told = error.members.get("dashboardValidationMessages") or []
    return ValidationError({f"body{one['DataPath']}": one["Message"] for one in told} or {"body": error.message or ""})


def _listed(request: ApiRequest, row: Dashboard) -> Json:
    return {
        "name": row.name,
        "arn": arn_of(request.team.account_id, row.name),
        "size_bytes": len(row.body.encode()),
        "modified_at_ms": row.modified_at_ms,
    }


def _shown(request: ApiRequest, row: Dashboard) -> Json:
    read = dashboards.read(row.body, calls.runtime().config.region)
    return _listed(request, row) | {
        "body": msgspec.json.decode(row.body),
        "warnings": [{"path": one.path, "text": one.text} for one in read.messages],
    }
