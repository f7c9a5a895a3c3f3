"""Every address of the REST API and every method of it: exactly those whose token may, may.

What each needs is written down here and not asked of the views; an address or a method without an entry fails.
"""

import re

import pytest
from django.http import HttpResponse
from django.urls import URLPattern, reverse

from apps.accounts.models import Membership, TeamRole, User
from apps.accounts.permissions import ACTIONS, actions_of
from apps.accounts.roles import OWN_ROLE, Role
from apps.streams.models import Ingestion
from console.api import urls
from tests.api.conftest import Api, api_of
from tests.console.conftest import make_stream, other_team
from tests.support.delivery_rows import make_delivery
from tests.support.grid import GRID, may

EXPECTED = {
    "api-delivery-streams": {"GET": "delivery:read", "POST": "delivery:create"},
    "api-delivery-dry-runs": {"POST": "delivery:create"},
    "api-delivery-stream": {"DELETE": "delivery:delete", "GET": "delivery:read", "PATCH": "delivery:write"},
    "api-delivery-pause": {"POST": "delivery:write"},
    "api-delivery-resume": {"POST": "delivery:write"},
    "api-delivery-tags": {"GET": "delivery:read", "PUT": "delivery:write"},
    "api-delivery-encryption": {"DELETE": "delivery:write", "GET": "delivery:read", "PUT": "delivery:write"},
    "api-delivery-connection": {"DELETE": "delivery:write", "GET": "delivery:read", "PUT": "delivery:write"},
    "api-delivery-errors": {"GET": "delivery:read"},
    "api-delivery-objects": {"GET": "record:read"},
    "api-delivery-object": {"GET": "record:read"},
    "api-delivery-object-data": {"GET": "record:read"},
    "api-delivery-lanes": {"GET": "delivery:read"},
    "api-delivery-records": {"POST": "record:write"},
    "api-delivery-jobs": {"GET": "delivery:read"},
    "api-delivery-job": {"GET": "delivery:read"},
    "api-delivery-job-cancel": {"POST": "delivery:write"},
    "api-delivery-redrives": {"POST": "delivery:write"},
    "api-delivery-demo-data": {"POST": "record:write"},
    "api-channels": {"GET": "delivery:read"},
    "api-channel": {"GET": "delivery:read"},
    "api-metrics-query": {"POST": "alarm:read"},
    "api-metric-names": {"GET": "alarm:read"},
    "api-dashboards": {"GET": "alarm:read"},
    "api-dashboard": {"DELETE": "alarm:write", "GET": "alarm:read", "PUT": "alarm:write"},
    "api-alarms": {"GET": "alarm:read"},
    "api-alarm": {"DELETE": "alarm:write", "GET": "alarm:read", "PATCH": "alarm:write", "PUT": "alarm:write"},
    "api-alarm-history": {"GET": "alarm:read"},
    "api-alarm-tests": {"POST": "alarm:write"},
    "api-alarm-previews": {"POST": "alarm:write"},
    "api-alarm-suggestions": {"GET": "alarm:read"},
    "api-streams": {"GET": "stream:read", "POST": "stream:create"},
    "api-stream": {"DELETE": "stream:delete", "GET": "stream:read", "PATCH": "stream:write"},
    "api-stream-tags": {"GET": "stream:read", "PUT": "stream:write"},
    "api-stream-tag": {"DELETE": "stream:write"},
    "api-stream-policy": {"DELETE": "stream:write", "GET": "stream:read", "PUT": "stream:write"},
    "api-shards": {"GET": "stream:read", "PATCH": "stream:reshard"},
    "api-shards-merge": {"POST": "stream:reshard"},
    "api-shard": {"GET": "stream:read"},
    "api-shard-split": {"POST": "stream:reshard"},
    "api-consumers": {"GET": "stream:read", "POST": "stream:write"},
    "api-consumer": {"DELETE": "stream:write", "GET": "stream:read"},
    "api-records": {"GET": "record:read", "POST": "record:write"},
    "api-record": {"GET": "record:read"},
    "api-queues": {"GET": "stream:read", "POST": "stream:write"},
    "api-queue": {"DELETE": "stream:write", "GET": "stream:read", "PATCH": "stream:write"},
    "api-ingestion": {"GET": "stream:read"},
    "api-ingestion-replays": {"POST": "record:write"},
    "api-ingestion-imports": {"POST": "record:write"},
    "api-ingestion-job": {"GET": "stream:read"},
    "api-ingestion-cancel": {"POST": "record:write"},
    "api-me": {"GET": ""},
    "api-team": {"GET": "team:read", "PATCH": "team:write"},
    "api-quotas": {"GET": "team:read"},
    "api-usage": {"GET": "billing:read"},
    "api-meters": {"GET": "billing:read"},
    "api-budgets": {"GET": "billing:read", "POST": "billing:write"},
    "api-budget": {"DELETE": "billing:write", "GET": "billing:read", "PATCH": "billing:write"},
    "api-budget-standing": {"GET": "billing:read"},
    "api-budget-alerts": {"GET": "billing:read"},
    "api-budget-tests": {"POST": "billing:write"},
    "api-bills": {"GET": "billing:read"},
    "api-bill": {"GET": "billing:read"},
    "api-bill-csv": {"GET": "billing:read"},
    "api-bill-focus": {"GET": "billing:read"},
    "api-bill-check": {"GET": "billing:read"},
    "api-credits": {"GET": "billing:read"},
    "api-billing-flags": {"GET": "billing:read"},
    "api-corrections": {"GET": "billing:read"},
    "api-operator-corrections": {"GET": "billing:read", "POST": "billing:write"},
    "api-operator-flags": {"GET": "billing:read"},
    "api-operator-flag": {"GET": "billing:read"},
    "api-operator-flag-acknowledge": {"POST": "billing:write"},
    "api-operator-credits": {"GET": "billing:read", "POST": "billing:write"},
    "api-operator-credit": {"DELETE": "billing:write", "GET": "billing:read"},
    "api-price-books": {"GET": "billing:read", "POST": "billing:write"},
    "api-price-book": {"DELETE": "billing:write", "GET": "billing:read", "PATCH": "billing:write"},
    "api-price-book-preview": {"GET": "billing:read"},
    "api-price-book-publish": {"POST": "billing:write"},
    "api-price-book-withdraw": {"POST": "billing:write"},
    "api-showback": {"GET": "billing:read"},
    "api-team-bill": {"GET": "billing:read"},
    "api-numbered-bill": {"GET": "billing:read"},
    "api-costs": {"GET": "billing:read"},
    "api-costs-daily": {"GET": "billing:read"},
    "api-costs-forecast": {"GET": "billing:read"},
    "api-prices": {"GET": "billing:read"},
    "api-estimates": {"POST": "billing:read"},
    "api-members": {"GET": "member:read"},
    "api-member": {"DELETE": "member:write", "GET": "member:read", "PATCH": "member:write"},
    "api-access-requests": {"GET": "member:read", "POST": ""},
    "api-access-grant": {"POST": "member:write"},
    "api-access-refuse": {"POST": "member:write"},
    "api-roles": {"GET": "member:read", "POST": "member:write"},
    "api-role": {"DELETE": "member:write", "GET": "member:read", "PUT": "member:write"},
    "api-invitations": {"GET": "member:read", "POST": "member:write"},
    "api-invitation": {"DELETE": "member:write", "GET": "member:read"},
    "api-invitation-resend": {"POST": "member:write"},
    "api-access-keys": {"GET": "key:read", "POST": "key:write"},
    "api-access-key": {"DELETE": "key:write", "GET": "key:read", "PATCH": "key:write"},
    "api-access-key-rotate": {"POST": "key:write"},
    "api-access-key-cancel-rotation": {"POST": "key:write"},
    "api-tokens": {"GET": "", "POST": "token:write"},
    "api-token": {"DELETE": "", "GET": ""},
    "api-audit": {"GET": "audit:read"},
    "api-audit-entry": {"GET": "audit:read"},
}
"""Name of the address to method to action."""

