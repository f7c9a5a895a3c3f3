"""Usage and money: readings of cumulative meters, the usage made of their differences, prices, bills, budgets.

Quantities are integers of the meter's unit; prices are decimal text ("0.015"); what is billed is integer cents. Rows of
usage only rise while their month is open; once its bill is closed nothing about the month changes any more, and what comes
late or is put right is a Correction, billed with the month that is open then.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from apps.billing.usage_sums import KeyDay, ResourceMonth, TeamDay  # noqa: F401 - tables, too


class MeterReading(models.Model):
    """The last reading of one cumulative series: (resource, meter, hour, access key) of one incarnation of the log.

    resource is what was read (shard/7, stream/3); the usage it makes may be booked on another (stream/NAME).
    """

    team = models.ForeignKey("accounts.Team", on_delete=models.PROTECT, related_name="+")
    resource = models.CharField(max_length=200)
    booked_on = models.CharField(max_length=200, blank=True, default="")
    """The resource of the usage that it makes, so that an hour's usage leads to its readings."""
    meter = models.CharField(max_length=64)
    hour_ms = models.BigIntegerField()
    meter_key = models.CharField(max_length=128)
    incarnation = models.CharField(max_length=40)
    value = models.BigIntegerField()
    read_at_ms = models.BigIntegerField()
    shrunk_at_ms = models.BigIntegerField(null=True, blank=True)
    """When the value was found smaller than before: the series begins anew there, nothing is billed for the gap."""
    final = models.BooleanField(default=False)
    """The source is gone; later readings are overtaken ones."""

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["read_at_ms"], condition=models.Q(final=True), name="readings_finished"),
            models.Index(fields=["team", "hour_ms", "meter"], name="readings_of_an_hour"),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["resource", "meter", "hour_ms", "meter_key", "incarnation"], name="one_reading_per_series"
            )
        ]

    def __str__(self) -> str:
        return f"{self.resource} {self.meter} {self.value}"


class UsageHour(models.Model):
    """What a team used of a meter in one UTC hour; the sum of the differences between readings."""

    team = models.ForeignKey("accounts.Team", on_delete=models.PROTECT, related_name="usage_hours")
    resource = models.CharField(max_length=200)
    meter = models.CharField(max_length=64)
    hour_ms = models.BigIntegerField()
    meter_key = models.CharField(max_length=128)
    quantity = models.BigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["team", "resource", "meter", "hour_ms", "meter_key"], name="one_usage_row_per_hour"
            ),
            models.CheckConstraint(condition=models.Q(quantity__gte=0), name="usage_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.resource} {self.meter} {self.quantity}"


class UsageDay(models.Model):
    """The same by UTC day, kept with UsageHour in one statement: what bills and reports add up."""

    team = models.ForeignKey("accounts.Team", on_delete=models.PROTECT, related_name="+")
    resource = models.CharField(max_length=200)
    meter = models.CharField(max_length=64)
    day_ms = models.BigIntegerField()
    meter_key = models.CharField(max_length=128)
    quantity = models.BigIntegerField(default=0)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["team", "day_ms"], name="usage_days_of_team")]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["team", "resource", "meter", "day_ms", "meter_key"], name="one_usage_row_per_day"
            ),
            models.CheckConstraint(condition=models.Q(quantity__gte=0), name="usage_of_day_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.resource} {self.meter} {self.quantity}"


class CorrectionReason(models.TextChoices):
    """Why usage of a closed month changed."""

    LATE = "late", "Read after the month was closed"
    MANUAL = "manual", "Put right by the operator"


class Correction(models.Model):
    """Usage of an earlier hour, booked later. Never changed, never removed.

    quantity may be negative (put right by hand), but all usage of a series together is not. bill_month: the month whose
    bill has it; the price is that of the hour it belongs to.
    """

    team = models.ForeignKey("accounts.Team", on_delete=models.PROTECT, related_name="+")
    resource = models.CharField(max_length=200)
    meter = models.CharField(max_length=64)
    hour_ms = models.BigIntegerField()
    meter_key = models.CharField(max_length=128)
    quantity = models.BigIntegerField()
    reason = models.CharField(max_length=8, choices=CorrectionReason.choices)
    note = models.CharField(max_length=500, blank=True)
    booked_at_ms = models.BigIntegerField()
    booked_by = models.CharField(max_length=254, blank=True)
    """Who did, by e-mail address; empty: the metering itself."""
    bill_month = models.CharField(max_length=7)
    """As 2026-11."""

    class Meta:
        indexes: ClassVar = [models.Index(fields=["team", "bill_month"], name="corrections_of_bill")]

    def __str__(self) -> str:
        return f"{self.resource} {self.meter} {self.quantity:+}"


class CommittedHour(models.Model):
    """What a team with the minimum throughput billing commitment used in one UTC hour, all streams together: UsageHour of
    the advantage meters added up, kept in the same transaction, so that the shortfall is 744 rows a month at most."""

    team = models.ForeignKey("accounts.Team", on_delete=models.PROTECT, related_name="+")
    hour_ms = models.BigIntegerField()
    meter = models.CharField(max_length=64)
    quantity = models.BigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["team", "hour_ms", "meter"], name="one_committed_row_per_hour")
        ]

    def __str__(self) -> str:
        return f"{self.team_id} {self.hour_ms} {self.meter} {self.quantity}"


