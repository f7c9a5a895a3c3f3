"""Addresses of metrics, dashboards and alarms."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from console.api.resources import alarms, dashboards, metrics
from console.api.stream_urls import PREFIX

operate_patterns: list[URLPattern | URLResolver] = [
    path(PREFIX + "metrics/query", metrics.MetricsQuery.as_view(), name="api-metrics-query"),
    path(PREFIX + "metrics/names", metrics.MetricNames.as_view(), name="api-metric-names"),
    path(PREFIX + "dashboards", dashboards.Dashboards.as_view(), name="api-dashboards"),
    path(PREFIX + "dashboards/<str:dashboard>", dashboards.OneDashboard.as_view(), name="api-dashboard"),
    path(PREFIX + "alarms", alarms.Alarms.as_view(), name="api-alarms"),
    path(PREFIX + "alarms/<path:alarm>", alarms.OneAlarm.as_view(), name="api-alarm"),
    path(PREFIX + "alarm-history", alarms.AlarmHistory.as_view(), name="api-alarm-history"),
    path(PREFIX + "alarm-tests", alarms.AlarmTests.as_view(), name="api-alarm-tests"),
    path(PREFIX + "alarm-previews", alarms.AlarmPreviews.as_view(), name="api-alarm-previews"),
    path(PREFIX + "alarm-suggestions", alarms.AlarmSuggestions.as_view(), name="api-alarm-suggestions"),
]