PLACES = {
    "shard": "0000", "sequence": "7", "consumer": "reader", "key": "team", "queue": "q", "job": 1, "number": 1,
    "part": "destination", "channel": "c", "dashboard": "late", "alarm": "late", "member": 1, "access_request": 1,
    "role": "late", "invitation": 1, "token": "t", "entry": 1, "budget": 1, "month": "2026-11",
    "credit": 1, "flag": 1, "book": 1, "team": "first",
}  # fmt: skip
"""What stands in an address; a stream is `orders`, a delivery stream `ticker`."""

AWAY = {501, 503}
"""Not implemented; without the Redis of metrics, which no test here has."""

CHANGING = {"POST", "PUT", "PATCH", "DELETE"}


def methods(pattern: URLPattern) -> set[str]:
    view = pattern.callback.cls
    return {method.upper() for method in view.http_method_names if method != "head" and hasattr(view, method)}


def address(name: str) -> str:
    """Below /api/v1."""
    pattern = next(one for one in urls.patterns if one.name == name)
    places = {}
    for place in re.findall(r"<(?:\w+:)?(\w+)>", str(pattern.pattern)):
        places[place] = PLACES[place] if place != "name" else "ticker" if "delivery" in name else "orders"
    return reverse(name, kwargs=places).removeprefix("/api/v1")


