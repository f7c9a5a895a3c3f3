"""One of everything that addresses of the REST API can name, with hostile text where people write: for requests that are
made up. What earlier requests took away is there again after renew()."""

from apps.access.models import AuditEntry
from apps.accounts import keys, tokens
from apps.accounts.models import AccessKey, AccessRequest, ApiToken, Invitation, Membership, TeamRole, User
from apps.accounts.roles import Role
from apps.base.units import DAY_MS
from apps.billing import closing, flags
from apps.billing.models import Bill, BillingFlag, Budget, Credit, FlagKind, PriceBook, SpendingHold
from apps.cloudwatch.models import Alarm, Dashboard
from apps.delivery.models import DeliveredObject, DeliveryJob, DeliveryStream
from apps.streams.models import Ingestion, Stream
from tests.console.conftest import make_stream, settle
from tests.support import hostile_rows
from tests.support.delivery_rows import make_delivery, s3_description
from tests.support.operators import NOVEMBER, REGION, make_operator
from tests.support.runtimes import run_due

NEWEST = 3
"""So many of each kind are named."""

BODY = {"widgets": [{"type": "text", "width": 6, "properties": {"markdown": "# Late"}}]}
SERIES = [{"stream": "orders", "metric": "IncomingBytes", "statistic": "Sum"}]
ALARM = {"series": SERIES, "comparison": "GreaterThanThreshold", "threshold": 5, "evaluation_periods": 1}


