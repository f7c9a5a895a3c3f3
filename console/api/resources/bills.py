"""Bills: what a month costs, as a draft while it runs and closed for good afterwards; their files, and a check of them."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.conf import settings
from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from apps.billing import bills, checking
from apps.billing.bills import LineKind, State, Statement
from apps.billing.exports import csv, focus, json
from apps.billing.exports.cells import money
from apps.billing.models import Bill
from apps.billing.months import BadMonth, Month
from console import calls, downloads
from console.api.paging import page_of, whole
from console.api.request import ApiRequest
from console.api.view import ApiView

TAG: Final = "Bills"
CENTS: Final = r"^-?[0-9]+\.[0-9]{2}$"
DECIMAL: Final = r"^-?[0-9]+(\.[0-9]+)?$"

Json = dict[str, Any]


class BillSerializer(serializers.Serializer[Any]):
    """A month in money."""

    number = serializers.CharField(help_text="Stable: a draft has the one that its bill will have.")
    month = serializers.RegexField(r"^[0-9]{4}-[0-9]{2}$", help_text="Of UTC.")
    state = serializers.ChoiceField([str(one) for one in State], help_text="closed: it never changes.")
    currency = serializers.CharField()
    usage = serializers.RegexField(CENTS, help_text="Usage and corrections.")
    credits = serializers.RegexField(CENTS, help_text="What credits take off; not negative.")
    total = serializers.RegexField(CENTS)
    closed_at_ms = serializers.IntegerField(allow_null=True)
    problems = serializers.ListField(
        child=serializers.CharField(), help_text="Of a draft: what is not in the total, as sentences."
    )


class BillLineSerializer(serializers.Serializer[Any]):
    """A line of a bill."""

    kind = serializers.ChoiceField([str(one) for one in LineKind])
    service = serializers.CharField(allow_null=True)
    dimension = serializers.CharField(allow_null=True, help_text="As in the prices; null: a credit.")
    title = serializers.CharField()
    metered = serializers.RegexField(DECIMAL, allow_null=True, help_text="In the meter's unit.")
    quantity = serializers.RegexField(DECIMAL, allow_null=True, help_text="In units of sale, 12 places at most.")
    unit = serializers.CharField(allow_null=True)
    unit_price = serializers.RegexField(DECIMAL, allow_null=True)
    from_ms = serializers.IntegerField(help_text="Begin of the days with this price.")
    to_ms = serializers.IntegerField(help_text="Their end, not in it.")
    amount = serializers.RegexField(DECIMAL, help_text="Before rounding, 12 places at most.")
    billed = serializers.RegexField(CENTS, help_text="Rounded half-up to the cent: what the total is the sum of.")


class BillWithLinesSerializer(BillSerializer):
    """A bill with what it is made of."""

    account_id = serializers.CharField()
    as_of_ms = serializers.IntegerField(help_text="When a draft was reckoned.")
    usage_digest = serializers.CharField(allow_null=True, help_text="SHA-256 of the usage of a closed one.")
    lines = BillLineSerializer(many=True)


class CheckedBillSerializer(serializers.Serializer[Any]):
    """A closed bill, reckoned anew."""

    number = serializers.CharField()
    agrees = serializers.BooleanField(help_text="Every line, the sums, the total and the digest are the same.")
    findings = serializers.ListField(child=serializers.CharField(), help_text="What is not, as sentences.")


class Bills(ApiView):
    """All months."""

    tag = TAG
    needs: ClassVar = {"GET": "billing:read"}
    names: ClassVar = {"GET": "listBills"}

    @extend_schema(responses=page_of(BillSerializer))
    def get(self, request: ApiRequest) -> Response:
        """Every month with usage, the newest first: the one that runs as a draft. All are told at once."""
        self.query(request, serializers.Serializer)
        now_ms = calls.now_ms()
        closed = {row.month: row for row in Bill.objects.filter(team=request.team)}
        items = []
        for month in bills.months(request.team):
            row = closed.get(str(month))
            made = bills.statement(request.team, settings.CONFIG.region, month, now_ms) if row is None else None
            items.append(_shown(made) if made is not None else _row_shown(closed[str(month)]))
        return Response(whole(items))


class OneBill(ApiView):
    """One month."""

    tag = TAG
    needs: ClassVar = {"GET": "billing:read"}
    names: ClassVar = {"GET": "getBill"}

    @extend_schema(responses=BillWithLinesSerializer)
    def get(self, request: ApiRequest, month: str) -> Response:
        """A month with its lines. Amounts are texts of digits; `billed` of all lines adds up to the total."""
        return Response(with_lines(statement_of(request, month)))


class BillCsv(ApiView):
    """Its lines as a file."""

    tag = TAG
    needs: ClassVar = {"GET": "billing:read"}
    names: ClassVar = {"GET": "downloadBillCsv"}

    @extend_schema(responses={(200, "text/csv"): OpenApiTypes.STR})
    def get(self, request: ApiRequest, month: str) -> Any:
        """The lines of a month as CSV, with a header. Columns are never renamed or moved."""
        made = statement_of(request, month)
        return downloads.download(request, csv.statement(made), f"{made.number}.csv", downloads.CSV)


class BillFocus(ApiView):
    """The same for cost tools."""

    tag = TAG
    needs: ClassVar = {"GET": "billing:read"}
    names: ClassVar = {"GET": "downloadBillFocus"}

    @extend_schema(responses={(200, "text/csv"): OpenApiTypes.STR})
    def get(self, request: ApiRequest, month: str) -> Any:
        """A month by day, resource and price in the columns of FOCUS 1.2, the FinOps Foundation's, as CSV.

        `BilledCost` of all rows adds up to the bill's total.
        """
        made = statement_of(request, month)
        pieces = focus.file(made, settings.CONFIG.region)
        return downloads.download(request, pieces, f"{made.number}-focus.csv", downloads.CSV)


class BillCheck(ApiView):
    """Is it right?"""

    tag = TAG
    needs: ClassVar = {"GET": "billing:read"}
    names: ClassVar = {"GET": "checkBill"}

    @extend_schema(responses=CheckedBillSerializer)
    def get(self, request: ApiRequest, month: str) -> Response:
        """Reckon a closed bill anew from the ledger and the prices of then, and compare. 404 for a draft."""
        row = Bill.objects.filter(team=request.team, month=str(month_named(month))).first()
        if row is None:
            raise Http404
        found = checking.check(row, settings.CONFIG.region)
        return Response({"number": found.number, "agrees": found.agrees, "findings": list(found.findings)})


def statement_of(request: ApiRequest, month: str) -> Statement:
    """Of the token's team. Raises Http404."""
    return bills.statement(request.team, settings.CONFIG.region, month_named(month), calls.now_ms())


def with_lines(made: Statement) -> Json:
    """As BillWithLinesSerializer has it."""
    lines = [
        _without(json.line_document(line), "from", "to") | {"from_ms": line.from_ms, "to_ms": line.to_ms}
        for line in made.lines
    ]
    more = {"account_id": made.account_id, "as_of_ms": made.as_of_ms, "usage_digest": made.usage_digest or None}
    return _shown(made) | more | {"lines": lines}


def month_named(name: str) -> Month:
    """One that has begun. Raises Http404."""
    try:
        month = Month.named(name)
    except BadMonth:
        raise Http404 from None
    if month.start_ms > calls.now_ms():
        raise Http404
    return month


def _shown(made: Statement) -> Json:
    told = json.document(made)
    names = ("number", "state", "month", "currency", "usage", "credits", "total", "problems")
    return {name: told[name] for name in names} | {"closed_at_ms": made.closed_at_ms}


def _row_shown(row: Bill) -> Json:
    return _shown(bills.of_bill(row, ())) | {
        "usage": money(row.usage_cents),
        "credits": money(row.credits_cents),
        "total": money(row.total_cents),
    }


def _without(told: Json, *names: str) -> Json:
    return {name: value for name, value in told.items() if name not in names}
