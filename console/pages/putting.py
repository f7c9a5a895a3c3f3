"""Send test records: made-up orders, text of one's own, or a record put once more."""

from __future__ import annotations

import base64
import binascii
import json
import random
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from apps.accounts.permissions import allowed
from apps.base.errors import ServiceError
from apps.streams.operations.shards import shown
from console import calls
from console.pages import record_views, words
from console.pages.records import one
from console.pages.shell import TeamRequest, team_page
from console.pages.stream import find, frame

COUNT_MAX = 500
"""One PutRecords call."""

FIELDS = {"PartitionKey": "key", "Data": "content", "Records": "content", "InvalidArgumentException": "content"}
EVENTS = ("order.placed", "order.paid", "order.shipped", "order.refunded")
CURRENCIES = ("EUR", "USD", "GBP")


class PutForm(forms.Form):
    """What to put."""

    kind = forms.ChoiceField(
        choices=[("sample", "Sample orders"), ("text", "Text"), ("base64", "Base64")], initial="sample"
    )
    key = forms.CharField(max_length=256, required=False, strip=False)
    content = forms.CharField(required=False, strip=False, widget=forms.Textarea)
    count = forms.IntegerField(min_value=1, max_value=COUNT_MAX, initial=20)

    def clean_content(self) -> str:
        """Base64 that is base64; browsers send line ends as CR LF, which nobody typed."""
        text = self.cleaned_data["content"].replace("\r\n", "\n")
        if self.cleaned_data.get("kind") == "base64":
            try:
                base64.b64decode("".join(text.split()), validate=True)
            except (ValueError, binascii.Error):
                raise forms.ValidationError("This is not base64.") from None
        return text

    def records(self) -> list[dict[str, Any]]:
        """PutRecords' entries. Without a key each record gets one of its own, so that they spread over the shards."""
        given = self.cleaned_data
        if given["kind"] == "sample":
            return sample_orders(given["count"], given["key"])
        data = (
            given["content"].encode()
            if given["kind"] == "text"
            else base64.b64decode("".join(given["content"].split()))
        )
        return [{"PartitionKey": given["key"] or f"key-{random_key()}", "Data": data} for _ in range(given["count"])]


def random_key() -> int:
    """Five digits."""
    return random.randrange(10_000, 100_000)  # noqa: S311 - test data, not a secret


def sample_orders(count: int, key: str = "") -> list[dict[str, Any]]:
    """Made-up orders as JSON; keys repeat, as customers do."""
    chance = random.Random()  # noqa: S311 - as above
    records = []
    for _ in range(count):
        customer = key or f"cust-{chance.randrange(10_000, 10_400)}"
        order = {
            "event": chance.choices(EVENTS, (6, 5, 3, 1))[0],
            "order_id": f"ord_{chance.randrange(36**6):06X}",
            "customer": customer,
            "total": round(chance.uniform(4, 400), 2),
            "currency": chance.choice(CURRENCIES),
            "items": chance.randrange(1, 9),
        }
        records.append({"PartitionKey": customer, "Data": json.dumps(order).encode()})
    return records


@team_page("record:write")
def put(request: TeamRequest, name: str) -> HttpResponse:
    """The form; POST puts the records in one PutRecords call."""
    stream = find(request, name)
    form = PutForm(request.POST or None, initial=_again(request, stream))
    if request.method == "POST" and form.is_valid():
        records = form.records()
        try:
            answer = calls.call(request, "PutRecords", StreamName=name, Records=records)
        except ServiceError as error:
            calls.put_error(form, error, FIELDS)
        else:
            _tell(request, len(records), answer)
            where = "stream-records" if allowed(request.actions, "record:read") else "stream"
            return redirect(where, request.team.slug, name)
    context = {**frame(request, stream, "stream-records"), "form": form, "count_max": COUNT_MAX}
    return render(request, "records/put.html", context, status=422 if request.method == "POST" else 200)


def _tell(request: TeamRequest, count: int, answer: dict[str, Any]) -> None:
    failed = answer["FailedRecordCount"]
    if failed:
        text = next(entry["ErrorMessage"] for entry in answer["Records"] if entry.get("ErrorMessage"))
        messages.error(request, f"{words.plural(failed, 'record')} of {count} refused: {text}")
    if count > failed:
        messages.success(request, f"{words.plural(count - failed, 'record')} stored")


def _again(request: TeamRequest, stream: Any) -> dict[str, Any]:
    """The form filled with a record of this stream, for people who may read it."""
    address = request.GET.get("again", "")
    if not address or not allowed(request.actions, "record:read"):
        return {}
    try:
        found = one(request, stream, list(shown(stream, calls.now_ms())), address)
    except ServiceError:
        return {}
    if found is None:
        return {}
    text = record_views.text_of(found.data)
    if text is None or text != record_views.visible(text):
        return {"kind": "base64", "key": found.key, "content": base64.b64encode(found.data).decode(), "count": 1}
    return {"kind": "text", "key": found.key, "content": text, "count": 1}
