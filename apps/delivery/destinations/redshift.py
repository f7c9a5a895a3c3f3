"""Redshift: an object in the staging bucket, a manifest that names it, and a COPY that loads what the manifest names.

Kept from AWS: one COPY at a time per delivery stream; objects plain or GZIP; what is given up stays in the bucket, and its
manifest is copied under `errors/manifests/` for whoever loads it by hand; nothing goes to an error prefix.

Once or more: the object and the manifest are written once, under pinned names. A COPY that ended, well or not, is never
asked about. One whose end nobody heard is over when its lease is (the server cancels it before), and then the database
is asked whether it has loaded the object (its load history). Only where that cannot be read is the batch loaded again.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import msgspec

from apps.base.units import SECOND_MS
from apps.delivery import prefixes, settings
from apps.delivery.destinations import redshift_copy, redshift_session
from apps.delivery.destinations.interface import Batch, Delivered, DeliveryFailed, NotYet, Target, Written
from apps.delivery.destinations.redshift_copy import CopyRefused
from apps.delivery.destinations.redshift_session import SessionFailed, Where
from apps.delivery.destinations.s3 import S3Destination, moment_of
from apps.delivery.models import DestinationType
from apps.delivery.objects import kms_key_arn, open_bucket
from apps.delivery.record import Record
from apps.leases import hold
from apps.leases.models import Lease

if TYPE_CHECKING:
    from apps.runtime import Runtime

LEASE_KIND: Final = settings.COPIES_KIND
"""One per delivery stream: who holds it may run a COPY. It lives longer than a COPY can (redshift_session.STATEMENT_S)."""

LOOK_AGAIN_MS: Final = 5 * SECOND_MS
"""When another lane of the delivery stream has a COPY running."""

GZIP: Final = "GZIP"
COMPRESSIONS: Final = ("UNCOMPRESSED", GZIP)

Json = dict[str, Any]


def check(description: Json) -> None:
    """See that it makes a COPY command and objects that it can load. Raises ValueError, with a text for whoever asked."""
    staging = description["S3DestinationDescription"]
    redshift_copy.address(description["ClusterJDBCURL"])
    redshift_copy.statement(description, "s3://bucket/manifest", compressed=_compressed(staging))
    if (staging.get("CompressionFormat") or COMPRESSIONS[0]) not in COMPRESSIONS:
        raise ValueError("Redshift loads objects that are UNCOMPRESSED or GZIP.")
    for member in ("Prefix", "ErrorOutputPrefix"):
        text = staging.get(member) or ""
        if "!{" in text:
            raise ValueError(f"{member} of a Redshift destination's bucket cannot have expressions.")
        redshift_copy.literal(text)


class RedshiftDestination:
    """See the module's docstring."""

    error_type = "redshift-failed"

    def __init__(self, runtime: Runtime, target: Target) -> None:
        self._runtime = runtime
        self._target = target
        self._description = target.description
        self._staging: Json = target.description["S3DestinationDescription"]
        self._staged_as = replace(target, destination_type=DestinationType.S3.value, description=self._staging)

    def plan(self, batch: Batch) -> Json:
        """The names of the object and of the manifest."""
        moment = moment_of(self._target, self._staging, batch)
        plain = {**self._staging, "Prefix": f"{self._staging.get('Prefix') or ''}manifests/"}
        name = prefixes.object_name(self._target.name, self._target.version_id, moment)
        try:
            manifest = prefixes.checked_key(prefixes.object_prefix(plain, moment) + name + "-manifest")
        except ValueError as error:
            raise DeliveryFailed("S3.InvalidPrefix", str(error), permanent=True) from error
        return {"object": self._bucket().plan(batch), "manifest": manifest}

    def failed_extra(self, batch: Batch, record: Record) -> Json:  # noqa: ARG002 - nothing goes to an error prefix
        """Nothing."""
        return {}

    def deliver(self, batch: Batch) -> Delivered:
        """Stage, then load. Raises DeliveryFailed, NotYet."""
        staged = self._stage(batch)
        held = self._take_turn(batch)
        try:
            self._load(batch, staged)
        except SessionFailed as failure:
            if not failure.unknown:
                _remember(batch, unknown=False)
                hold.release(held, None)
            raise DeliveryFailed(failure.code, failure.message, keep=False) from failure
        except CopyRefused as error:
            hold.release(held, None)
            raise DeliveryFailed("Redshift.SyntaxError", str(error), permanent=True, keep=False) from error
        hold.release(held, None)
        return Delivered(batch.count, batch.size_bytes, written=[staged])

    def given_up(self, batch: Batch) -> list[Written]:
        """Copy the manifest to where people look for what was not loaded. Raises DeliveryFailed."""
        if "manifest" not in batch.state:
            return []  # not even the object could be written
        key = batch.plan["manifest"]
        to_key = prefixes.checked_key(f"{self._staging.get('Prefix') or ''}errors/manifests/{key.rpartition('/')[2]}")
        return [self._write_manifest(to_key, self._staged(batch))]

    # --- the bucket -----------------------------------------------------------------------------------------------------

    def _bucket(self) -> S3Destination:
        return S3Destination(self._runtime, self._staged_as)

    def _stage(self, batch: Batch) -> Written:
        """Write the object, then the manifest, each once."""
        if "object" not in batch.state:
            delivered = self._bucket().deliver(replace(batch, plan=batch.plan["object"]))
            if not delivered.written:
                raise DeliveryFailed("Redshift.InternalError", "There was nothing to stage.", keep=False)
            one = delivered.written[0]
            _remember(batch, object=[one.bucket, one.key, one.size_bytes, one.records])
        staged = self._staged(batch)
        if "manifest" not in batch.state:
            self._write_manifest(batch.plan["manifest"], staged)
            _remember(batch, manifest=True)
        return staged

    def _staged(self, batch: Batch) -> Written:
        return Written(*batch.state["object"])

    def _write_manifest(self, key: str, staged: Written) -> Written:
        s3, bucket = open_bucket(self._runtime, self._staged_as, self._staging, key)
        body = msgspec.json.encode({"entries": [{"url": _url(staged.bucket, staged.key), "mandatory": True}]})
        digest = hashlib.md5(body, usedforsecurity=False).digest()
        s3.put(bucket, key, io.BytesIO(body), md5=digest, kms_key_arn=kms_key_arn(self._staging))
        return Written(bucket, key, len(body), 0)

    # --- the database -------------------------------------------------------------------------------------------------

    def _take_turn(self, batch: Batch) -> hold.Held:
        key, owner = str(self._target.delivery_stream_key), f"lane {batch.lane_id}"
        held = hold.take(LEASE_KIND, key, owner, hold.LONGEST_TTL_MS)
        if held is None and not Lease.objects.filter(kind=LEASE_KIND, key=key).exists():
            hold.ensure(LEASE_KIND, key, self._runtime.clock.now_ms())
            held = hold.take(LEASE_KIND, key, owner, hold.LONGEST_TTL_MS)
        if held is None:
            raise NotYet(LOOK_AGAIN_MS)
        return held

    def _load(self, batch: Batch, staged: Written) -> None:
        manifest = _url(staged.bucket, batch.plan["manifest"])
        statement = redshift_copy.statement(self._description, manifest, compressed=_compressed(self._staging))
        with redshift_session.session(self._where()) as connection:
            if batch.state.get("unknown") and redshift_session.loaded(
                connection, manifest, _url(staged.bucket, staged.key)
            ):
                return
            _remember(batch, unknown=True)
            redshift_session.copy(connection, statement)

    def _where(self) -> Where:
        """The cluster of the JDBC URL, or where the connection of the delivery stream says that it is."""
        host, port, database = redshift_copy.address(self._description["ClusterJDBCURL"])
        given = self._target.connections.get("destination") or {}
        allow_private = self._runtime.config.destinations_may_be_private
        encrypted = True
        if given.get("endpoint_url"):
            host, port, encrypted = redshift_session.override(given["endpoint_url"], port, allow_private=allow_private)
        user = self._description.get("Username") or self._target.secrets.get("Username") or ""
        password = self._target.secrets.get("Password") or ""
        return Where(host, port, database, user, password, encrypted, allow_private)


def _remember(batch: Batch, **members: Any) -> None:
    state = {**batch.state, **members}
    batch.remember(state)
    batch.state = state


def _url(bucket: str, key: str) -> str:
    return f"s3://{bucket}/{key}"


def _compressed(staging: Json) -> bool:
    return staging.get("CompressionFormat") == GZIP
