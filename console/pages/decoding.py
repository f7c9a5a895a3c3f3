"""How the data viewer decodes: a page to choose a schema, and records as its list and inspector show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlencode

from django import forms
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.safestring import SafeString

from apps.catalogue import registry
from console import calls
from console.decoding.choice import AUTOMATIC, PASTED, REGISTERED, STORED, Decoding, Shown, choice, keep
from console.decoding.decoder import AVRO, PROTOBUF, SCHEMA_BYTES_MAX, Schema, SchemaError
from console.models import DecodingSchema
from console.pages import record_views
from console.pages.reading import Found
from console.pages.record_filter import RecordFilter
from console.pages.shell import TeamRequest, team_page
from console.pages.stream import find, frame

SCHEMAS_LISTED = 500
KEPT = ("shard", "start", "at", "q", "from", "view", "record")
"""Of the viewer's address, what goes through this page and back."""


class DecodeForm(forms.Form):
    """Automatic, as stored, by a schema of the registry, or by one that is pasted."""

    how = forms.ChoiceField(
        choices=[("auto", "Automatic"), ("stored", "As stored"), ("registry", "Registry"), ("paste", "Pasted")]
    )
    schema = forms.ChoiceField(required=False)
    kind = forms.ChoiceField(choices=[(AVRO, "Avro"), (PROTOBUF, "Protobuf")], required=False)
    definition = forms.CharField(required=False, max_length=SCHEMA_BYTES_MAX, widget=forms.Textarea, strip=False)
    message = forms.CharField(required=False, max_length=255)

    def __init__(self, schemas: list[tuple[str, str]], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = cast("forms.ChoiceField", self.fields["schema"])
        field.choices = [(f"{where}/{name}", f"{name} in {where}") for where, name in schemas]

    def clean(self) -> dict[str, Any]:
        """What the choice needs."""
        given = super().clean() or self.cleaned_data
        if given.get("how") == "registry" and not given.get("schema") and "schema" not in self.errors:
            self.add_error("schema", "Choose a schema.")
        if given.get("how") == "paste" and not given.get("definition", "").strip():
            self.add_error("definition", "Paste a schema.")
        return given

    def schema_given(self) -> Schema:
        """The pasted one."""
        given = self.cleaned_data
        kind = given["kind"] or AVRO
        return Schema(kind, given["definition"], given["message"].strip() if kind == PROTOBUF else "")


@team_page("record:read")
def decode(request: TeamRequest, name: str) -> HttpResponse:
    """The form; POST goes back to the viewer, with the choice in its address."""
    stream = find(request, name)
    schemas = registry.names(request.team.id, "AVRO", SCHEMAS_LISTED)
    form = DecodeForm(schemas, request.POST or None, initial=_now(request))
    back = _kept(QueryDict(request.POST.get("back", "")) if request.method == "POST" else request.GET)
    if request.method == "POST" and form.is_valid():
        try:
            chosen = _chosen(request, form)
        except SchemaError as error:
            form.add_error("definition", str(error))
        else:
            back = {**back, "decode": chosen} if chosen else back
            return redirect(f"{reverse('stream-records', args=[request.team.slug, name])}?{urlencode(back)}")
    context = {**frame(request, stream, "stream-records"), "form": form, "back": urlencode(back), "schemas": schemas}
    return render(request, "records/decode.html", context, status=422 if request.method == "POST" else 200)


def _kept(values: Any) -> dict[str, str]:
    return {name: values[name] for name in KEPT if values.get(name)}


def _chosen(request: TeamRequest, form: DecodeForm) -> str:
    match form.cleaned_data["how"]:
        case "stored":
            return STORED
        case "registry":
            return REGISTERED + form.cleaned_data["schema"]
        case "paste":
            return keep(request.team.id, form.schema_given(), calls.now_ms())
    return AUTOMATIC


def _now(request: TeamRequest) -> dict[str, Any]:
    """The form as the address has it."""
    value = request.GET.get("decode", "")
    if value.startswith(PASTED):
        row = DecodingSchema.objects.filter(team=request.team, digest=value.removeprefix(PASTED)).first()
        if row is not None:
            return {"how": "paste", "kind": row.kind, "definition": row.definition, "message": row.message}
    if value.startswith(REGISTERED):
        return {"how": "registry", "schema": value.removeprefix(REGISTERED), "kind": AVRO}
    return {"how": "stored" if value == STORED else "auto", "kind": AVRO}


def decoding_of(request: TeamRequest) -> Decoding:
    """What the viewer's address, or the form that follows records, asks for."""
    values = request.POST if request.method == "POST" else request.GET
    return choice(request.team.id, values.get("decode", ""))


@dataclass(frozen=True, slots=True)
class DecodedFilter:
    """A filter that looks at records as they are stored, and as they are shown."""

    wanted: RecordFilter
    decoding: Decoding

    def __bool__(self) -> bool:
        return bool(self.wanted)

    def which(self, records: Sequence[tuple[str | None, bytes]]) -> list[bool]:
        """For each record, whether it passes."""
        answers = [self.wanted.matches(key, data) for key, data in records]
        left = [n for n, good in enumerate(answers) if not good]
        for n, shown in zip(left, self.decoding.shown([records[n][1] for n in left]), strict=True):
            if shown.is_decoded:
                answers[n] = any(self.wanted.matches(key or records[n][0], data) for key, data in _readings(shown))
        return answers


def _readings(shown: Shown) -> list[tuple[str, bytes]]:
    if shown.parts:
        return [(key, part.readable) for key, part in shown.parts]
    return [("", shown.readable)]


@dataclass(frozen=True, slots=True)
class Row:
    """A record in the list."""

    found: Found
    shown: Shown

    @property
    def preview(self) -> str:
        """One line of its data."""
        return record_views.preview(self.shown.readable)

    @property
    def key(self) -> str:
        """Its partition key, with what cannot be seen made visible."""
        return record_views.visible(self.found.key or "")

    @property
    def mark(self) -> str:
        """What was done to show it."""
        return "not decoded" if self.shown.problem else ", ".join(self.shown.steps)


def rows_of(records: Sequence[Found], decoding: Decoding) -> list[Row]:
    """The rows of a list. One process at most decodes them."""
    shown = decoding.shown([found.data for found in records])
    return [Row(found, one) for found, one in zip(records, shown, strict=True)]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a decoded record in the inspector."""

    title: str
    body: SafeString | str
    note: str = ""
    problem: str = ""


def pieces_of(shown: Shown) -> list[Piece]:
    """The record, or each user record of an aggregate."""
    if not shown.parts:
        return [_piece("", shown)]
    return [
        _piece(f"{number} of {len(shown.parts) + shown.more_parts}, key {record_views.visible(key)}", part)
        for number, (key, part) in enumerate(shown.parts, 1)
    ]


def _piece(title: str, shown: Shown) -> Piece:
    data = shown.readable
    pretty = record_views.json_view(data)
    return Piece(title, record_views.raw(data) if pretty is None else pretty, shown.note, shown.problem)