class FrozenMonth(models.Model):
    """A month of a team whose usage changes no more: its bill is being made, or made. Closing writes this row first, under
    the team's lock, so that nothing slips in between what was added up and what is stored."""

    team = models.ForeignKey("accounts.Team", on_delete=models.CASCADE, related_name="+")
    month = models.CharField(max_length=7)
    frozen_at_ms = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["team", "month"], name="one_frozen_month_per_team_and_month")
        ]

    def __str__(self) -> str:
        return f"{self.team_id} {self.month}"


class FlagKind(models.TextChoices):
    """What an operator should look at, since it may change what somebody pays."""

    SHRUNK = "shrunk", "A meter showed less than before"
    CLOCK_BACK = "clock-back", "The clock went back"
    CLOCK_AHEAD = "clock-ahead", "The clock jumped ahead"
    LATE = "late", "Usage came after its month was closed"
    NO_PRICE = "no-price", "There is no price"
    UNKNOWN_KEY = "unknown-key", "Usage of an unknown key"
    NOT_CLOSED = "not-closed", "A month that is over is not closed"


class BillingFlag(models.Model):
    """Something odd that was noticed while metering or closing; one row per team, kind and resource, however often."""

    team = models.ForeignKey("accounts.Team", null=True, on_delete=models.CASCADE, related_name="billing_flags")
    """Null: of the installation as a whole, as its clock is."""
    kind = models.CharField(max_length=16, choices=FlagKind.choices)
    resource = models.CharField(max_length=200, blank=True)
    text = models.CharField(max_length=500)
    """A sentence for people, of the last time."""
    first_at_ms = models.BigIntegerField()
    at_ms = models.BigIntegerField()
    seen = models.PositiveBigIntegerField(default=1)
    """How often."""
    acknowledged_at_ms = models.BigIntegerField(null=True, blank=True)
    """When an operator said that it was dealt with; null again when it happens once more."""
    acknowledged_by = models.CharField(max_length=254, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["team", "kind", "resource"], name="one_flag_per_team_kind_and_resource"),
            models.UniqueConstraint(
                fields=["kind", "resource"], condition=models.Q(team__isnull=True), name="one_flag_of_the_installation"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.resource}"


class MeteringClock(models.Model):
    """The one row that remembers what time it was, so that a clock that jumps is noticed (clock_guard.py)."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    last_ms = models.BigIntegerField()
    moved_from_ms = models.BigIntegerField(null=True, blank=True)
    moved_to_ms = models.BigIntegerField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [models.CheckConstraint(condition=models.Q(id=1), name="one_metering_clock")]

    def __str__(self) -> str:
        return str(self.last_ms)


class MeteringRound(models.Model):
    """How far each kind of metering has read everything, by the key of its lease: months close after that."""

    key = models.CharField(max_length=64, primary_key=True)
    began_ms = models.BigIntegerField()
    """When the present round began."""
    through_ms = models.BigIntegerField(default=0)
    """When the last round began that was read to its end."""

    def __str__(self) -> str:
        return f"{self.key} {self.through_ms}"


class BilledResource(models.Model):
    """What is known of a thing that usage was booked on, also after it is gone: its tags as they were last seen."""

    team = models.ForeignKey("accounts.Team", on_delete=models.PROTECT, related_name="+")
    resource = models.CharField(max_length=200)
    tags = models.JSONField(default=dict)
    seen_at_ms = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["team", "resource"], name="one_row_per_billed_resource")
        ]

    def __str__(self) -> str:
        return self.resource


class PriceBook(models.Model):
    """Prices of a region from a day on; with a team: what differs for that team.

    A published book never changes. Books of the same region and team do not overlap; the default book of a region has no
    gaps from its first day on (price_book.py refuses both).
    """

    region = models.CharField(max_length=40)
    team = models.ForeignKey(
        "accounts.Team", null=True, blank=True, on_delete=models.PROTECT, related_name="price_books"
    )
    """Null: for everybody."""
    currency = models.CharField(max_length=3, default="USD")
    valid_from_ms = models.BigIntegerField()
    """A UTC midnight."""
    valid_to_ms = models.BigIntegerField(null=True, blank=True)
    """The UTC midnight at which it ends; null: until another one begins."""
    percent = models.CharField(max_length=12, default="0")
    """Of a team's book: added to every price of the default book that it does not name: "-10" is a discount, "15" a markup."""
    published_at_ms = models.BigIntegerField(null=True, blank=True)
    """Null: a draft, which prices nothing."""
    published_by = models.CharField(max_length=254, blank=True)
    note = models.CharField(max_length=500, blank=True)
    created_at_ms = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["region", "valid_from_ms"],
                condition=models.Q(published_at_ms__isnull=False, team__isnull=True),
                name="one_price_book_from_a_day",
            ),
            models.UniqueConstraint(
                fields=["region", "team", "valid_from_ms"],
                condition=models.Q(published_at_ms__isnull=False),
                name="one_price_book_of_a_team_from_a_day",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.region} from {self.valid_from_ms}"


