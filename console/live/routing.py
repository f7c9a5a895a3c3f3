"""Where the websocket is."""

from __future__ import annotations

from django.urls import path

from console.live.consumer import LiveConsumer

websocket_urlpatterns = [path("ws/v1/live", LiveConsumer.as_asgi())]
