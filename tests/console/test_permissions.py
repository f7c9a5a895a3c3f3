"""Every address: who may open it, who is told why not, and for whom it does not exist."""

import pytest
from django.test import Client
from django.urls import URLPattern, get_resolver

from apps.accounts.models import Membership, User
from apps.accounts.permissions import ACTIONS, actions_of, allowed, roles_with
from apps.accounts.roles import Role
from apps.delivery.models import DeliveredObject
from apps.streams.models import Ingestion
from console.pages.shell import ANY_MEMBER
from tests.console.conftest import make_stream, other_team, signed_in, text_of
from tests.support.delivery_rows import make_delivery

ALL = set(Role.values)
STREAM = {"name": "orders"}
JOB = {"job": 1}
MEMBER = {"member": 1}
ROLE = {"role": 1}
BUDGET = {"budget": 1}
DELIVERY = {"name": "ticker"}
OBJECT = {**DELIVERY, "number": 1}
RECORD = {**STREAM, "index": 0, "number": 7}

NAMED = {"name": "late"}
"""An alarm or a dashboard."""

PAGES = {
    "overview": ("stream:read", {}),
    "overview-cost": ("billing:read", {}),
    "profile": (ANY_MEMBER, {}),
    "profile-app": (ANY_MEMBER, {}),
    "profile-address": (ANY_MEMBER, {}),
    "profile-passkey-add": (ANY_MEMBER, {}),
    "profile-passkey": (ANY_MEMBER, {"key": 1}),
    "profile-step-remove": (ANY_MEMBER, {"key": 1}),
    "profile-codes": (ANY_MEMBER, {}),
    "members": ("member:read", {}),
    "member": ("member:read", MEMBER),
    "member-remove": ("member:write", MEMBER),
    "team-leave": (ANY_MEMBER, {}),
    "member-roles": ("member:read", {}),
    "member-role-new": ("member:write", {}),
    "member-role": ("member:read", ROLE),
    "member-role-delete": ("member:write", ROLE),
    "member-invitations": ("member:read", {}),
    "access-ask": (ANY_MEMBER, {}),
    "settings": ("team:read", {}),
    "settings-quotas": ("team:read", {}),
    "settings-export": ("team:read", {}),
    "settings-transfer": ("team:delete", {}),
    "settings-delete": ("team:delete", {}),
    "billing": ("billing:read", {}),
    "billing-budgets": ("billing:read", {}),
    "billing-budget": ("billing:read", BUDGET),
    "billing-budget-create": ("billing:write", {}),
    "billing-budget-edit": ("billing:write", BUDGET),
    "billing-budget-delete": ("billing:write", BUDGET),
    "billing-csv": ("billing:read", {}),
    "billing-readings": ("billing:read", {}),
    "billing-statements": ("billing:read", {}),
    "billing-statement": ("billing:read", {"month": "2026-11"}),
    "billing-statement-file": ("billing:read", {"month": "2026-11", "form": "csv"}),
    "billing-rates": ("billing:read", {}),
    "billing-books": (ANY_MEMBER, {}),
    "billing-book": (ANY_MEMBER, {"book": 1}),
    "billing-book-price": (ANY_MEMBER, {"book": 1, "dimension": "shard-hour"}),
    "billing-book-publish": (ANY_MEMBER, {"book": 1}),
    "billing-book-withdraw": (ANY_MEMBER, {"book": 1}),
    "billing-book-delete": (ANY_MEMBER, {"book": 1}),
    "billing-showback": (ANY_MEMBER, {}),
    "billing-showback-csv": (ANY_MEMBER, {}),
    "billing-showback-team": (ANY_MEMBER, {"of": "first"}),
    "billing-showback-bill": (ANY_MEMBER, {"number": "TG-2026-11-123456789012"}),
    "billing-credits": (ANY_MEMBER, {}),
    "billing-corrections": (ANY_MEMBER, {}),
    "billing-credit-take-back": (ANY_MEMBER, {"credit": 1}),
    "reference": (ANY_MEMBER, {}),
    "reference-resource": (ANY_MEMBER, {"slug": "streams"}),
    "palette": (ANY_MEMBER, {}),
    "live": ("stream:read", {}),
    "keys": ("key:read", {}),
    "key-rotate": ("key:write", {}),
    "key-delete": ("key:write", {}),
    "audit": ("audit:read", {}),
    "audit-export": ("audit:read", {}),
    "audit-newer": ("audit:read", {}),
    "stream-activity": ("audit:read", STREAM),
    "delivery-activity": ("audit:read", DELIVERY),
    "tokens": ("token:write", {}),
    "token-create": ("token:write", {}),
    "token-revoke": ("token:write", {"token": "tok_1"}),
    "ingestion": ("stream:read", {}),
    "ingestion-import": ("record:write", {}),
    "ingestion-replay": ("record:write", {}),
    "ingestion-job": ("stream:read", JOB),
    "streams": ("stream:read", {}),
    "streams-strip": ("stream:read", {}),
    "streams-tag": ("stream:write", {}),
    "streams-delete": ("stream:delete", {}),
    "stream-create": ("stream:create", {}),
    "stream-create-beside": ("stream:create", {}),
    "stream-name": ("stream:create", {}),
    "stream": ("stream:read", STREAM),
    "stream-state": ("stream:read", STREAM),
    "stream-latest": ("record:read", STREAM),
    "stream-monitoring": ("stream:read", STREAM),
    "stream-per-shard": ("stream:read", STREAM),
    "stream-metrics-csv": ("stream:read", STREAM),
    "stream-shards": ("stream:read", STREAM),
    "stream-map": ("stream:read", STREAM),
    "stream-split": ("stream:reshard", STREAM),
    "stream-merge": ("stream:reshard", STREAM),
    "stream-count": ("stream:reshard", STREAM),
    "stream-records": ("record:read", STREAM),
    "stream-decode": ("record:read", STREAM),
    "stream-export": ("record:read", STREAM),
    "record": ("record:read", RECORD),
    "record-download": ("record:read", RECORD),
    "stream-put": ("record:write", STREAM),
    "stream-consumers": ("stream:read", STREAM),
    "consumer-deregister": ("stream:write", STREAM),
    "stream-connect": ("stream:read", STREAM),
    "stream-configuration": ("stream:read", STREAM),
    "stream-cost": ("stream:read", STREAM),
    "stream-delete": ("stream:delete", STREAM),
    "delivery-streams": ("delivery:read", {}),
    "delivery-strip": ("delivery:read", {}),
    "docs-tested": ("delivery:read", {}),
    "delivery-create": ("delivery:create", {}),
    "delivery-stream": ("delivery:read", DELIVERY),
    "delivery-state": ("delivery:read", DELIVERY),
    "delivery-now": ("delivery:read", DELIVERY),
    "delivery-demo": ("record:write", DELIVERY),
    "delivery-redrive": ("delivery:write", DELIVERY),
    "delivery-jobs": ("delivery:read", DELIVERY),
    "delivery-objects": ("record:read", DELIVERY),
    "delivery-object": ("record:read", OBJECT),
    "delivery-object-download": ("record:read", OBJECT),
    "delivery-errors": ("delivery:read", DELIVERY),
    "delivery-lanes": ("delivery:read", DELIVERY),
    "delivery-configuration": ("delivery:read", DELIVERY),
    "delivery-delete": ("delivery:delete", DELIVERY),
    "queues": ("stream:read", {}),
    "queue-delete": ("stream:write", {"queue_id": "none"}),
    "alarms": ("alarm:read", {}),
    "alarm-create": ("alarm:write", {}),
    "alarm": ("alarm:read", NAMED),
    "alarm-edit": ("alarm:write", NAMED),
    "alarm-delete": ("alarm:write", NAMED),
    "dashboards": ("alarm:read", {}),
    "dashboard-streams": ("alarm:read", {}),
    "dashboard": ("alarm:read", NAMED),
    "dashboard-edit": ("alarm:write", NAMED),
    "dashboard-delete": ("alarm:write", NAMED),
}
"""GET: the action each page needs."""

