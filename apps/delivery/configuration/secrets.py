"""Secrets of a destination: taken out of its description, and kept sealed beside it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import msgspec

from apps.delivery.models import DestinationType
from apps.encryption.sealed_text import open_text, seal_text

Json = dict[str, Any]

PATHS: dict[DestinationType, str] = {
    DestinationType.HTTP: "EndpointConfiguration.AccessKey",
    DestinationType.SPLUNK: "HECToken",
    DestinationType.REDSHIFT: "Password",
}
"""Where each has its secret."""


def taken_out(destination_type: DestinationType, description: Json) -> tuple[Json, dict[str, str]]:
    """The description without its secrets, and those by their path."""
    path = PATHS.get(destination_type)
    if path is None:
        return description, {}
    without = copy.deepcopy(description)
    *outer, name = path.split(".")
    here = without
    for step in outer:
        here = here.get(step) or {}
    secret = here.pop(name, None)
    return without, {path: secret} if secret else {}


def put_back(description: Json, secrets: dict[str, str]) -> Json:
    """The description with its secrets."""
    whole = copy.deepcopy(description)
    for path, secret in secrets.items():
        *outer, name = path.split(".")
        here = whole
        for step in outer:
            here = here.setdefault(step, {})
        here[name] = secret
    return whole


def seal(master_key_path: Path, secrets: dict[str, str]) -> str:
    """What is stored; empty if there are none."""
    return seal_text(master_key_path, msgspec.json.encode(secrets).decode()) if secrets else ""


def unseal(master_key_path: Path, sealed: str) -> dict[str, str]:
    """Secrets by the path of their member."""
    return msgspec.json.decode(open_text(master_key_path, sealed), type=dict[str, str]) if sealed else {}