CELLS = [(name, method, action) for name, by_method in EXPECTED.items() for method, action in by_method.items()]


@pytest.fixture
def things(team, served):
    make_stream(served, team, "orders", 2)
    make_delivery(team)
    Ingestion.objects.create(
        id=1, team=team.team, kind="import", target_name="orders", created_at_ms=1,
        source={"file": "x", "name": "x", "key": "", "key_field": 0},
    )  # fmt: skip


def member(team, name, **more):
    user = User.objects.create_user(f"{name}@members.test", None)
    return user, Membership.objects.create(team=team.team, user=user, **more)


def ask(api: Api, name: str, method: str) -> int:
    return asked(api, name, method).status_code


def asked(api: Api, name: str, method: str) -> HttpResponse:
    return api(method, address(name), {} if method in CHANGING else None)


def refuses(answer: HttpResponse, action: str) -> bool:
    """For want of this action. (A rule of teams refuses, too: nobody removes who may more than oneself.)"""
    return answer.status_code == 403 and answer.json().get("needs") == action


def test_every_address_and_method_has_an_entry():
    assert {pattern.name: methods(pattern) for pattern in urls.patterns} == {
        name: set(by_method) for name, by_method in EXPECTED.items()
    }


def test_the_document_tells_what_each_needs():
    for pattern in urls.patterns:
        assert pattern.callback.cls.needs == EXPECTED[pattern.name], pattern.name


def test_the_grid_is_the_one_that_was_agreed():
    assert {action: {role for role in Role.values if may(role, action)} for action in ACTIONS} == {
        action: {role for role in Role.values if action in actions_of(role)} for action in ACTIONS
    }
    assert set(GRID) == set(ACTIONS)


def test_nobody_and_no_token(things):
    for name, method, _ in CELLS:
        assert ask(Api(""), name, method) == 401, (name, method)


@pytest.mark.parametrize("role", Role.values)
def test_a_role_may_what_the_grid_says(things, team, role):
    api = api_of(member(team, role, role=role)[0], team.team)
    for name, method, action in CELLS:
        if action and not may(role, action):
            assert refuses(asked(api, name, method), action), (name, method)
        elif method == "GET":
            assert ask(api, name, method) in {200, 400, 404, 409, *AWAY}, (name, method)


def test_an_own_role_may_what_it_holds_and_no_more(things, team):
    """One action opens its own addresses; all but that one opens them not."""
    own = TeamRole.objects.create(team=team.team, name="Own", actions=[], created_at_ms=1)
    user, _ = member(team, "own", role=OWN_ROLE, own_role=own)
    for action in sorted({action for _, _, action in CELLS if action}):
        mine = sorted((cell for cell in CELLS if cell[2] == action), key=lambda cell: cell[1] == "DELETE")
        for actions, expected in (([action], False), ([one for one in ACTIONS if one != action], True)):
            own.actions = actions
            own.save()
            api = api_of(user, team.team)
            for name, method, _ in mine:
                answer = asked(api, name, method)
                status = answer.status_code
                assert refuses(answer, action) is expected, (name, method, status)
                assert status != 401
                assert status < 500 or status in AWAY, (name, method, status)


def test_a_scope_leaves_no_more_than_it_says(things, team):
    """The owner's token with all scopes but one."""
    for action in sorted({action for _, _, action in CELLS if action}):
        api = api_of(team.user, team.team, [one for one in ACTIONS if one != action])
        for name, method, needed in CELLS:
            if needed == action:
                assert refuses(asked(api, name, method), action), (name, method)


def test_another_team_finds_none_of_it(things, team):
    """Its owner has every scope, in the other team."""
    stranger = other_team()
    api = api_of(stranger.user, stranger.team)
    named = [(name, method) for name, method, _ in CELLS if {"orders", "ticker"} & set(address(name).split("/"))]
    assert len(named) > 30
    for name, method in named:
        status = ask(api, name, method)
        assert status == 404 if method == "GET" else status in {400, 404, 428}, (name, method, status)