class Things:
    """Of a team whose owner runs the installation."""

    def __init__(self, served, team, api):
        """api: the owner's, with every scope; its token is never named."""
        self.served, self.team, self.api = served, make_operator(team).team, api
        self.owner = Membership.objects.get(team=self.team, user=team.user)
        self.own_token = ApiToken.objects.get(membership=self.owner).pk
        self.principal_of, self.sequence = team, "7"
        self.now_ms = served.clock.now_ms()
        make_stream(served, team, "orders", 2)
        row = make_delivery(team)
        hostile_rows.write(self.owner, Stream.objects.get(name="orders"), row, self.now_ms)
        closing.close(self.team, REGION, NOVEMBER.previous, NOVEMBER.previous.end_ms + DAY_MS)
        self.renew()

    def renew(self):
        """What earlier requests may have taken away is there again."""
        settle(self.served)
        run_due(self.served, "delivery-streams", "delivery")
        self._streams()
        self._deliveries()
        self._people()
        self._money()
        settle(self.served)

    def _streams(self):
        for name, shards in (("orders", 2), ("clicks", 0)):
            if not Stream.objects.filter(name=name).exists():
                make_stream(self.served, self.principal_of, name, shards, Tags={"team": "shop"})
        self.api.post("/streams/orders/consumers", {"name": "app"})
        self.api.post("/queues", {"name": "work", "stream": "clicks"})
        put = self.api.post("/streams/orders/records", {"records": [{"partition_key": "a", "data": "x"}]})
        if put.status_code == 200:
            self.sequence = put.json()["items"][0]["sequence_number"]
        if not Ingestion.objects.filter(status="WAITING").exists():
            source = {"file": "x", "name": "x", "key": "", "key_field": 0}
            Ingestion.objects.create(
                team=self.team, kind="import", target_name="orders", created_at_ms=self.now_ms, source=source
            )
        if not Dashboard.objects.filter(name="late").exists():
            self.api.put("/dashboards/late", {"body": BODY})
        if not Alarm.objects.filter(name="late").exists():
            self.api.put("/alarms/late", ALARM)

    def _deliveries(self):
        found = DeliveryStream.objects.filter(team=self.team)
        found.filter(name="ticker").update(status="ACTIVE", failure={})
        row = found.filter(name="ticker").first() or make_delivery(self.principal_of)
        if not found.filter(channel_id="1").exists():
            extra = {
                "S3DestinationConfiguration": {"BucketARN": "b"},
                "RecordConfiguration": {"RecordFormatType": "JSON"},
            }
            make_delivery(
                self.principal_of, "channel", channel_id="1", source_type="Channel", extra=extra,
                source_stream=Stream.objects.get(name="orders"), destination=s3_description(Channel={}),
            )  # fmt: skip
        if not row.jobs.filter(status="WAITING").exists():
            DeliveryJob.objects.create(delivery_stream=row, kind="demo", created_at_ms=self.now_ms)
        if not DeliveredObject.objects.filter(delivery_stream=row).exists():
            DeliveredObject.objects.create(
                delivery_stream=row, part="destination", bucket="events", key="a", size_bytes=1, records=1,
                at_ms=self.now_ms,
            )  # fmt: skip
        given = {"endpoint_url": "https://s3.example", "access_key_id": "AKID", "secret": "secret"}
        self.api.put("/delivery-streams/ticker/connections/s3", given)

    def _people(self):
        ann = Membership.objects.filter(team=self.team).exclude(pk=self.owner.pk).first()
        if ann is None:
            user, _ = User.objects.get_or_create(email="ann@example.test")
            ann = Membership.objects.create(team=self.team, user=user, role=Role.VIEWER, created_at_ms=1)
        AccessRequest.objects.get_or_create(
            membership=ann, action="team:write", decided_at_ms=None, defaults={"created_at_ms": self.now_ms}
        )
        if not TeamRole.objects.filter(team=self.team).exists():
            self.api.post("/roles", {"name": "On call", "actions": ["stream:read"]})
        if not Invitation.objects.filter(accepted_at_ms=None, revoked_at_ms=None).exists():
            self.api.post("/invitations", {"email": "ben@example.test", "role": "viewer"})
        if AccessKey.objects.count() < NEWEST:
            keys.create(self.team, None, "spare", self.now_ms)
        if not ApiToken.objects.exclude(pk=self.own_token).exists():
            tokens.create(self.owner, "spare", ["stream:read"], None, self.now_ms)

    def _money(self):
        SpendingHold.objects.all().delete()  # it would refuse everything else
        if not Budget.objects.exists():
            self.api.post("/budgets", {"name": "Production", "amount_cents": 10_000, "thresholds": [50]})
        if not Credit.objects.exists():
            given = {"team": self.team.slug, "amount": "5", "reason": "Trial", "from_month": str(NOVEMBER)}
            self.api.post("/operator/credits", given)
        self.api.post("/operator/price-books", {"team": self.team.slug})  # one draft, if there is none
        flags.raise_flag(self.team.pk, FlagKind.LATE, "stream/orders", "Late", 1)

    def values(self, path, place):
        """What may stand in an address at a place: values that name something; none if there is nothing to know."""
        delivery = "/delivery-streams/" in path
        match place:
            case "name":
                return ["ticker"] if delivery else ["orders", "clicks"]
            case "key":
                return _newest(AccessKey.objects, "key_id") if "/access-keys/" in path else ["team"]
            case "job":
                return _newest(DeliveryJob.objects if delivery else Ingestion.objects)
            case "number":
                return _newest(DeliveredObject.objects) if delivery else _newest(Bill.objects, "number")
            case "sequence":
                return [self.sequence]
            case "token":
                return _newest(ApiToken.objects.exclude(pk=self.own_token), "public_id")
            case "member":
                return _newest(Membership.objects.exclude(pk=self.owner.pk))
            case "role":
                return [*(f"own:{pk}" for pk in _newest(TeamRole.objects)), Role.VIEWER]
        model = ROWS.get(place)
        return _newest(model.objects) if model else NAMES.get(place, [])


NAMES = {
    "shard": ["0", "shardId-000000000001"],
    "consumer": ["app"],
    "queue": ["work"],
    "channel": ["1"],
    "part": ["s3"],
    "dashboard": ["late"],
    "alarm": ["late"],
    "month": ["2026-11", "2026-10"],
    "team": ["first"],
}
ROWS = {
    "credit": Credit, "flag": BillingFlag, "book": PriceBook, "budget": Budget, "invitation": Invitation,
    "access_request": AccessRequest, "entry": AuditEntry,
}  # fmt: skip


def _newest(rows, field="pk"):
    return list(rows.order_by("-pk").values_list(field, flat=True)[:NEWEST])
