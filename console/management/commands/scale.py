"""manage.py scale report|up|down|resize|policy STREAM: the scaling utility, for provisioned streams."""

from __future__ import annotations

import threading
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.table import Column, Table

from apps.base.clock import SystemClock
from apps.base.errors import ServiceError
from apps.base.units import MINUTE_MS
from apps.capacity.models import ScalingLoad, ScalingPolicy, ScalingUnit
from apps.streams import autoscaling, topology
from apps.streams.load import open_shards
from apps.streams.models import Stream, StreamStatus
from console.management.commands.endpoint import operator
from console.management.jobs import team_named

WAIT_S = 600.0
LOOK_EVERY_S = 0.5

POLICY_NUMBERS = {
    "up_at": ("up_at_percent", "load in percent at which to step up"),
    "up_after": ("up_after_minutes", "minutes at that load before a step up"),
    "up_rest": ("up_cooldown_minutes", "minutes of rest after a step up"),
    "down_at": ("down_at_percent", "load in percent at which to step down"),
    "down_after": ("down_after_minutes", "minutes at that load before a step down"),
    "down_rest": ("down_cooldown_minutes", "minutes of rest after a step down"),
}
"""Options of `scale policy`, the fields they set, and what they mean."""


class Command(BaseCommand):
    """See the module."""

    help = "Show how a stream's shards divide its keys, change their number, or let it follow the load."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """The arguments; `manage.py scale --help` prints them."""
        actions = parser.add_subparsers(dest="action", required=True)
        for name, text in {
            "report": "print the shards and the policy",
            "up": "more shards, by --count or --percent",
            "down": "fewer shards, by --count or --percent",
            "resize": "--count shards with even ranges",
            "policy": "let the workers scale the stream by its load; without options print the policy",
        }.items():
            action = actions.add_parser(name, help=text)
            action.add_argument("stream", help="name of the data stream")
            action.add_argument("--team", default="", help="short name or account id; needed if there are several")
            if name in {"up", "down", "resize"}:
                _add_step(action)
            if name == "policy":
                _add_policy(action)

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do it and print what there is then."""
        import workers.app  # noqa: F401 - where the hint to the workers goes

        team = team_named(options["team"])
        stream = Stream.objects.select_related("team").filter(team=team, name=options["stream"]).first()
        if stream is None:
            raise CommandError(f"{team.name} has no stream {options['stream']}.")
        try:
            ACTIONS[options["action"]](stream, options)
        except ServiceError as error:
            raise CommandError(str(error.message)) from error


def _add_step(parser: CommandParser) -> None:
    parser.add_argument("--count", type=int, help="shards")
    parser.add_argument("--percent", type=int, help="of the present number of shards")
    parser.add_argument("--min", type=int, default=1, help="never fewer shards")
    parser.add_argument("--max", type=int, default=0, help="never more shards; 0: no bound")
    parser.add_argument("--wait", action="store_true", help="until the stream is ACTIVE again")


def _add_policy(parser: CommandParser) -> None:
    parser.add_argument("--min", type=int, help="never fewer shards")
    parser.add_argument("--max", type=int, help="never more shards; needed for a new policy")
    parser.add_argument("--follow", choices=ScalingLoad.values, help="which load to look at; writes for a new policy")
    for option, (_, text) in POLICY_NUMBERS.items():
        parser.add_argument(f"--{option.replace('_', '-')}", type=int, help=text)
    for way in ("up", "down"):
        parser.add_argument(f"--{way}-by", help=f"a step {way}: 2 shards, or 50%%")
    parser.add_argument("--off", action="store_true", help="stop following the load, keep the policy")
    parser.add_argument("--remove", action="store_true", help="forget the policy")


def step(stream: Stream, options: dict[str, Any]) -> None:
    """`up`, `down` and `resize`."""
    count, percent, action = options["count"], options["percent"], options["action"]
    if (count is None) == (percent is None) or (action == "resize" and count is None):
        raise CommandError("Say by how much: --count SHARDS." if action == "resize" else "Say --count or --percent.")
    amount = percent if count is None else count
    if amount < 1:
        raise CommandError("--count and --percent must be at least 1.")
    unit = ScalingUnit.PERCENT if count is None else ScalingUnit.SHARDS
    before = len(open_shards(stream))
    target = max(TARGETS[action](before, amount, unit), options["min"])
    if options["max"]:
        target = min(target, options["max"])
    if target == before and action != "resize":
        Console().print(f"{stream.name} has {before} shards and stays as it is.")
        return
    done = autoscaling.resize(stream, target, SystemClock().now_ms(), operator())
    Console().print(f"{stream.name}: {done.before} → {done.after} shards")
    if options["wait"]:
        _wait(stream)
        report(stream, options)


def _wait(stream: Stream) -> None:
    pause, end_s = threading.Event(), time.monotonic() + WAIT_S
    while time.monotonic() < end_s:
        stream.refresh_from_db()
        if stream.status == StreamStatus.ACTIVE:
            return
        pause.wait(LOOK_EVERY_S)
    raise CommandError(f"{stream.name} is still {stream.status} after {WAIT_S:.0f} s. Does a worker run?")


def report(stream: Stream, options: dict[str, Any]) -> None:
    """How the open shards divide the keys, and the policy if there is one."""
    shards = open_shards(stream)
    table = Table(
        Column("shard", no_wrap=True),
        Column("from", overflow="fold"),
        Column("to", overflow="fold"),
        "share of keys",
        title=f"{stream.name}: {stream.mode}, {stream.status}",
    )
    largest = 0.0
    for shard in shards:
        share = 100 * (int(shard.end_hash) - int(shard.start_hash) + 1) / topology.HASH_SPACE
        largest = max(largest, share)
        table.add_row(shard.shard_id, shard.start_hash, shard.end_hash, f"{share:.3f} %")
    console = Console()
    console.print(table)
    if shards:
        console.print(
            f"{len(shards)} open shards; the largest has {largest:.3f} % of the keys, even: {100 / len(shards):.3f} %"
        )
    show_policy(stream, options)


def policy(stream: Stream, options: dict[str, Any]) -> None:
    """`policy`: make, change, stop, forget or print it."""
    if options["remove"]:
        autoscaling.forget(stream, operator())
    elif options["off"]:
        autoscaling.stop(stream, operator())
    elif any(options[name] is not None for name in ("min", "max", "follow", "up_by", "down_by", *POLICY_NUMBERS)):
        _change_policy(stream, options)
    show_policy(stream, options)


def _change_policy(stream: Stream, options: dict[str, Any]) -> None:
    found = ScalingPolicy.objects.filter(stream=stream).first()
    if found is None:
        if options["max"] is None:
            raise CommandError("A new policy needs --max, the most shards that the stream may grow to.")
        found = ScalingPolicy(stream=stream)
    found.enabled = True
    values = {"minimum": options["min"], "maximum": options["max"], "follows": options["follow"]}
    values |= {field: options[name] for name, (field, _) in POLICY_NUMBERS.items()}
    for way in ("up", "down"):
        if options[f"{way}_by"] is not None:
            values[f"{way}_by"], values[f"{way}_unit"] = _amount(options[f"{way}_by"])
    for field, value in values.items():
        if isinstance(value, int) and value < 0:
            raise CommandError(f"{value} is negative.")
        if value is not None:
            setattr(found, field, value)
    autoscaling.watch(found, SystemClock().now_ms(), operator())


def _amount(text: str) -> tuple[int, str]:
    digits = text.removesuffix("%")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 7):
        raise CommandError(f"{text} is no step; write 2 for shards or 50% for percent.")
    return int(digits), ScalingUnit.PERCENT if text.endswith("%") else ScalingUnit.SHARDS


def show_policy(stream: Stream, options: dict[str, Any]) -> None:  # noqa: ARG001 - one signature for all
    """Print the policy and what it has seen."""
    found = ScalingPolicy.objects.filter(stream=stream).first()
    if found is None:
        Console().print(f"{stream.name} has no scaling policy.")
        return
    rests_ms = found.rests_until_ms - SystemClock().now_ms()
    load = "not seen yet" if found.load_percent is None else f"{found.load_percent:.1f} %"
    rest = f"; rests for {-(-rests_ms // MINUTE_MS)} min" if rests_ms > 0 else ""
    Console().print(
        f"policy {'on' if found.enabled else 'off'}: {autoscaling.sentence(found)}\nload: {load}{rest}", soft_wrap=True
    )


TARGETS = {
    "up": autoscaling.step_up,
    "down": autoscaling.step_down,
    "resize": lambda _before, amount, _unit: amount,
}
"""Shards after the action."""

ACTIONS = {"report": report, "up": step, "down": step, "resize": step, "policy": policy}
