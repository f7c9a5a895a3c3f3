"""manage.py quotas [NAME [VALUE]] --team TEAM: what a team may have and how often it may ask; change one."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.table import Column, Table

from apps.accounts.models import Team
from apps.base.config import Config
from apps.capacity.models import QuotaOverride
from apps.gateway.rates import PREFIX
from apps.streams.quotas import QUOTAS, change
from console.management.commands.endpoint import operator
from console.management.jobs import team_named

DEFAULT = "default"
VALUE_MAX = 10**12


class Command(BaseCommand):
    """See the module."""

    help = "Print a team's quotas, or change one. A change holds at once, calls per second within five seconds."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """The arguments; `manage.py quotas --help` prints them."""
        parser.add_argument(
            "name", nargs="?", default="", help="as the list prints it, e.g. shards or calls/CreateStream"
        )
        parser.add_argument("value", nargs="?", default="", help=f"a whole number, or {DEFAULT}")
        parser.add_argument("--team", default="", help="short name or account id; needed if there are several")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Change what is to be changed, then print."""
        team, name = team_named(options["team"]), options["name"]
        if name and name not in QUOTAS:
            raise CommandError(f"There is no quota {name}; `manage.py quotas` prints them all.")
        if options["value"]:
            change(team, name, number(options["value"]), operator())
        show(team, name)


def number(value: str) -> int | None:
    """The value as given; None for the default. Raises CommandError."""
    if value == DEFAULT:
        return None
    if not (value.isascii() and value.isdigit() and int(value) <= VALUE_MAX):
        raise CommandError(f"{value} is not a whole number up to {VALUE_MAX}, nor {DEFAULT}.")
    return int(value)


def show(team: Team, name: str) -> None:
    """Print one quota, or all: how much, then how often. Two tables, because calls' long names leave no room for words."""
    region = Config.from_environment().region
    wanted = [quota for quota in QUOTAS.values() if name in {"", quota.name}]
    calls = [quota for quota in wanted if quota.name.startswith(PREFIX)]
    others = [quota for quota in wanted if quota not in calls]
    changed = dict(QuotaOverride.objects.filter(team=team).values_list("name", "value"))
    console = Console()
    for quotas, title in ((others, "how much"), (calls, "calls per second")):
        columns = [Column(word, no_wrap=True) for word in ("quota", "value", "default", "per")]
        table = Table(*columns, title=f"{team.name} ({team.account_id}), {region}: {title}")
        if quotas is others:
            table.add_column("what", overflow="fold")
        for quota in quotas:
            default = quota.default_in(region)
            row = [quota.name, str(changed.get(quota.name, default)), str(default), quota.per.value]
            table.add_row(*row, *([quota.means] if quotas is others else []))
        if quotas:
            console.print(table)
