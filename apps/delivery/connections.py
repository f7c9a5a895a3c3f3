"""Connections: where a part of a delivery stream really is, and with which keys, if not as the operator's environment says.

A connection is the team's own: a secret goes in and is never shown again, and the endpoint is checked here for what can
be told without a network, and once more by whoever connects.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from django.db import transaction
from django.db.models import F

from apps.access import audit
from apps.access.changes import Actor
from apps.base import outgoing
from apps.base.outgoing import OutgoingRefused
from apps.delivery.models import Connection, DeliveryStream, DeliveryStreamStatus, DestinationType
from apps.encryption.sealed_text import open_text, seal_text

PARTS: Final = ("s3", "backup", "lambda", "destination")
"""s3: destination, staging and errors; backup: its bucket; lambda: the transform; destination: all that is no bucket."""

BUCKETS: Final = frozenset({"s3", "backup"})
"""Parts that are called with signed requests: an endpoint of the team's needs keys of the team's."""

REGION_CHARACTERS_MAX: Final = 40
REGION: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?")
"""It becomes a part of AWS's hosts."""
KEY_CHARACTERS_MAX: Final = 256
SECRET_CHARACTERS_MAX: Final = 1_024

UNTOLD: Final = frozenset({DestinationType.HTTP, DestinationType.REDSHIFT})
"""Kinds whose secret is not described either."""

Json = dict[str, Any]


class ConnectionRefused(Exception):
    """Something about a connection cannot be; the text may be shown. member: which of its members."""

    def __init__(self, member: str, text: str) -> None:
        super().__init__(text)
        self.member, self.text = member, text


@dataclass(frozen=True, slots=True)
class Given:
    """What somebody wrote down. secret None: the one that is kept stays."""

    endpoint_url: str = ""
    region: str = ""
    access_key_id: str = ""
    secret: str | None = None

    @property
    def is_empty(self) -> bool:
        """Nothing is overridden."""
        return not (self.endpoint_url or self.region or self.access_key_id or self.secret)


def check(part: str, given: Given, *, allow_private: bool, has_secret: bool = False) -> None:
    """See that it could be used, as far as that can be told without calling. has_secret: one is kept already.

    Raises ConnectionRefused.
    """
    if part not in PARTS:
        raise ConnectionRefused("part", f"There is no part {part[:40]!r}; the parts are {', '.join(PARTS)}.")
    if given.endpoint_url:
        try:
            outgoing.check_url(given.endpoint_url, allow_private=allow_private)
        except OutgoingRefused as error:
            raise ConnectionRefused("endpoint_url", str(error)) from error
    _plain("region", given.region, REGION_CHARACTERS_MAX)
    if given.region and not REGION.fullmatch(given.region):
        raise ConnectionRefused("region", "A region has letters, digits and hyphens, as us-east-1 has.")
    _plain("access_key_id", given.access_key_id, KEY_CHARACTERS_MAX)
    _plain("secret", given.secret or "", SECRET_CHARACTERS_MAX)
    holds = bool(given.secret) or (has_secret and given.secret is None)
    if given.access_key_id and not holds:
        raise ConnectionRefused("secret", "An access key needs its secret.")
    if given.secret and not given.access_key_id:
        raise ConnectionRefused("access_key_id", "A secret needs its access key.")
    if part in BUCKETS and given.endpoint_url and not given.access_key_id:
        raise ConnectionRefused(
            "access_key_id", "An endpoint of your own needs keys of your own: the operator's are never sent there."
        )


def _plain(member: str, text: str, most: int) -> None:
    if len(text) > most or not text.isascii() or not text.isprintable() or " " in text:
        raise ConnectionRefused(member, f"At most {most} printable ASCII characters without spaces.")


def put(
    delivery_stream: DeliveryStream,
    part: str,
    given: Given,
    *,
    master_key_path: Path,
    allow_private: bool,
    by: str | Actor,
) -> None:
    """Set what a part is overridden with, or clear it if nothing is given; with an entry in the audit trail. A new
    endpoint never takes over a kept secret: it would be sent to somebody it was not meant for.

    by: who asks, as the trail names people. Raises ConnectionRefused.
    """
    with transaction.atomic():
        found = Connection.objects.select_for_update().filter(delivery_stream=delivery_stream, part=part).first()
        keeps = found is not None and bool(found.sealed_secret) and _same_place(found, given)
        check(part, given, allow_private=allow_private, has_secret=keeps)
        if part == "destination" and given.endpoint_url != (found.endpoint_url if found is not None else ""):
            _forget_secret(delivery_stream)
        if given.is_empty:
            if found is not None:
                found.delete()
                _written(delivery_stream, "DeleteDeliveryConnection", part, by)
            return
        sealed = seal_text(master_key_path, given.secret) if given.secret else ""
        if given.secret is None and keeps and found is not None and given.access_key_id:
            sealed = found.sealed_secret
        Connection.objects.update_or_create(
            delivery_stream=delivery_stream,
            part=part,
            defaults={
                "endpoint_url": given.endpoint_url,
                "region": given.region,
                "access_key_id": given.access_key_id,
                "sealed_secret": sealed,
            },
        )
        _written(delivery_stream, "PutDeliveryConnection", f"{part} {given.endpoint_url}".strip(), by)


def _forget_secret(delivery_stream: DeliveryStream) -> None:
    """An HTTP endpoint's access key and a cluster's password are told to nobody, so they must not be sent to another address,
    which only has to listen: they are to be given anew, by UpdateDestination. One that is just being made brings its own."""
    if delivery_stream.status == DeliveryStreamStatus.CREATING or delivery_stream.destination_type not in UNTOLD:
        return
    delivery_stream.versions.update(sealed_secrets="")
    DeliveryStream.objects.filter(pk=delivery_stream.pk).update(sealed_secrets="")
    delivery_stream.sealed_secrets = ""


def _same_place(found: Connection, given: Given) -> bool:
    return found.endpoint_url == given.endpoint_url and found.access_key_id == given.access_key_id


def _written(delivery_stream: DeliveryStream, operation: str, message: str, by: str | Actor) -> None:
    DeliveryStream.objects.filter(pk=delivery_stream.pk).update(version=F("version") + 1)
    audit.of_administrator(delivery_stream.team.account_id, by, operation, str(delivery_stream.arn), message)


def read(rows: Iterable[Connection], master_key_path: Path) -> dict[str, Json]:
    """By part, for `Target.connections`: endpoint_url, region, access_key_id, secret_access_key, as far as they are set."""
    return {row.part: _opened(row, master_key_path) for row in rows}


def _opened(row: Connection, master_key_path: Path) -> Json:
    said = {"endpoint_url": row.endpoint_url, "region": row.region, "access_key_id": row.access_key_id}
    if row.sealed_secret:
        said["secret_access_key"] = open_text(master_key_path, row.sealed_secret)
    return {name: value for name, value in said.items() if value}
