"""Requests made up from the OpenAPI document, good and bad: what the API answers is what its document says.

Every day the same few; `make fuzz-api` goes on for ten minutes with others each time. Within one process, with a token of every
scope in a team of its own; half of the names in addresses are of things that are there, half of the bodies the document's.
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

from console import calls
from console.api import rates
from console.api.document import document
from tests.api.conftest import api_of
from tests.api.things_there import Things
from tests.console.conftest import (
    settle,
    unhurried,  # noqa: F401 - a fixture
)

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

KNOWN = st.sets(st.sampled_from(["places", "body", "headers"]))
"""What of a request is as somebody would send it who knows what is there: addresses that name it, the document's example of
a body, no conditions."""


@pytest.fixture
def there(team, served, monkeypatch):
    """A team with one of everything, that takes as many requests as come; its owner runs the installation."""
    monkeypatch.setattr(calls, "wait_until_active", lambda *_: settle(served))
    monkeypatch.setattr(rates, "BURST", 10_000_000)
    monkeypatch.setattr(rates, "PER_S", 10_000_000)
    return Things(served, team, api_of(team.user, team.team))


def operations():
    load_all_checks()
    told = {**document(), "servers": [{"url": "http://localhost/"}]}
    schema = schemathesis.openapi.from_dict(told)
    schema.app = get_wsgi_application()
    return [found.ok() for found in schema.get_all_operations()]


def ask(operation, mode, examples, there, *, derandomize=False):
    """So many requests of one operation, each answer held against the document."""
    places = [one.name for one in operation.iter_parameters() if one.location == "path"]
    values = {name: found for name in places if (found := there.values(operation.path, name))}
    told = operation.definition.raw.get("requestBody", {}).get("content", {}).get("application/json", {})

    @given(case=operation.as_strategy(generation_mode=mode), known=KNOWN, which=st.integers(0, 9))
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=derandomize,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    def once(case, known, which):
        if "places" in known:
            case.path_parameters |= {name: found[which % len(found)] for name, found in values.items()}
        if "body" in known and "example" in told and mode is GenerationMode.POSITIVE:
            case.body = told["example"]
        if "headers" in known:
            case.headers.clear()
        response = case.call(headers={"Authorization": f"Bearer {there.api.token}", "Accept-Encoding": "identity"})
        SEEN[operation.label, response.status_code] += 1
        assert response.status_code != 500, case.as_curl_command()  # 503 is documented: there is no Redis here
        case.validate_response(response, checks=CHECKS.get_by_names(CHECKED))

    once()


def test_what_is_answered_stands_in_the_document(there):
    for operation in operations()[::EVERYDAY_STEP]:
        for mode in GenerationMode:
            ask(operation, mode, 1, there, derandomize=True)


@pytest.mark.torture
def test_for_minutes(there):
    found, end = operations(), time.monotonic() + FUZZ_S
    failures, rounds = {}, 0
    while time.monotonic() < end:
        rounds += 1
        random.shuffle(found)
        for operation in found:
            for mode in GenerationMode:
                try:
                    ask(operation, mode, ROUND_EXAMPLES, there)
                except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001 - all are told at the end
                    failures.setdefault((operation.label, mode.value), str(error))
            there.renew()
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
