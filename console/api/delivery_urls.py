"""Addresses of delivery streams and channels."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from console.api.resources import channels, delivery, delivery_looks, delivery_work
from console.api.stream_urls import PREFIX

DELIVERY = PREFIX + "delivery-streams/<str:name>"

delivery_patterns: list[URLPattern | URLResolver] = [
    path(PREFIX + "delivery-streams", delivery.DeliveryStreams.as_view(), name="api-delivery-streams"),
    path(PREFIX + "delivery-dry-runs", delivery_work.DryRuns.as_view(), name="api-delivery-dry-runs"),
    path(DELIVERY, delivery.OneDeliveryStream.as_view(), name="api-delivery-stream"),
    path(DELIVERY + "/pause", delivery.Pause.as_view(), name="api-delivery-pause"),
    path(DELIVERY + "/resume", delivery.Resume.as_view(), name="api-delivery-resume"),
    path(DELIVERY + "/tags", delivery.Tags.as_view(), name="api-delivery-tags"),
    path(DELIVERY + "/encryption", delivery.Encryption.as_view(), name="api-delivery-encryption"),
    path(DELIVERY + "/connections/<str:part>", delivery.OneConnection.as_view(), name="api-delivery-connection"),
    path(DELIVERY + "/errors", delivery_looks.Errors.as_view(), name="api-delivery-errors"),
    path(DELIVERY + "/objects", delivery_looks.Objects.as_view(), name="api-delivery-objects"),
    path(DELIVERY + "/objects/<int:number>", delivery_looks.OneObject.as_view(), name="api-delivery-object"),
    path(DELIVERY + "/objects/<int:number>/data", delivery_looks.ObjectData.as_view(), name="api-delivery-object-data"),
    path(DELIVERY + "/lanes", delivery_looks.Lanes.as_view(), name="api-delivery-lanes"),
    path(DELIVERY + "/records", delivery_work.DeliveryRecords.as_view(), name="api-delivery-records"),
    path(DELIVERY + "/jobs", delivery_work.DeliveryJobs.as_view(), name="api-delivery-jobs"),
    path(DELIVERY + "/jobs/<int:job>", delivery_work.OneDeliveryJob.as_view(), name="api-delivery-job"),
    path(
        DELIVERY + "/jobs/<int:job>/cancel", delivery_work.CancelDeliveryJob.as_view(), name="api-delivery-job-cancel"
    ),
    path(DELIVERY + "/redrives", delivery_work.Redrives.as_view(), name="api-delivery-redrives"),
    path(DELIVERY + "/demo-data", delivery_work.DemoData.as_view(), name="api-delivery-demo-data"),
    path(PREFIX + "channels", channels.Channels.as_view(), name="api-channels"),
    path(PREFIX + "channels/<str:channel>", channels.OneChannel.as_view(), name="api-channel"),
]
