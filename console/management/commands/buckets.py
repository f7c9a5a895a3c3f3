"""manage.py buckets: which teams may deliver to which buckets, and transform by which Lambda functions, with the operator's own
keys (AWS_ACCESS_KEY_ID)."""

from __future__ import annotations

import re
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from apps.access import audit
from apps.accounts.models import Team
from apps.base.clock import SystemClock
from apps.delivery import grants
from apps.delivery.models import GrantedBucket
from apps.delivery.processing.configuration import FUNCTION_ARN
from console.management.commands.endpoint import operator
from console.management.jobs import team_named

BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}|\*")


class Command(BaseCommand):
    """List, give, take away."""

    help = "Which teams may deliver to which buckets with the operator's own keys. The first team may use every bucket."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """What to do."""
        actions = parser.add_subparsers(dest="action", required=True)
        actions.add_parser("list", help="what teams were given")
        for name, text in (("grant", "let a team deliver to a bucket"), ("revoke", "take that away; holds at once")):
            one = actions.add_parser(name, help=text)
            one.add_argument("team", help="short name or account id")
            one.add_argument("bucket", help="its name; * for every one; or a Lambda function's ARN")

    def handle(self, **options: Any) -> None:
        """One of the three."""
        getattr(self, f"_{options['action']}")(options)

    def _list(self, _options: dict[str, Any]) -> None:
        first = Team.objects.order_by("id").first()
        if first is not None:
            self.stdout.write(f"{first.slug}  every bucket (it is the first team)")
        for row in GrantedBucket.objects.select_related("team").order_by("team_id", "bucket"):
            self.stdout.write(f"{row.team.slug}  {'every bucket' if row.bucket == grants.EVERY else row.bucket}")

    def _grant(self, options: dict[str, Any]) -> None:
        team, bucket = team_named(options["team"]), options["bucket"]
        if not BUCKET.fullmatch(bucket) and not FUNCTION_ARN.fullmatch(bucket):
            raise CommandError(f"{bucket} is no name of a bucket, and no ARN of a Lambda function.")
        with transaction.atomic():
            made = grants.grant(team, bucket, SystemClock().now_ms())
            if made:
                _audit(team, "GrantBucket", bucket)
        said = "may use" if made else "could use already"
        self.stdout.write(f"{team.slug} {said} {bucket} with the operator's keys.")

    def _revoke(self, options: dict[str, Any]) -> None:
        team, bucket = team_named(options["team"]), options["bucket"]
        with transaction.atomic():
            if not grants.revoke(team, bucket):
                raise CommandError(f"{team.slug} was not given {bucket}.")
            _audit(team, "RevokeBucket", bucket)
        self.stdout.write(f"{team.slug} does not use {bucket} any more with the operator's keys.")


def _audit(team: Team, operation: str, bucket: str) -> None:
    arn = bucket if FUNCTION_ARN.fullmatch(bucket) else f"arn:aws:s3:::{bucket}"
    audit.of_administrator(team.account_id, operator(), operation, arn, "")
