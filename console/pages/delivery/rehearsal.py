"""The dry run of the wizard: ten records, real ones of the data stream or made-up ones, through what is typed so far.

Nothing is created and nothing is written; transforms are really called."""

from __future__ import annotations

from typing import Any

from apps.accounts.permissions import allowed
from apps.base.errors import ServiceError
from apps.delivery import demo, dry_run
from apps.delivery.configuration import kinds, secrets
from apps.delivery.configuration.members import Situation
from apps.delivery.connections import Given
from apps.delivery.destinations.interface import Target
from apps.delivery.dry_run import DryRun
from apps.delivery.formats.schema import TRIED
from apps.delivery.models import DeliveryStream, DestinationType
from apps.delivery.record import Record
from apps.streams.models import Stream
from console import calls
from console.pages.delivery import configured
from console.pages.delivery.described import KEYS
from console.pages.delivery.fields import CreateForm
from console.pages.delivery.refusals import put_error
from console.pages.shell import TeamRequest

Json = dict[str, Any]


def rehearse(request: TeamRequest, form: CreateForm, params: Json) -> DryRun | None:
    """What would become of ten records. None: something is wrong, and stands at its field."""
    given = form.cleaned_data
    if given["source"] == "stream" and not allowed(request.actions, "record:read"):
        form.add_error("stream", "A dry run shows records of the stream, which needs record:read.")
        return None
    kind = DestinationType(KEYS[given["kind"]])
    try:
        description = described(request, kind, params)
    except ServiceError as error:
        put_error(form, error)
        return None
    if given.get("convert") and given["kind"] == "s3" and not given.get("table"):
        try:
            columns = configured.columns_of(given["columns"])
        except ValueError as error:
            form.add_error("columns", str(error))
            return None
        tried = [[column["Name"], column["Type"]] for column in columns]
        description["DataFormatConversionConfiguration"]["SchemaConfiguration"][TRIED] = tried
    stream = None
    if given["source"] == "stream":
        stream = Stream.objects.filter(team=request.team, name=given["stream"]).first()
    return tried_out(request, kind, params, description, configured.connections(given), stream)


def described(request: calls.Asker, kind: DestinationType, params: Json) -> Json:
    """The description of the destination that CreateDeliveryStream's parameters ask for. Raises ServiceError."""
    config = calls.runtime().config
    situation = Situation(request.team.account_id, config.region, config.destinations_may_be_private)
    return kinds.build(kind, params[f"{kind.value}DestinationConfiguration"], situation)


def tried_out(
    request: calls.Asker,
    kind: DestinationType,
    params: Json,
    description: Json,
    wanted: dict[str, Given],
    stream: Stream | None,
) -> DryRun:
    """What would become of ten records. stream: the source; None: Direct PUT, whose records are made up."""
    runtime, name = calls.runtime(), params["DeliveryStreamName"]
    kept, found_secrets = secrets.taken_out(kind, description)
    target = Target(
        team_id=request.team.pk,
        account_id=request.team.account_id,
        region=runtime.config.region,
        delivery_stream_key=0,
        name=name,
        arn=str(DeliveryStream(team=request.team, region=runtime.config.region, name=name).arn),
        version_id=1,
        destination_type=kind.value,
        description=kept,
        secrets=found_secrets,
        connections=_connections(wanted),
        source_stream_arn=params.get("KinesisStreamSourceConfiguration", {}).get("KinesisStreamARN", ""),
    )
    return dry_run.run(runtime, target, _records(stream), from_stream=stream is not None, probe=True)


def _connections(wanted: dict[str, Given]) -> dict[str, Json]:
    """As apps/delivery/targets.py hands them over."""
    found = {}
    for part, one in wanted.items():
        said = {
            "endpoint_url": one.endpoint_url,
            "region": one.region,
            "access_key_id": one.access_key_id,
            "secret_access_key": one.secret or "",
        }
        found[part] = {name: value for name, value in said.items() if value}
    return found


def _records(stream: Stream | None) -> list[Record]:
    """The newest of the data stream; for Direct PUT, and where it has none, demo data."""
    runtime = calls.runtime()
    found = dry_run.newest_of_stream(runtime, stream) if stream is not None else []
    if found:
        return found
    now_ms = runtime.clock.now_ms()
    return [Record(data, now_ms, place) for place, data in enumerate(demo.records(0, 0, dry_run.RECORDS_MAX), 1)]
