"""`manage.py check_bills [NUMBER …]`: reckon closed bills anew and say whether they are what was billed."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.base.config import Config
from apps.billing import checking
from apps.billing.models import Bill


class Command(BaseCommand):
    """Check closed bills."""

    help = "Reckon closed bills anew from the ledger and the price books: all, or those that are named."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """The arguments; `manage.py check_bills --help` prints them."""
        parser.add_argument("numbers", nargs="*", help="as on the bill: TG-2026-11-123456789012")

    def handle(self, *_args: Any, **options: Any) -> None:
        """A line for each bill; exit code 1 if one does not agree, also for bills of deleted teams whose sums are wrong."""
        numbers, region = options["numbers"], Config.from_environment().region
        rows = Bill.objects.order_by("month", "account_id")
        bills = list(rows.filter(number__in=numbers) if numbers else rows)
        missing = sorted(set(numbers) - {bill.number for bill in bills})
        if missing:
            raise CommandError(f"There is no bill {missing[0]}.")
        wrong = sum(not self._check(bill, region) for bill in bills)
        if wrong:
            raise CommandError(f"{wrong} of {len(bills)} bills do not agree.")
        self.stdout.write(f"{len(bills)} bills agree.")

    def _check(self, bill: Bill, region: str) -> bool:
        found = checking.check(bill, region)
        whole = f"{bill.number}, {bill.team_name}: {bill.total_cents / 100:,.2f} {bill.currency}"
        self.stdout.write(
            f"{whole}: {'agrees' if found.agrees else 'does not agree'}{', sums alone' if found.limited else ''}"
        )
        for text in (*found.findings, *found.limited):
            self.stdout.write(f"  {text}")
        return found.agrees
