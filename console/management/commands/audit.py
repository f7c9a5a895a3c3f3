"""`manage.py audit`: the audit trail: look at it, export it, have data calls in it, forget what is old."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.forms.models import model_to_dict

from apps.access import audit
from apps.access.callers import iso
from apps.access.models import AuditEntry
from apps.accounts.models import Team
from apps.base.units import SECOND_MS
from console.management.commands.endpoint import operator

SHOWN = 50
"""Entries listed unless told otherwise: the newest."""

COLUMNS = (
    "at", "account_id", "principal", "key_id", "person_id", "service", "operation", "resource", "owner_account_id",
    "source_ip", "endpoint_id", "user_agent", "request_id", "outcome", "message", "is_data",
    "person", "session", "before", "after",
)  # fmt: skip


class Command(BaseCommand):
    """List, export, switch, forget."""

    help = "List or export the audit trail; record data calls of a team; delete what is old."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """What to do, and with which entries."""
        parser.add_argument("--team", default="", help="slug or account id; of callers or of what they used")
        parser.add_argument("--since", type=_moment, default=0, help="ISO 8601 time, UTC unless it says otherwise")
        parser.add_argument("--until", type=_moment, default=None)
        parser.add_argument("--operation", default="", help="such as DeleteStream")
        parser.add_argument("--failed", action="store_true", help="only what was refused")
        parser.add_argument("--limit", type=int, default=SHOWN, help="the newest so many; exports have all")
        parser.add_argument("--export", choices=["jsonl", "csv"], help="all of them, oldest first, to standard output")
        parser.add_argument("--data-calls", choices=["on", "off"], help="record a team's data calls, too, or no longer")
        parser.add_argument("--forget-before", type=_moment, help="delete entries older than this, for good")

    def handle(self, **options: Any) -> None:
        """One of the four."""
        team = _team(options["team"])
        if options["forget_before"] is not None:
            gone = audit.forget_before(options["forget_before"], operator())
            self.stdout.write(f"{gone} entries are deleted.")
        elif options["data_calls"] is not None:
            if team is None:
                raise CommandError("--data-calls needs --team.")
            audit.record_data(team, on=options["data_calls"] == "on", by=operator())
            self.stdout.write(
                f"Data calls of {team.name} are {'' if options['data_calls'] == 'on' else 'not '}recorded."
            )
        else:
            found = audit.entries(
                account_id=team.account_id if team is not None else "",
                since_ms=options["since"],
                until_ms=options["until"],
                operation=options["operation"],
                failed=options["failed"],
            )
            if options["export"] is not None:
                self._export(found.iterator(), options["export"])
            else:
                self._list(reversed(found.reverse()[: max(1, options["limit"])]))

    def _list(self, entries: Iterable[AuditEntry]) -> None:
        for entry in entries:
            who = entry.person or entry.principal or "-"
            where = entry.source_ip or "inside"
            how = entry.outcome or "ok"
            self.stdout.write(f"{iso(entry.at_ms)}  {how:28}  {entry.operation:28}  {who}  {entry.resource}  {where}")

    def _export(self, entries: Iterable[AuditEntry], form: str) -> None:
        if form == "csv":
            writer = csv.DictWriter(self.stdout, COLUMNS)
            writer.writeheader()
            for entry in entries:
                writer.writerow(_as_dict(entry))
            return
        for entry in entries:
            self.stdout.write(json.dumps(_as_dict(entry), separators=(",", ":")))


def _as_dict(entry: AuditEntry) -> dict[str, Any]:
    values = model_to_dict(entry)
    at = datetime.fromtimestamp(entry.at_ms / SECOND_MS, UTC).isoformat(timespec="milliseconds")
    return {name: at if name == "at" else values[name] for name in COLUMNS}


def _team(text: str) -> Team | None:
    if not text:
        return None
    found = Team.objects.filter(slug=text).first() or Team.objects.filter(account_id=text).first()
    if found is None:
        raise CommandError(f"There is no team {text}.")
    return found


def _moment(text: str) -> int:
    """An ISO 8601 time as milliseconds."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(f"{text} is no time; write it as 2026-11-20T10:00:00.") from None
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * SECOND_MS)
