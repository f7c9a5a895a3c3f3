"""Addresses of the audit log."""

from __future__ import annotations

from django.urls import URLPattern, path

from console.pages.audit import activity, files, listing, views


def audit_urlpatterns(team: str, stream: str, delivery: str) -> list[URLPattern]:
    """How addresses of a team, of a data stream and of a delivery stream begin."""
    return [
        path(team + "audit", listing.audit_log, name="audit"),
        path(team + "audit/newer", listing.newer, name="audit-newer"),
        path(team + "audit/export", files.export, name="audit-export"),
        path(team + "audit/views", views.save, name="audit-view-save"),
        path(team + "audit/views/<int:view>/delete", views.delete, name="audit-view-delete"),
        path(stream + "activity", activity.of_stream, name="stream-activity"),
        path(delivery + "activity", activity.of_delivery_stream, name="delivery-activity"),
    ]