class Price(models.Model):
    """The price of one dimension in a book."""

    book = models.ForeignKey(PriceBook, on_delete=models.CASCADE, related_name="prices")
    dimension = models.CharField(max_length=64)
    tiers = models.JSONField()
    """[[up_to, price], …]: how many units of sale a month (decimal text, the last one null) at what price for each. A free
    allowance is a first tier with the price "0"."""

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["book", "dimension"], name="one_price_per_book_and_dimension")
        ]

    def __str__(self) -> str:
        return f"{self.dimension} {self.tiers}"


class Bill(models.Model):
    """A closed month of a team. Never changed; drafts are reckoned anew each time and have no row (bills.py).

    It outlives its team, so it says itself whose it is.
    """

    team = models.ForeignKey("accounts.Team", null=True, on_delete=models.SET_NULL, related_name="bills")
    account_id = models.CharField(max_length=12)
    team_name = models.CharField(max_length=100)
    month = models.CharField(max_length=7)
    """As 2026-11, of UTC."""
    number = models.CharField(max_length=40, unique=True)
    """As TG-2026-11-123456789012: stable, so that closing anew after a crash makes the same one."""
    currency = models.CharField(max_length=3)
    usage_cents = models.BigIntegerField()
    credits_cents = models.BigIntegerField(default=0)
    """Not negative: what credits took off."""
    total_cents = models.BigIntegerField()
    closed_at_ms = models.BigIntegerField()
    usage_digest = models.CharField(max_length=64)
    """SHA-256 of the usage it was made of, so that anyone can check that it is still the same (checking.py)."""

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["team", "month"], name="one_bill_per_team_and_month"),
            models.CheckConstraint(
                condition=models.Q(total_cents=models.F("usage_cents") - models.F("credits_cents")), name="bill_adds_up"
            ),
        ]

    def __str__(self) -> str:
        return self.number


class BillLine(models.Model):
    """One line: a dimension at one price. amount_cents is rounded half-up from amount."""

    bill = models.ForeignKey(Bill, on_delete=models.CASCADE, related_name="lines")
    position = models.PositiveIntegerField()
    kind = models.CharField(max_length=10)
    """usage, correction, credit"""
    service = models.CharField(max_length=20)
    dimension = models.CharField(max_length=64, blank=True)
    title = models.CharField(max_length=200)
    metered = models.CharField(max_length=40, blank=True)
    """In the meter's unit: an exact integer, or a fraction where a tier cuts through it."""
    quantity = models.CharField(max_length=60)
    """Units of sale, decimal text with as many as 12 places."""
    unit = models.CharField(max_length=40)
    price = models.CharField(max_length=30)
    from_ms = models.BigIntegerField()
    to_ms = models.BigIntegerField()
    """The part of the month with this price."""
    amount = models.CharField(max_length=40)
    """Before rounding, 12 places."""
    amount_cents = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["bill", "position"], name="one_line_per_position")]

    def __str__(self) -> str:
        return f"{self.title} {self.amount_cents}"


