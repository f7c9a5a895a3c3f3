"""PutDashboard, GetDashboard, ListDashboards, DeleteDashboards."""

from __future__ import annotations

from typing import Any

from apps.cloudwatch import dashboards, tokens
from apps.cloudwatch.dashboards import Message, arn_of
from apps.cloudwatch.errors import DashboardInvalidInputError, DashboardNotFoundError, InvalidParameterValueException
from apps.cloudwatch.models import Dashboard
from apps.cloudwatch.operations.tags import merged
from apps.runtime import Call

DASHBOARDS_MAX = 1_000
"""Of one team. Ours: AWS tells no number."""

PER_PAGE = 1_000
DELETED_AT_ONCE_MAX = 100

Json = dict[str, Any]


def put_dashboard(call: Call, params: Json) -> Json:
    """Make a dashboard, or put another in its place.

    Kept from AWS: names; widgets of metrics and of text on a grid of 24 columns, expressions, the short hands `.` and
    `...`, horizontal annotations; 500 widgets, 500 metrics a widget, 2,500 in all; warnings for what is not drawn. Tags are
    set when the dashboard is made. 1,000 dashboards, 1 MiB each. Refused: other widgets and views, other regions.
    """
    name = params["DashboardName"]
    problem = dashboards.name_problem(name)
    if problem:
        raise _invalid([Message("/DashboardName", problem)])
    body = dashboards.read(params["DashboardBody"], call.runtime.config.region)
    if not body.is_valid:
        raise _invalid([message for message in body.messages if message.fatal])
    mine = Dashboard.objects.filter(team_id=call.principal.team_id)
    found = mine.select_for_update().filter(name=name).first()
    if found is None and mine.count() >= DASHBOARDS_MAX:
        raise _invalid([Message("", f"The account has {DASHBOARDS_MAX:,} dashboards, which is the maximum.")])
    if found is None:
        found = Dashboard(team_id=call.principal.team_id, name=name, tags=merged({}, params.get("Tags") or ()))
    found.body = params["DashboardBody"]
    found.modified_at_ms = call.now_ms
    found.save()
    return {"DashboardValidationMessages": [message.told for message in body.messages]}


def _invalid(messages: list[Message]) -> DashboardInvalidInputError:
    told = [message.told for message in messages]
    return DashboardInvalidInputError(
        f"The dashboard is invalid, there are {len(told)} validation errors. {messages[0].path}: {messages[0].text}",
        dashboardValidationMessages=told,
    )


def get_dashboard(call: Call, params: Json) -> Json:
    """A dashboard with its body, as it was put."""
    found = Dashboard.objects.filter(team_id=call.principal.team_id, name=params["DashboardName"]).first()
    if found is None:
        raise DashboardNotFoundError(f"Dashboard {params['DashboardName']} does not exist")
    return {
        "DashboardArn": arn_of(call.principal.account_id, found.name),
        "DashboardBody": found.body,
        "DashboardName": found.name,
    }


def list_dashboards(call: Call, params: Json) -> Json:
    """Names, sizes and times by name, 1,000 a page; those that begin with a prefix."""
    after = tokens.read(params, (str,)) or [""]
    rows = Dashboard.objects.filter(team_id=call.principal.team_id, name__gt=after[0]).order_by("name")
    prefix = params.get("DashboardNamePrefix", "")
    found = [row for row in rows.iterator() if row.name.startswith(prefix)]
    answer: Json = {"DashboardEntries": [_entry(call, row) for row in found[:PER_PAGE]]}
    if len(found) > PER_PAGE:
        answer["NextToken"] = tokens.issue(params, [found[PER_PAGE - 1].name])
    return answer


def _entry(call: Call, row: Dashboard) -> Json:
    return {
        "DashboardName": row.name,
        "DashboardArn": arn_of(call.principal.account_id, row.name),
        "LastModified": row.modified_at_ms,
        "Size": len(row.body.encode()),
    }


def delete_dashboards(call: Call, params: Json) -> Json:
    """Delete dashboards, all of them or, if one is not there, none."""
    names = set(params["DashboardNames"])
    if not 1 <= len(names) <= DELETED_AT_ONCE_MAX:
        raise InvalidParameterValueException(f"1 to {DELETED_AT_ONCE_MAX} dashboards can be deleted at once.")
    rows = Dashboard.objects.select_for_update().filter(team_id=call.principal.team_id, name__in=names)
    if len(rows) != len(names):
        raise DashboardNotFoundError("Some of the dashboards do not exist.")
    rows.delete()
    return {}