POSTS = {
    "billing-budget-test": ("billing:write", BUDGET),
    "acknowledge": ("stream:read", {}),
    "profile-codes-new": (ANY_MEMBER, {}),
    "profile-session-end": (ANY_MEMBER, {}),
    "member": ("member:write", MEMBER),
    "member-role": ("member:write", ROLE),
    "member-invitations": ("member:write", {}),
    "member-invitation": ("member:write", {"invitation": 1}),
    "access-answer": ("member:write", {"asked": 1}),
    "settings": ("team:write", {}),
    "alarms": ("alarm:write", {}),
    "alarm-beside": ("alarm:write", {}),
    "alarm-mute": ("alarm:write", NAMED),
    "alarm-test": ("alarm:write", NAMED),
    "alarm-actions": ("alarm:write", NAMED),
    "alarm-state": ("alarm:write", NAMED),
    "dashboards": ("alarm:write", {}),
    "streams-columns": ("stream:read", {}),
    "keys": ("key:write", {}),
    "key-change": ("key:write", {}),
    "key-file": ("key:write", {}),
    "audit-view-save": ("audit:read", {}),
    "audit-view-delete": ("audit:read", {"view": 1}),
    "demo": ("stream:create", {}),
    "ingestion-cancel": ("record:write", JOB),
    "stream-follow": ("record:read", STREAM),
    "stream-consumers": ("stream:write", STREAM),
    "stream-configuration": ("stream:write", STREAM),
    "stream-test-call": ("stream:read", STREAM),
    "stream-faults": ("stream:faults", STREAM),
    "delivery-create-beside": ("delivery:create", {}),
    "delivery-pause": ("delivery:write", DELIVERY),
    "delivery-resume": ("delivery:write", DELIVERY),
    "delivery-job-cancel": ("delivery:write", {**DELIVERY, "job": 1}),
    "delivery-configuration": ("delivery:write", DELIVERY),
}
"""POST, where it needs another action than GET or there is no GET."""

