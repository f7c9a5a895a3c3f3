"""Create a delivery stream: the wizard, its examples and code while one types, the dry run, and the creation.

What is created in one go stands or falls together: the schema's table, the delivery stream, and its connections.
"""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from apps.base.errors import ServiceError
from apps.catalogue.models import Database, Table
from apps.delivery import connections
from apps.delivery.connections import ConnectionRefused, Given
from apps.delivery.models import DeliveryStream
from apps.streams.models import Stream
from console import calls
from console.pages.delivery import configured, described, estimate, examples, samples
from console.pages.delivery.fields import SECRETS, CreateForm
from console.pages.delivery.refusals import put_error, put_refusal
from console.pages.delivery.rehearsal import rehearse
from console.pages.shell import TeamRequest, is_fragment, team_page

STREAMS_OFFERED = TABLES_OFFERED = 1_000

COLUMNS_EXAMPLE = "ticker_symbol string\nsector string\nchange double\nprice double"
"""Of the demo data."""

Json = dict[str, Any]


def form_for(request: TeamRequest, data: QueryDict | None, **options: Any) -> CreateForm:
    """The wizard with the team's streams and tables to choose from."""
    streams = Stream.objects.filter(team=request.team).exclude(status="DELETING").order_by("name")
    initial = {
        "role_arn": f"arn:aws:iam::{request.team.account_id}:role/firehose",
        "kind": "s3",
        "interval_s": 60,
        "name": request.GET.get("name", ""),
        "source": "stream" if request.GET.get("stream") else "direct",
        "stream": request.GET.get("stream", ""),
        "redshift_options": "json 'auto'",
    }
    return CreateForm(
        data,
        initial=initial,
        streams=list(streams.values_list("name", flat=True)[:STREAMS_OFFERED]),
        tables=tables_of(request),
        **options,
    )


def tables_of(request: TeamRequest) -> list[str]:
    """The catalogue's tables, `database.table`."""
    rows = Table.objects.filter(database__team=request.team).select_related("database")
    found = rows.order_by("database__name", "name")[:TABLES_OFFERED]
    return [f"{row.database.name}.{row.name}" for row in found]


@team_page("delivery:create")
def create(request: TeamRequest) -> HttpResponse:
    """The form; POST creates the delivery stream and goes to its page, or with dry_run shows what would become of ten
    records."""
    form = form_for(request, request.POST or None)
    rehearsed = None
    if request.method == "POST" and form.is_valid():
        if "dry_run" in request.POST:
            rehearsed = rehearse(request, form, params_of(request, form.cleaned_data))
        elif _create(request, form):
            name = form.cleaned_data["name"]
            messages.success(request, f"Delivery stream {name} is being created")
            return redirect("delivery-stream", request.team.slug, name)
    if "dry_run" in request.POST and is_fragment(request):
        return render(request, "delivery/dry_run.html", {"form": form, "rehearsed": rehearsed, "dry_run_asked": True})
    status = 422 if request.method == "POST" and rehearsed is None else 200
    context = {
        "form": form,
        "rehearsed": rehearsed,
        "dry_run_asked": "dry_run" in request.POST,
        "secrets": SECRETS,
        "columns_example": COLUMNS_EXAMPLE,
    }
    context |= _beside(request, form)
    return render(request, "delivery/create.html", context, status=status)


def params_of(request: TeamRequest, given: Json) -> Json:
    """CreateDeliveryStream's parameters of cleaned data."""
    stream = Stream.objects.filter(team=request.team, name=given.get("stream") or "").first()
    if stream is not None:
        stream.team = request.team
    return configured.request(
        given,
        account_id=request.team.account_id,
        region=calls.runtime().config.region,
        stream_arn="" if stream is None else str(stream.arn),
    )


def _create(request: TeamRequest, form: CreateForm) -> bool:
    """True if all of it was made; else errors stand at the fields, and nothing was made."""
    given = form.cleaned_data
    wanted = configured.connections(given)
    if not check_connections(form, wanted):
        return False
    try:
        columns = [] if given.get("table") or not given.get("convert") else configured.columns_of(given["columns"])
    except ValueError as error:
        form.add_error("columns", str(error))
        return False

    def complete() -> None:
        """What belongs to it, before anything can be delivered."""
        row = DeliveryStream.objects.get(team=request.team, name=given["name"], channel_id="")
        row.team = request.team
        for part, one in wanted.items():
            put_connection(request, row, part, one)
        if columns and given["kind"] == "s3":
            make_table(request, given["name"], columns)

    try:
        calls.firehose(request, "CreateDeliveryStream", complete, **params_of(request, given))
    except ServiceError as error:
        put_error(form, error)
        return False
    return True


