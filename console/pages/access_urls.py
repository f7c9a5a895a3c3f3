"""Addresses of access keys and API tokens."""

from __future__ import annotations

from django.urls import URLPattern, path

from console.pages import keys, tokens


def access_urlpatterns(team: str) -> list[URLPattern]:
    """team: how addresses of a team begin."""
    return [
        path(team + "keys", keys.keys, name="keys"),
        path(team + "keys/change", keys.change, name="key-change"),
        path(team + "keys/rotate", keys.rotate, name="key-rotate"),
        path(team + "keys/delete", keys.delete, name="key-delete"),
        path(team + "keys/file", keys.download, name="key-file"),
        path(team + "tokens", tokens.tokens, name="tokens"),
        path(team + "tokens/create", tokens.create, name="token-create"),
        path(team + "tokens/<str:token>/revoke", tokens.revoke, name="token-revoke"),
    ]
