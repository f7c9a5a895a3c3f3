"""How the data viewer decodes records: what its address asks for, and what becomes of each record."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from apps.catalogue import registry
from apps.catalogue.errors import EntityNotFoundException
from console.decoding import decoder, wrappings
from console.decoding.decoder import AVRO, Decoded, Schema, SchemaError
from console.decoding.wrappings import Unwrapped
from console.models import DecodingSchema

AUTOMATIC, STORED = "", "stored"
PASTED, REGISTERED = "pasted:", "registry:"
"""Beginnings of the other choices: `pasted:9f2c…`, `registry:default-registry/orders`."""

PASTED_MAX: Final = 200
"""Of a team; the oldest goes for a new one."""
PARTS_MAX: Final = 200
"""User records of an aggregate that are decoded and shown."""
CONTAINER = Schema(AVRO, "")


@dataclass(slots=True)
class Shown:
    """A record as it is to be read. data: what is inside. json: decoded with a schema. steps: what was done, in words.
    parts: the user records of an aggregate, with their keys."""

    data: bytes
    steps: tuple[str, ...] = ()
    json: str = ""
    note: str = ""
    problem: str = ""
    parts: list[tuple[str, Shown]] = field(default_factory=list)
    more_parts: int = 0

    @property
    def readable(self) -> bytes:
        """What a filter or a preview looks at."""
        if self.parts:
            return b"\n".join(part.readable for _, part in self.parts)
        return self.json.encode() if self.json else self.data

    @property
    def is_decoded(self) -> bool:
        """Something was done to it."""
        return bool(self.steps or self.json or self.problem)


@dataclass(slots=True)
class Decoding:
    """A choice, ready to be used. words: for people. problem: why the choice cannot be used."""

    team_id: int
    value: str = AUTOMATIC
    words: str = "automatic"
    schema: Schema | None = None
    problem: str = ""
    _versions: dict[UUID, tuple[str, Schema | None] | None] = field(default_factory=dict)

    def shown(self, records: Sequence[bytes]) -> list[Shown]:
        """Each record; one process for all that need a schema. A schema that cannot be used becomes the problem."""
        if self.value == STORED:
            return [Shown(data) for data in records]
        waiting: dict[Schema, list[Shown]] = {}
        answers = [self._prepared(wrappings.unwrap(data), waiting) for data in records]
        for schema, those in waiting.items():
            for one, decoded in zip(those, self._decoded(schema, [one.data for one in those]), strict=True):
                one.json, one.note, one.problem = decoded.json, decoded.note, decoded.problem
        return answers

    def _prepared(self, found: Unwrapped, waiting: dict[Schema, list[Shown]]) -> Shown:
        if found.parts:
            inside = [(key, self._prepared(wrappings.unwrap(data), waiting)) for key, data in found.parts[:PARTS_MAX]]
            return Shown(found.data, found.steps, parts=inside, more_parts=max(0, len(found.parts) - PARTS_MAX))
        schema, steps, data = self.schema, found.steps, found.data
        if found.version is not None:
            known = self._version(found.version)
            if known is not None:
                steps = (*steps, known[0])
                schema = schema or known[1]
            elif schema is None:
                data = found.framed  # only looks like a header
        if schema is None and found.is_container:
            schema = CONTAINER
        one = Shown(data, steps)
        if schema is not None:
            waiting.setdefault(schema, []).append(one)
        return one

    def _version(self, version: UUID) -> tuple[str, Schema | None] | None:
        """Words and schema (None: a JSON schema, which decodes nothing) of a version of the team's registry."""
        if version not in self._versions:
            try:
                found = registry.version_of(self.team_id, version)
            except EntityNotFoundException:
                self._versions[version] = None
            else:
                schema = Schema(AVRO, found.definition) if found.data_format == "AVRO" else None
                self._versions[version] = (f"{found.name}, version {found.number}", schema)
        return self._versions[version]

    def _decoded(self, schema: Schema, records: list[bytes]) -> list[Decoded]:
        try:
            return decoder.decode(schema, records)
        except SchemaError as error:
            if schema is self.schema:
                self.problem = f"The schema cannot be used: {error}"
            return [Decoded(problem=str(error))] * len(records)


def choice(team_id: int, value: str) -> Decoding:
    """What `decode=` in an address asks for. What there is none of becomes a problem to show."""
    if value == STORED:
        return Decoding(team_id, STORED, "as stored")
    if value.startswith(PASTED):
        row = DecodingSchema.objects.filter(team_id=team_id, digest=value.removeprefix(PASTED)).first()
        if row is None:
            return Decoding(team_id, value, problem="The pasted schema is not kept any more. Paste it again.")
        return Decoding(team_id, value, _words(row), Schema(row.kind, row.definition, row.message))
    if value.startswith(REGISTERED):
        where, _, name = value.removeprefix(REGISTERED).partition("/")
        try:
            found = registry.named(team_id, where, name)
        except EntityNotFoundException:
            return Decoding(team_id, value, problem=f"There is no schema {name} in the registry {where}.")
        return Decoding(team_id, value, f"{name}, version {found.number}", Schema(AVRO, found.definition))
    problem = "" if value == AUTOMATIC else "This is no way to decode records."
    return Decoding(team_id, AUTOMATIC, problem=problem)


def keep(team_id: int, schema: Schema, now_ms: int) -> str:
    """Keep a pasted schema and answer the choice that uses it. Raises SchemaError if it cannot be used."""
    decoder.check(schema)
    text = f"{schema.kind}\0{schema.message}\0{schema.text}"
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    DecodingSchema.objects.update_or_create(
        team_id=team_id,
        digest=digest,
        defaults={"kind": schema.kind, "definition": schema.text, "message": schema.message, "at_ms": now_ms},
    )
    mine = DecodingSchema.objects.filter(team_id=team_id).order_by("-at_ms", "-pk")
    oldest = list(mine.values_list("pk", flat=True)[PASTED_MAX : 2 * PASTED_MAX])
    if oldest:
        DecodingSchema.objects.filter(pk__in=oldest).delete()
    return PASTED + digest


def _words(row: DecodingSchema) -> str:
    kind = "Avro" if row.kind == AVRO else "Protobuf"
    return f"{kind}, {row.message}" if row.message else f"{kind}, pasted"