class Credit(models.Model):
    """Money given to a team: it takes off bills, oldest credit first, until it is used up or expired. Never changed."""

    team = models.ForeignKey("accounts.Team", on_delete=models.PROTECT, related_name="credits")
    amount_cents = models.BigIntegerField()
    reason = models.CharField(max_length=200)
    from_month = models.CharField(max_length=7)
    to_month = models.CharField(max_length=7, blank=True)
    """The last month it is good for; empty: no end."""
    created_at_ms = models.BigIntegerField()
    created_by = models.CharField(max_length=254, blank=True)

    def __str__(self) -> str:
        return f"{self.amount_cents} {self.reason}"


class CreditUse(models.Model):
    """What a closed bill took of a credit."""

    credit = models.ForeignKey(Credit, on_delete=models.CASCADE, related_name="uses")
    bill = models.ForeignKey(Bill, on_delete=models.PROTECT, related_name="credit_uses")
    amount_cents = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["credit", "bill"], name="one_use_per_credit_and_bill")]

    def __str__(self) -> str:
        return f"{self.amount_cents} of {self.credit_id}"


class BudgetAction(models.TextChoices):
    """What happens when all of a budget is spent, where an owner switched it on."""

    NOTHING = "nothing", "Only tell"
    THROTTLE = "throttle", "Throttle: writes get a tenth of their throughput"
    PAUSE = "pause", "Pause: writes are refused until the month is over or the budget is raised"


class Budget(models.Model):
    """What a team wants to spend in a month."""

    team = models.ForeignKey("accounts.Team", on_delete=models.CASCADE, related_name="budgets")
    name = models.CharField(max_length=100)
    amount_cents = models.BigIntegerField()
    resource = models.CharField(max_length=200, blank=True)
    """Of one resource; empty: of all. Only a budget of all may throttle or pause."""
    thresholds = models.JSONField(default=list)
    """Percent of the amount, rising."""
    on_forecast = models.BooleanField(default=False)
    """Tell also when the forecast crosses a threshold."""
    emails = models.JSONField(default=list)
    webhook_sealed = models.TextField(blank=True)
    """The address, encrypted: it may carry a secret."""
    action = models.CharField(max_length=8, choices=BudgetAction.choices, default=BudgetAction.NOTHING)
    action_by = models.CharField(max_length=254, blank=True)
    """Who switched it on, by e-mail address."""
    action_at_ms = models.BigIntegerField(null=True, blank=True)
    """When. Null while it only tells."""
    created_at_ms = models.BigIntegerField()
    changed_at_ms = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["team", "name"], name="one_budget_per_team_and_name"),
            models.CheckConstraint(condition=models.Q(amount_cents__gt=0), name="budget_above_zero"),
        ]

    def __str__(self) -> str:
        return self.name


class BudgetAlert(models.Model):
    """A threshold that was crossed: told once a month each. A budget whose amount is changed tells anew.

    The row is written first, and told afterwards: a worker that dies in between, or after a mail and before its result is
    written down, tells once more. due_at_ms says when it is tried (again).
    """

    budget = models.ForeignKey(Budget, on_delete=models.CASCADE, related_name="alerts")
    month = models.CharField(max_length=7)
    threshold = models.PositiveIntegerField()
    forecast = models.BooleanField(default=False)
    spent_cents = models.BigIntegerField()
    amount_cents = models.BigIntegerField()
    at_ms = models.BigIntegerField()
    told = models.JSONField(default=dict)
    """Whom, and what came of it: {"ann@example.com": {"ok": true, "text": "Sent", "tries": 1}, "webhook": …}. A crossing that
    another alert of the same moment speaks of has nobody."""
    due_at_ms = models.BigIntegerField(null=True, blank=True)
    """Null: everybody was told, or given up."""
    attempts = models.PositiveIntegerField(default=0)

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["due_at_ms"], condition=models.Q(due_at_ms__isnull=False), name="budget_alerts_to_tell"
            )
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["budget", "month", "threshold", "forecast", "amount_cents"],
                name="one_alert_per_threshold_and_month",
            )
        ]

    def __str__(self) -> str:
        return f"{self.budget_id} {self.month} {self.threshold} %"


class SpendingHold(models.Model):
    """A team whose writes are throttled or refused because its budget is spent. No row: none. Streams look here."""

    team = models.OneToOneField(
        "accounts.Team", on_delete=models.CASCADE, related_name="spending_hold", primary_key=True
    )
    action = models.CharField(max_length=8, choices=BudgetAction.choices)
    budget = models.ForeignKey(Budget, on_delete=models.CASCADE, related_name="+")
    since_ms = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.team_id} {self.action}"
