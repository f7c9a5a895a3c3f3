"""The dry run of the wizard: ten records, real ones of the data stream or made-up ones, through what is typed so far.

Nothing is created and nothing is written; transforms are really called."""

from __future__ import annotations

from typing import Any

from apps.base.errors import ServiceError
from apps.delivery import demo, dry_run
from apps.delivery.configuration import kinds, secrets
from apps.delivery.configuration.members import Situation
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
    given, runtime = form.cleaned_data, calls.runtime()
    config = runtime.config
    situation = Situation(request.team.account_id, config.region, config.destinations_may_be_private)
    kind = DestinationType(KEYS[given["kind"]])
    try:
        description = kinds.build(kind, params[f"{kind.value}DestinationConfiguration"], situation)
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
    kept, found_secrets = secrets.taken_out(kind, description)
    target = Target(
        team_id=request.team.id,
        account_id=request.team.account_id,
        region=config.region,
        delivery_stream_key=0,
        name=given["name"],
        arn=str(DeliveryStream(team=request.team, region=config.region, name=given["name"]).arn),
        version_id=1,
        destination_type=kind.value,
        description=kept,
        secrets=found_secrets,
        connections=_connections(given),
        source_stream_arn=params.get("KinesisStreamSourceConfiguration", {}).get("KinesisStreamARN", ""),
    )
    records = _records(request, given)
    return dry_run.run(runtime, target, records, from_stream=given["source"] == "stream", probe=True)


def _connections(given: Json) -> dict[str, Json]:
    """As apps/delivery/targets.py hands them over."""
    found = {}
    for part, one in configured.connections(given).items():
        said = {
            "endpoint_url": one.endpoint_url,
            "region": one.region,
            "access_key_id": one.access_key_id,
            "secret_access_key": one.secret or "",
        }
        found[part] = {name: value for name, value in said.items() if value}
    return found


def _records(request: TeamRequest, given: Json) -> list[Record]:
    """The newest of the data stream; for Direct PUT, and where it has none, demo data."""
    runtime = calls.runtime()
    if given["source"] == "stream":
        stream = Stream.objects.filter(team=request.team, name=given["stream"]).first()
        found = dry_run.newest_of_stream(runtime, stream) if stream is not None else []
        if found:
            return found
    now_ms = runtime.clock.now_ms()
    return [Record(data, now_ms, place) for place, data in enumerate(demo.records(0, 0, dry_run.RECORDS_MAX), 1)]
