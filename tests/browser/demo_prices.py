"""Prices and other teams of the demo: a book in force, one of a team's own, one planned, two drafts; a showback of seven teams."""

DRAFT = "/t/first/billing/books/4"
PUBLISHED = "/t/first/billing/books/1"
OWN_DRAFT = "/t/first/billing/books/5"

CODE = """
from apps.base.clock import SystemClock
from apps.billing import booking, publishing
from apps.billing.models import Bill, Credit, PriceBook
from apps.billing.months import Month
from apps.billing.publishing import Source
now, day, hour = SystemClock().now_ms(), 86_400_000, 3_600_000
this = Month.at(now)
def book(team, from_ms, percent="0", prices=(), published=True, note=""):
    made = publishing.draft("us-east-1", team and team.pk, Source.PRESENT, now)
    for name, tiers in dict(prices).items():
        made.prices.update_or_create(dimension=name, defaults={"tiers": tiers})
    made.valid_from_ms, made.percent, made.note = from_ms, percent, note
    made.published_at_ms, made.published_by = (now - 3 * hour, "mira@acme.example") if published else (None, "")
    made.save()
    return made
TEAMS = (
    ("Borealis Logistics", "borealis", 9, "0"), ("Cedar Health", "cedar", 14, "-15"), ("Delta Games", "delta", 31, "0"),
    ("Ember Analytics", "ember", 4, "12.5"), ("Fjord Bank", "fjord", 22, "0"),
)
made = []
for n, (name, slug, shards, percent) in enumerate(TEAMS):
    one = Team.objects.create(account_id=f"3300000000{n:02}", slug=slug, name=name, created_at_ms=1)
    made.append((one, percent))
    booking.book({
        (one.pk, "stream/events", meter, month.start_ms + d * day, ""): each
        for month in (this.previous, this)
        for d in range(month.days) if month.start_ms + d * day <= now
        for meter, each in (
            ("shard-time", shards * 24 * hour + (n + 1) * d * hour), ("payload-units", shards * 9_000_000 + d * 40_000),
            ("bytes-in", shards * 7 * 2**30), ("bytes-out", shards * 9 * 2**30), ("delivery-units", shards * 2_000_000),
        )
    }, now)
book(None, this.start_ms, prices={"shard-hour": [[None, "0.0165"]], "queue-hour": [[None, "0.005"]],
     "fan-out-data": [["100", "0"], [None, "0.015"]]}, note="Chargeback of the platform group")
for one, percent in made:
    if percent != "0":
        book(one, this.start_ms, percent, note="Agreed in spring")
book(None, this.next.start_ms, prices={"shard-hour": [[None, "0.0180"]]}, published=False, note="Next month, to be discussed")
book(team, this.next.start_ms, "-10", {"fan-out-data": [[None, "0.01"]]}, published=False)
Credit.objects.create(team=made[0][0], amount_cents=5_000, reason="Incident of Monday", from_month=str(this), created_at_ms=now)
Credit.objects.create(team=made[1][0], amount_cents=150_000, reason="Migration", from_month=str(this), to_month=str(this.next),
                      created_at_ms=now - day)
gone = Bill.objects.create(team=None, account_id="440000000001", team_name="Glacier (trial)", month=str(this), usage_cents=1_240,
    number=f"TG-{this}-440000000001", currency="USD", total_cents=1_240, closed_at_ms=now, usage_digest="")
gone.lines.create(position=1, kind="usage", service="Data Streams", dimension="shard-hour", title="Shard hours", quantity="751.515",
    metered="2705454000", unit="shard-hour", price="0.0165", from_ms=this.start_ms, to_ms=this.end_ms, amount="12.4", amount_cents=1_240)
"""