def check_connections(form: Any, wanted: dict[str, Given]) -> bool:
    """True if each could be used; else errors stand at the fields."""
    allow_private = calls.runtime().config.destinations_may_be_private
    for part, one in wanted.items():
        try:
            connections.check(part, one, allow_private=allow_private)
        except ConnectionRefused as error:
            put_refusal(form, part, error)
    return not form.errors


def put_connection(request: calls.Asker, row: DeliveryStream, part: str, given: Given) -> None:
    """As the signed-in person. Raises ConnectionRefused."""
    config = calls.runtime().config
    connections.put(
        row,
        part,
        given,
        master_key_path=config.master_key_path,
        allow_private=config.destinations_may_be_private,
        by=calls.actor(request),
    )


def make_table(request: TeamRequest, name: str, columns: list[Json]) -> None:
    """The schema as a table of the catalogue. Raises ServiceError."""
    database, table = configured.new_table(name)
    if not Database.objects.filter(team=request.team, name=database).exists():
        calls.glue(request, "CreateDatabase", DatabaseInput={"Name": database})
    told = {"Name": table, "StorageDescriptor": {"Columns": columns}}
    calls.glue(request, "CreateTable", DatabaseName=database, TableInput=told)


@require_POST
@team_page("delivery:create")
def beside(request: TeamRequest) -> HttpResponse:
    """The panels beside the form, for what is typed so far. By POST, so that nothing typed stands in an address; fields
    of secrets are not sent."""
    return render(request, "delivery/create_beside.html", _beside(request, form_for(request, request.POST)))


def _beside(request: TeamRequest, form: CreateForm) -> Json:
    """Examples of keys and the code, as far as what is typed makes sense."""
    given = _typed(form)
    params = params_of(request, given)
    kind = described.KEYS[given["kind"]]
    description = params[f"{kind}DestinationConfiguration"]
    bucket = description if given["kind"] == "s3" else description.get("S3Configuration", {})
    now_ms, name = calls.now_ms(), given["name"]
    has_objects = given["kind"] in {"s3", "redshift"} or given.get("backup")
    return {
        **estimate.of_typed(request, given),
        "delivered_example": examples.delivered(bucket, name, now_ms) if has_objects else None,
        "failed_example": examples.failed(bucket, name, now_ms) if given["kind"] != "redshift" else None,
        "codes": samples.create(configured.shown(params)),
        "has_connections": bool(configured.connections(given)),
        "steps": _steps(given, description),
    }


def _typed(form: CreateForm) -> Json:
    """Cleaned data where it could be cleaned, else the empty value: half-typed forms have examples, too."""
    form.is_valid()
    given: Json = {}
    for name, field in form.fields.items():
        value = form.cleaned_data.get(name) if form.is_bound else form.get_initial_for_field(field, name)
        given[name] = value if value is not None else _empty(name)
    given["name"] = given["name"] or "my-delivery-stream"
    given["bucket"] = given["bucket"] or "my-bucket"
    given["kind"] = given["kind"] or "s3"
    for secret in SECRETS:
        if given["kind"] in {"http", "splunk", "redshift"} and secret.startswith(given["kind"]):
            given[secret] = "…"
    return given


def _empty(name: str) -> Any:
    if name in {"tags", "http_attributes"}:
        return {}
    if name == "columns":
        return []
    return None if name.endswith(("_s", "_mb", "_retries")) else ""


def _steps(given: Json, description: Json) -> list[tuple[str, str]]:
    """The path, in words that fill in while one types."""
    source = given["stream"] if given["source"] == "stream" else "Direct PUT"
    kind = described.KEYS[given["kind"]]
    where = described.address(kind, {**description, "BucketARN": configured.bucket_arn(given["bucket"])})
    return [("Source", source or "a data stream"), (described.DESTINATIONS[kind], where or "not named yet")]
