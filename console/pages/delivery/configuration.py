"""The tab Configuration: all settings, and a form for each group that can change; and the deletion.

Each part saves alone: the destination by UpdateDestination with the version that the page was made of, connections by
Tidegate's own way, tags and encryption by the operations that AWS has for them.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render

from apps.base.errors import ServiceError
from apps.delivery import connections, settings
from apps.delivery.connections import ConnectionRefused, Given
from apps.delivery.models import Connection, DeliveryJob, DeliveryTag, Lane, SourceType
from apps.delivery.role_limits import role_problem
from console import calls
from console.pages.configuration import TagsForm
from console.pages.delivery import configured, examples, initial, samples
from console.pages.delivery.create import COLUMNS_EXAMPLE, check_connections, make_table, put_connection, tables_of
from console.pages.delivery.detail import find, frame
from console.pages.delivery.fields import SECRETS, ConnectionFields, DestinationForm
from console.pages.delivery.path import aside_of, path_of
from console.pages.delivery.refusals import put_error, put_refusal
from console.pages.name_form import NameForm
from console.pages.shell import TeamRequest, team_page

DESTINATION_ID = "destinationId-000000000001"
CUSTOMER_KEY_MAX = 512

Json = dict[str, Any]


class EditForm(DestinationForm):
    """The destination as it is, to be changed. The kind stays. version: the VersionId that the page was made of."""

    version = forms.IntegerField(min_value=1)
    secret_is_kept = True

    def needed(self, kind: str) -> tuple[str, ...]:
        """What the API let be empty may stay so: the endpoint of a domain named by its ARN, tables that records name."""
        return tuple(name for name in super().needed(kind) if name in SECRETS or self.initial.get(name))


class EncryptionForm(forms.Form):
    """Which key."""

    key_arn = forms.CharField(max_length=CUSTOMER_KEY_MAX, required=False)


@team_page("delivery:read", post="delivery:write")
def configuration(request: TeamRequest, name: str) -> HttpResponse:
    """The parts; POST saves the one that `part` names."""
    row = find(request, name)
    part = request.POST.get("part", "")
    context = _parts(request, row, part)
    save = {"destination": _save_destination, "connections": _save_connections, "tags": _save_tags,
            "encryption": _save_encryption}.get(part)  # fmt: skip
    if save is not None and save(request, row, context):
        return redirect("delivery-configuration", request.team.slug, name)
    return render(request, "delivery/configuration.html", context, status=422 if part else 200)


def _parts(request: TeamRequest, row: Any, part: str) -> Json:
    """Context: a form for each part, the one that was sent with what was written into it."""
    tags = {tag.key: tag.value for tag in DeliveryTag.objects.filter(delivery_stream=row).order_by("key")}
    lines = "\n".join(f"{key}={value}" if value else key for key, value in tags.items())
    kept = {one.part: one for one in Connection.objects.filter(delivery_stream=row)}
    sent: dict[str, QueryDict | None] = {
        one: request.POST if part == one else None for one in ("destination", "connections", "tags", "encryption")
    }
    before = initial.of_description(row) | _transform_url(kept)
    tables = tables_of(request)
    if before.get("table") and before["table"] not in tables:
        tables.append(before["table"])
    bucket = settings.errors_s3(row.destination_type, row.destination)
    return {
        **frame(request, row, "delivery-configuration"),
        "path": path_of(row),
        "aside": aside_of(row),
        "form": EditForm(sent["destination"], initial=before | {"version": row.version_id}, tables=tables),
        "connections_form": ConnectionFields(sent["connections"], initial=_of_connections(kept)),
        "kept_secrets": [one for one, connection in kept.items() if connection.sealed_secret],
        "tags_form": TagsForm(sent["tags"], initial={"tags": lines}),
        "encryption_form": EncryptionForm(sent["encryption"]),
        "tags": tags,
        "json": samples.described(row),
        "role_problem": role_problem(request.team.id, before["role_arn"]),
        "role": before["role_arn"],
        "delivered_example": examples.delivered(bucket, row.name, calls.now_ms()),
        "failed_example": examples.failed(bucket, row.name, calls.now_ms()),
        "kept": "Empty: the one that is kept stays.",
        "columns_example": COLUMNS_EXAMPLE,
    }


def _transform_url(kept: dict[str, Connection]) -> Json:
    return {"transform_url": kept["lambda"].endpoint_url} if "lambda" in kept else {}


def _of_connections(kept: dict[str, Connection]) -> Json:
    return {
        f"{part}_{field}": value
        for part, one in kept.items()
        for field, value in (("endpoint", one.endpoint_url), ("region", one.region), ("key", one.access_key_id))
    }


def _save_destination(request: TeamRequest, row: Any, context: Json) -> bool:
    form: EditForm = context["form"]
    if not form.is_valid():
        return False
    given = {**form.cleaned_data, "kind": context["form"].initial["kind"], "name": row.name}
    changed = {name for name in form.changed_data if name not in SECRETS or given[name]}
    region, columns = calls.runtime().config.region, []
    try:
        if "columns" in changed and given["convert"] and not given["table"]:
            columns = configured.columns_of(given["columns"])
    except ValueError as error:
        form.add_error("columns", str(error))
        return False
    update = initial.update(given, changed, row.destination, account_id=request.team.account_id, region=region)
    wanted = configured.connections({"transform": given["transform"], "transform_url": given["transform_url"]})
    if "transform_url" not in changed or not check_connections(form, wanted):
        wanted = {}
    if form.errors:
        return False
    if not update and not wanted:
        messages.success(request, "Nothing was changed")
        return True

    def complete() -> None:
        for part, one in wanted.items():
            put_connection(request, row, part, one)
        if columns:
            make_table(request, row.name, columns)

    params = {
        "DeliveryStreamName": row.name,
        "CurrentDeliveryStreamVersionId": str(given["version"]),
        "DestinationId": DESTINATION_ID,
        f"{row.destination_type}DestinationUpdate": update,
    }
    try:
        calls.firehose(request, "UpdateDestination", complete, **params)
    except ServiceError as error:
        put_error(form, error)
        return False
    messages.success(
        request, f"Saved as version {given['version'] + 1}. What was about to be delivered still follows the old one."
    )
    return True


def _save_connections(request: TeamRequest, row: Any, context: Json) -> bool:
    form: ConnectionFields = context["connections_form"]
    if not form.is_valid():
        return False
    given, had_secret = form.cleaned_data, bool(row.sealed_secrets)
    for part in connections.PARTS:
        wanted = Given(
            given[f"{part}_endpoint"], given[f"{part}_region"], given[f"{part}_key"], given[f"{part}_secret"] or None
        )
        before = [form.initial.get(f"{part}_{field}", "") for field in ("endpoint", "region", "key")]
        if before == [wanted.endpoint_url, wanted.region, wanted.access_key_id] and wanted.secret is None:
            continue
        try:
            put_connection(request, row, part, wanted)
        except ConnectionRefused as error:
            put_refusal(form, part, error)
    if form.errors:
        return False
    messages.success(request, "Connections saved")
    if had_secret and not row.sealed_secrets:
        messages.warning(
            request, "The destination has another address now: its access key or password must be given anew."
        )
    return True


def _save_tags(request: TeamRequest, row: Any, context: Json) -> bool:
    """Add what is new or changed first, so that a refusal leaves the tags as they were."""
    form, now = context["tags_form"], context["tags"]
    if not form.is_valid():
        return False
    wanted = form.cleaned_data["tags"]
    added = [{"Key": key, "Value": value} for key, value in wanted.items() if now.get(key) != value]
    removed = [key for key in now if key not in wanted]
    try:
        if added:
            calls.firehose(request, "TagDeliveryStream", DeliveryStreamName=row.name, Tags=added)
        if removed:
            calls.firehose(request, "UntagDeliveryStream", DeliveryStreamName=row.name, TagKeys=removed)
    except ServiceError as error:
        calls.put_error(form, error, {error.code: "tags", "Tags": "tags", "TagKeys": "tags"})
        return False
    messages.success(request, "Tags saved")
    return True


def _save_encryption(request: TeamRequest, row: Any, context: Json) -> bool:
    form: EncryptionForm = context["encryption_form"]
    if not form.is_valid():
        return False
    try:
        if request.POST.get("encryption") == "off":
            calls.firehose(request, "StopDeliveryStreamEncryption", DeliveryStreamName=row.name)
            messages.success(request, "Encryption is being switched off")
            return True
        key = form.cleaned_data["key_arn"]
        told = {"KeyType": "CUSTOMER_MANAGED_CMK", "KeyARN": key} if key else {"KeyType": "AWS_OWNED_CMK"}
        calls.firehose(
            request, "StartDeliveryStreamEncryption", DeliveryStreamName=row.name,
            DeliveryStreamEncryptionConfigurationInput=told,
        )  # fmt: skip
    except ServiceError as error:
        form.add_error("key_arn", error.message or error.code)
        return False
    messages.success(request, "Encryption is being switched on")
    return True


NAME_CHARS_MAX = 128


@team_page("delivery:delete")
def delete(request: TeamRequest, name: str) -> HttpResponse:
    """Delete the delivery stream with what waits in it, for people who have typed its name."""
    row = find(request, name)
    form = NameForm(request.POST or None, wanted=name, chars_max=NAME_CHARS_MAX)
    if request.method == "POST" and form.is_valid() and _delete(request, name, form):
        messages.success(request, f"Delivery stream {name} is being deleted")
        return redirect("delivery-streams", request.team.slug)
    lanes = Lane.objects.filter(delivery_stream=row, ended_at_ms__isnull=True)
    context = {
        **frame(request, row, "delivery-configuration"),
        "form": form,
        "waiting": lanes.filter(oldest_waiting_ms__isnull=False).count(),
        "jobs": DeliveryJob.objects.filter(delivery_stream=row, status__in=("WAITING", "RUNNING")).count(),
        "is_direct": row.source_type == SourceType.DIRECT_PUT,
    }
    return render(request, "delivery/delete.html", context, status=422 if request.method == "POST" else 200)


def _delete(request: TeamRequest, name: str, form: NameForm) -> bool:
    try:
        calls.firehose(request, "DeleteDeliveryStream", DeliveryStreamName=name)
    except ServiceError as error:
        form.add_error("name", error.message or error.code)
        return False
    return True
