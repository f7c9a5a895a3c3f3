"""Addresses of the section Operate, alarms and dashboards, and of queues."""

from __future__ import annotations

from urllib.parse import quote, unquote

from django.urls import URLPattern, path, register_converter

from console.pages import queues
from console.pages.alarms import detail, edit, listing
from console.pages.dashboards import editor, pages


class AnyName:
    """A name of any signs as one part of an address: signs that addresses know otherwise are written in percents twice,
    so that no server on the way takes them for its own."""

    regex = "[^/]+"

    def to_python(self, value: str) -> str:
        """As the operations know it."""
        return unquote(value)

    def to_url(self, value: str) -> str:
        """Dots alone would be taken for a folder."""
        return quote(value, safe="") if value.strip(".") else value.replace(".", "%2E")


register_converter(AnyName, "any")


def operate_urlpatterns(team: str) -> list[URLPattern]:
    """All of them."""
    one = team + "alarms/of/<any:name>"
    board = team + "dashboards/of/<slug:name>"
    return [
        path(team + "alarms", listing.alarms, name="alarms"),
        path(team + "alarms/create", edit.create, name="alarm-create"),
        path(team + "alarms/beside", edit.beside, name="alarm-beside"),
        path(one, detail.alarm, name="alarm"),
        path(one + "/edit", edit.edit, name="alarm-edit"),
        path(one + "/mute", detail.mute, name="alarm-mute"),
        path(one + "/test", detail.test, name="alarm-test"),
        path(one + "/actions", detail.actions, name="alarm-actions"),
        path(one + "/state", detail.state, name="alarm-state"),
        path(one + "/delete", detail.delete, name="alarm-delete"),
        path(team + "queues", queues.queues, name="queues"),
        path(team + "queues/<slug:queue_id>/delete", queues.delete, name="queue-delete"),
        path(team + "dashboards", pages.listing, name="dashboards"),
        path(team + "dashboards/streams", pages.streams, name="dashboard-streams"),
        path(board, pages.dashboard, name="dashboard"),
        path(board + "/edit", editor.edit, name="dashboard-edit"),
        path(board + "/delete", pages.delete, name="dashboard-delete"),
    ]
