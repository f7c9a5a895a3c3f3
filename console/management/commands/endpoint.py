"""`manage.py endpoint`: network endpoints: a host name of its own, who may use it, and for what."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from apps.access import audit, endpoints
from apps.access.endpoints import WrongEndpoint
from apps.access.models import Endpoint
from apps.accounts.models import Team
from apps.base.clock import SystemClock


class Command(BaseCommand):
    """Make, list, change, remove."""

    help = "Make, list, change and remove network endpoints (AWS's VPC endpoints)."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """What to do."""
        actions = parser.add_subparsers(dest="action", required=True)
        actions.add_parser("list", help="all endpoints")
        add = actions.add_parser("add", help="a new endpoint of a team")
        add.add_argument("team", help="slug or account id")
        add.add_argument("--name", default="")
        change = actions.add_parser("change", help="other addresses or another policy")
        change.add_argument("endpoint", help="its id")
        for one in (add, change):
            one.add_argument("--cidr", action="append", help="an address range that may use it; may be repeated")
            one.add_argument("--policy", type=Path, help="file of the endpoint policy; an empty file: everything")
        remove = actions.add_parser("remove", help="its host name stops working within a second")
        remove.add_argument("endpoint", help="its id")

    def handle(self, **options: Any) -> None:
        """One of the four."""
        try:
            getattr(self, f"_{options['action']}")(options)
        except WrongEndpoint as error:
            raise CommandError(str(error)) from error

    def _list(self, _options: dict[str, Any]) -> None:
        for row in Endpoint.objects.select_related("team").order_by("pk"):
            limits = "with a policy" if row.policy else "everything"
            self.stdout.write(
                f"{row.endpoint_id}  {row.team.slug}  {row.name or '-'}  {', '.join(row.cidrs) or 'nobody'}  {limits}"
            )

    def _add(self, options: dict[str, Any]) -> None:
        text = options["team"]
        team = Team.objects.filter(slug=text).first() or Team.objects.filter(account_id=text).first()
        if team is None:
            raise CommandError(f"There is no team {text}.")
        policy = _text_of(options["policy"]) or ""
        with transaction.atomic():
            row = endpoints.make(team.pk, options["name"], options["cidr"] or [], policy, SystemClock().now_ms())
            _audit(row, "CreateEndpoint")
        self.stdout.write(
            f"{row.endpoint_id} is made. Let a name like {row.endpoint_id}.<your domain> lead here, and set it as endpoint URL."
        )

    def _change(self, options: dict[str, Any]) -> None:
        row = _row(options)
        policy = _text_of(options["policy"])
        if options["cidr"] is not None:
            row.cidrs = endpoints.checked_cidrs(options["cidr"])
        if policy is not None:
            row.policy = endpoints.checked_policy(policy)
        with transaction.atomic():
            row.save()
            _audit(row, "ModifyEndpoint")
        self.stdout.write(f"{row.endpoint_id} is changed.")

    def _remove(self, options: dict[str, Any]) -> None:
        row = _row(options)
        with transaction.atomic():
            _audit(row, "DeleteEndpoint")
            row.delete()
        self.stdout.write(f"{options['endpoint']} is removed.")


def _audit(row: Endpoint, operation: str) -> None:
    limits = f"{', '.join(row.cidrs) or 'nobody'}; {row.policy or 'everything'}"
    audit.of_administrator(row.team.account_id, operator(), operation, row.endpoint_id, limits)


def operator() -> str:
    """Who runs this command, for the audit trail."""
    return f"{getpass.getuser()} (manage.py)"


def _row(options: dict[str, Any]) -> Endpoint:
    row = Endpoint.objects.filter(endpoint_id=options["endpoint"]).first()
    if row is None:
        raise CommandError(f"There is no endpoint {options['endpoint']}.")
    return row


def _text_of(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text().strip()
    except (OSError, ValueError) as error:
        raise CommandError(f"{path} cannot be read ({error}).") from error