OPEN = {
    "home",
    "setup",
    "theme",
    "metrics",
    "sign-in-over",
    "invite",
    "teams",
    "team-new",
    "oidc",
    "oidc-callback",
    "address-confirm",
}
"""Outside teams; account_… are allauth's."""


def may(role, action):
    return action == ANY_MEMBER or allowed(actions_of(role), action)


def address(name, values):
    from django.urls import reverse

    return reverse(name, kwargs={"team": "first", **values})


@pytest.fixture
def members(team, served):
    make_stream(served, team, "orders", 2)
    Ingestion.objects.create(
        id=1, team=team.team, kind="import", target_name="orders", created_at_ms=1,
        source={"file": "x", "name": "x", "key": "", "key_field": 0},
    )  # fmt: skip
    delivery = make_delivery(team)
    DeliveredObject.objects.create(
        id=1, delivery_stream=delivery, part="destination", bucket="events", key="a/b", size_bytes=1, records=1, at_ms=1
    )
    users = {}
    for role in Role.values:
        users[role] = User.objects.create_user(f"{role}@members.test", None)
        Membership.objects.create(team=team.team, user=users[role], role=role)
    return users


def browser_of(user):
    browser = Client()
    browser.force_login(user)
    return browser


def test_the_tables_above_name_every_address():
    names = {pattern.name for pattern in get_resolver().url_patterns if isinstance(pattern, URLPattern)}
    assert {name for name in names if not name.startswith(("account_", "mfa_", "api-"))} == {*PAGES, *POSTS, *OPEN}


@pytest.mark.parametrize("role", Role.values)
def test_pages_open_for_those_who_may(members, role):
    browser = browser_of(members[role])
    for name, (action, values) in PAGES.items():
        answer = browser.get(address(name, values))
        if may(role, action):
            assert answer.status_code not in {302, 403, 500}, name
        else:
            assert answer.status_code == 403, name
            assert action in text_of(answer)
            assert roles_with(action)[0] in text_of(answer)


@pytest.mark.parametrize("role", Role.values)
def test_posts_do_nothing_for_those_who_may_not(members, role):
    browser = browser_of(members[role])
    for name, (action, values) in POSTS.items():
        if not may(role, action):
            answer = browser.post(address(name, values), {})
            assert answer.status_code == 403, name
            assert action in text_of(answer)


def test_another_team_is_not_there(members, served):
    stranger = signed_in(other_team())
    for name, (_, values) in PAGES.items():
        assert stranger.get(address(name, values)).status_code == 404, name
    for name, (_, values) in POSTS.items():
        assert stranger.post(address(name, values), {}).status_code == 404, name


def test_nobody_sees_a_page_without_signing_in(members):
    browser = Client()
    for name, (_, values) in PAGES.items():
        answer = browser.get(address(name, values))
        if name == "live":
            assert answer.status_code == 401
        else:
            assert answer.status_code == 302, name
            assert answer["Location"].startswith("/sign-in?next=/t/first"), name


def test_a_viewer_sees_the_locked_tab_and_why(members):
    page = text_of(browser_of(members["viewer"]).get("/t/first/streams/orders"))
    assert "Needs record:read: Owner, Admin, Developer, Analyst" in page
    for locked, need in (("Send test records", "record:write"), ("Edit capacity", "stream:reshard"),
                         ("Delete data stream", "stream:delete")):  # fmt: skip
        button = page.partition(f"{locked}</a>")[0].rpartition("<a ")[2]
        assert 'aria-disabled="true"' in button, locked
        assert f"Needs {need}:" in page
    for hidden in ("Latest records", "/keys"):
        assert hidden not in page


def test_the_owner_of_one_team_is_nobody_in_another(team, served):
    other = other_team()
    make_stream(served, team, "orders")
    assert signed_in(other).get("/t/second").status_code == 200
    assert signed_in(other).get("/t/second/streams/orders").status_code == 404
    assert signed_in(team).get("/t/second").status_code == 404


def test_the_grid_knows_its_actions():
    assert allowed(actions_of(Role.OWNER), "stream:delete")
    assert not allowed(actions_of(Role.VIEWER), "record:read")
    assert allowed(actions_of(Role.ANALYST), "record:read")
    assert not allowed(actions_of("nobody"), "stream:read")
    assert all(allowed(actions_of(Role.OWNER), action) for action in ACTIONS)
    with pytest.raises(AssertionError):
        allowed(actions_of(Role.OWNER), "stream:raed")
