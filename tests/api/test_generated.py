"""Requests made up from the OpenAPI document, good and bad: what the API answers is what its document says.

Every day the same few; `make fuzz-api` goes on for ten minutes with others each time. Within one process, with a token of every
scope in a team of its own; half of the names in addresses are of things that are there.
"""

import os
import random
import time
from collections import Counter

import pytest
import schemathesis
from django.core.wsgi import get_wsgi_application
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from apps.billing import flags
from apps.billing.models import BillingFlag, Credit, FlagKind, PriceBook
from console import calls
from console.api import rates
from console.api.document import document
from tests.api.conftest import api_of
from tests.console.conftest import (
    make_stream,
    settle,
    unhurried,  # noqa: F401 - a fixture
)
from tests.support.delivery_rows import make_delivery
from tests.support.operators import make_operator

pytestmark = [
    pytest.mark.usefixtures("unhurried"),
    pytest.mark.django_db(transaction=True),  # the data plane and the key service are asked from other threads
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of the libraries that make requests up
]

CHECKED = (
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
FUZZ_S = float(os.environ.get("FUZZ_S", "600"))
"""How long `make fuzz-api` goes on."""

EVERYDAY_STEP = 9
"""The everyday test asks each ninth operation."""

ROUND_EXAMPLES = 4
"""Of each operation and mode, before the next one has its turn."""

SEEN = Counter()
"""Answers by operation and status, for the report."""

THERE = {
    "name": ["orders", "clicks", "ticker"],
    "shard": ["0", "shardId-000000000001"],
    "consumer": ["app"],
    "queue": ["work"],
    "key": ["team"],
    "job": [1],
    "number": [1],
    "part": ["destination"],
    "dashboard": ["late"],
    "alarm": ["late"],
    "month": ["2026-11", "2026-10"],
    "team": ["first"],
}
"""Values of places that name something: half of the requests have them."""


@pytest.fixture
def world(team, served, monkeypatch):
    """A team with a little of everything, that takes as many requests as come; its owner runs the installation."""
    make_operator(team)
    monkeypatch.setattr(calls, "wait_until_active", lambda *_: settle(served))
    monkeypatch.setattr(rates, "BURST", 10_000_000)
    monkeypatch.setattr(rates, "PER_S", 10_000_000)
    api = api_of(team.user, team.team)
    make_delivery(team)
    renew(served, team, api)
    return served, team, api


def renew(served, team, api):
    """What earlier requests may have taken away is there again."""
    settle(served)
    for name, shards in (("orders", 2), ("clicks", 0)):
        if api.get(f"/streams/{name}").status_code == 404:
            make_stream(served, team, name, shards, Tags={"team": "shop"})
    api.post("/streams/orders/consumers", {"name": "app"})
    api.post("/queues", {"name": "work", "stream": "clicks"})
    things = {"credit": Credit, "flag": BillingFlag, "book": PriceBook}
    api.post("/operator/credits", {"team": team.team.slug, "amount": "5", "reason": "Trial", "from_month": "2026-11"})
    api.post("/operator/price-books", {"team": team.team.slug})
    flags.raise_flag(team.team.pk, FlagKind.LATE, "stream/orders", "Late", 1)
    THERE.update({place: list(model.objects.values_list("pk", flat=True)[:3]) for place, model in things.items()})
    api.post("/streams/orders/records", {"records": [{"partition_key": "a", "data": "x"}]})
    settle(served)


def operations():
    load_all_checks()
    told = {**document(), "servers": [{"url": "http://localhost/"}]}
    schema = schemathesis.openapi.from_dict(told)
    schema.app = get_wsgi_application()
    return [found.ok() for found in schema.get_all_operations()]


def ask(operation, mode, examples, token, *, derandomize=False):
    """So many requests of one operation, each answer held against the document."""
    places = [one.name for one in operation.iter_parameters() if one.location == "path" and one.name in THERE]

    @given(case=operation.as_strategy(generation_mode=mode), there=st.booleans(), which=st.integers(0, 9))
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=derandomize,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    def once(case, there, which):
        for name in places if there else ():
            case.path_parameters[name] = THERE[name][which % len(THERE[name])]
        response = case.call(headers={"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"})
        SEEN[operation.label, response.status_code] += 1
        assert response.status_code != 500, case.as_curl_command()  # 503 is documented: there is no Redis here
        case.validate_response(response, checks=CHECKS.get_by_names(CHECKED))

    once()


def test_what_is_answered_stands_in_the_document(world):
    _, _, api = world
    for operation in operations()[::EVERYDAY_STEP]:
        for mode in GenerationMode:
            ask(operation, mode, 1, api.token, derandomize=True)


@pytest.mark.torture
def test_for_minutes(world):
    served, team, api = world
    found, end = operations(), time.monotonic() + FUZZ_S
    failures, rounds = {}, 0
    while time.monotonic() < end:
        rounds += 1
        random.shuffle(found)
        for operation in found:
            for mode in GenerationMode:
                try:
                    ask(operation, mode, ROUND_EXAMPLES, api.token)
                except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001 - all are told at the end
                    failures.setdefault((operation.label, mode.value), str(error))
            renew(served, team, api)
            if time.monotonic() >= end:
                break
    for (label, mode), text in failures.items():
        print(f"\n=== {label}, {mode}\n{text[:3000]}")
    by_status = Counter()
    for (_, status), count in SEEN.items():
        by_status[status] += count
    done = {label for label, status in SEEN if status < 300}
    print(
        f"{rounds} rounds, {by_status.total()} requests, {dict(by_status)}; never done: {sorted({one.label for one in found} - done)}"
    )
    assert not failures
