"""What holds on every address: forged posts are refused, headers are there, nobody is sent to another site, names are text."""

import re
from html import unescape

import pytest
from django.test import Client
from django.urls import NoReverseMatch, URLPattern, get_resolver, reverse

from apps.accounts.models import Membership, Team, TeamRole, User
from apps.accounts.permissions import ACTIONS
from apps.accounts.roles import OWN_ROLE
from apps.delivery.models import DeliveryStream
from apps.streams.models import Stream
from console import calls
from console.csp import POLICY
from tests.console.conftest import settle, signed_in, text_of
from tests.console.test_hostile import check
from tests.console.test_permissions import PAGES, POSTS, address, browser_of, members
from tests.support import hostile_rows
from tests.support.grid import GRID

__all__ = ["members"]

ELSEWHERE = [
    "https://evil.test/x",
    "//evil.test/x",
    "/\\evil.test/x",
    "\\\\evil.test/x",
    "https:evil.test/x",
    "/%09/evil.test/x",
    "\t//evil.test/x",
    "javascript:alert(1)",
    "http://testserver@evil.test/x",
]
PLACES = {"key": "a-b", "uidb36": "1", "team": "first", "token": "t", "code": "c"}
ALSO = {"ingestion-replay": {"record:read"}}
"""Who replays a stream sees what is in it."""

INSTEAD = {"token:write": {"token:manage"}}
"""Who may see and end everybody's tokens finds them on the same pages."""

NO_DESTINATION = 502
"""Pages of delivered objects: no test here has where they lie."""


def everything():
    """(name, address) of all patterns; where a place is needed that no table knows, a made-up one."""
    known = {name: address(name, values) for table in (POSTS, PAGES) for name, (_, values) in table.items()}
    for pattern in get_resolver().url_patterns:
        if not isinstance(pattern, URLPattern) or not pattern.name or pattern.name.startswith("api-"):
            continue
        places = {place: PLACES.get(place, 1) for place in pattern.pattern.converters}
        places |= {place: PLACES[place] for place in re.findall(r"\(\?P<(\w+)>", str(pattern.pattern))}
        try:
            yield pattern.name, known.get(pattern.name) or reverse(pattern.name, kwargs=places)
        except NoReverseMatch as error:
            raise AssertionError(f"a place of {pattern.name} is unknown here") from error


def test_a_post_that_a_page_of_ours_did_not_make_is_refused(members, team):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(team.user)
    for name, path in everything():
        answer = browser.post(path, {"next": "/", "name": "x"})
        assert answer.status_code in {403, 404, 405}, (name, answer.status_code)
    assert Team.objects.count() == 1
    assert browser.get("/t/first").status_code == 200, "and nobody was signed out"


def test_nobody_exempts_a_page_from_that():
    for pattern in get_resolver().url_patterns:
        if isinstance(pattern, URLPattern) and not str(pattern.name).startswith("api-"):
            assert not getattr(pattern.callback, "csrf_exempt", False), pattern.name


TO_GO_ON = re.compile(r'(?:href|action|hx-\w+)="[^"]*//evil\.test')
FAR = {"HTTP_REFERER": "https://evil.test/"}
POLICIES = {POLICY, "default-src 'none'; sandbox"}
"""The second of files that are somebody's data."""


def check_stays(answer, name):
    """Nobody is sent to another site, and no link leads there."""
    to = answer.get("Location", "").partition("?")[0]
    assert re.match(r"(/(?![/\\])|$)", to), (name, to)
    if "text/html" in answer.get("Content-Type", ""):
        assert not TO_GO_ON.search(text_of(answer)), name


@pytest.mark.parametrize("signed", [True, False])
def test_every_answer_carries_the_headers_and_stays_here(members, team, signed):
    browser = signed_in(team) if signed else Client()
    for name, path in everything():
        answer = browser.get(path, {"next": "//evil.test/x"}, **FAR)
        assert answer.status_code != 500, name
        assert answer["Content-Security-Policy"] in POLICIES, name
        assert answer["X-Content-Type-Options"] == "nosniff", name
        assert answer["X-Frame-Options"] == "DENY", name
        assert answer["Referrer-Policy"] == "same-origin", name
        check_stays(answer, name)
        if name == "account_logout" and signed:
            browser = signed_in(team)


def test_the_policy_has_no_hole():
    directives = dict(part.strip().split(" ", 1) for part in POLICY.split(";"))
    assert directives["default-src"] == "'none'"
    assert "unsafe" not in POLICY
    assert "*" not in POLICY
    assert {name for name, sources in directives.items() if sources not in {"'none'", "'self'"}} == {"img-src"}
    assert directives["frame-ancestors"] == "'none'"
    assert directives["base-uri"] == "'none'"


ABOUT_THINGS = ("stream", "delivery", "record", "alarm", "dashboard", "ingestion", "audit", "api")
"""Their posts go on to the thing itself."""


def test_no_post_sends_to_another_site(members, team, served, monkeypatch):
    """Whatever it is given as the place to go on to."""
    monkeypatch.setattr(calls, "wait_until_active", lambda *_: settle(served))
    browser = signed_in(team)
    for name, path in everything():
        if not name.startswith(ABOUT_THINGS):
            check_stays(browser.post(path, {"next": "https://evil.test/x"}, **FAR), name)
            if name in {"account_logout", "profile-session-end", "profile-sessions-end"}:
                browser = signed_in(team)


@pytest.mark.parametrize("where", ELSEWHERE)
def test_those_who_take_a_place_to_go_on_to_take_none_elsewhere(members, team, where):
    browser = signed_in(team)
    check_stays(browser.post("/theme", {"theme": "dark", "next": where}), "theme")
    check_stays(browser.get("/sign-in", {"next": where}), "sign-in")
    for name in ("account_reauthenticate", "access-ask", "sign-in-oidc"):
        if name in dict(everything()):
            check_stays(browser.get(dict(everything())[name], {"next": where}), name)
            check_stays(browser.post(dict(everything())[name], {"next": where}), name)


def test_sign_in_goes_on_within_the_console_alone(team, served):
    for where in ELSEWHERE:
        answer = Client().post(
            f"/sign-in?next={where}", {"login": team.user.email, "password": "correct horse battery", "next": where}
        )
        assert answer.status_code == 302
        check_stays(answer, "sign-in")


LINKS = re.compile(r'href="(/t/first/(?:alarms|audit|ingestion|billing/budgets)[^"]*)"')
PAGES_MAX = 200


def test_what_strangers_write_is_text_wherever_it_is_shown(members, team, served):
    """Of every place where the product keeps text, some page shows it, and as text alone. Pages of things with made-up names
    are found by their links."""
    owner, now_ms = Membership.objects.get(user=team.user), served.clock.now_ms()
    hostile_rows.write(owner, Stream.objects.get(), DeliveryStream.objects.get(), now_ms)
    Membership.objects.filter(role="viewer").update(role=OWN_ROLE, own_role=TeamRole.objects.get())
    browser, shown = signed_in(team), set()
    waiting = [address(name, values) for name, (_, values) in PAGES.items()]
    known = set(waiting)
    while waiting:
        answer = browser.get(waiting.pop())
        if "text/html" in answer.get("Content-Type", "") and answer.status_code != NO_DESTINATION:
            text = check(answer)
            shown |= hostile_rows.places_in(text)
            found = {unescape(link) for link in LINKS.findall(text)} - known
            waiting += found
            known |= found
    assert len(known) < PAGES_MAX, "links lead on without end"
    assert hostile_rows.PLACES - shown == set()


def test_an_own_role_opens_what_it_holds_and_no_more(members, team):
    """One action opens its own pages, and all but that one opens none of them."""
    role = TeamRole.objects.create(team=team.team, name="Own", actions=[], created_at_ms=1)
    user = User.objects.create_user("own@members.test", None)
    Membership.objects.create(team=team.team, user=user, role=OWN_ROLE, own_role=role)
    browser = browser_of(user)
    for action in sorted(GRID):
        mine = [("get", name, values) for name, (needed, values) in PAGES.items() if needed == action]
        mine += [("post", name, values) for name, (needed, values) in POSTS.items() if needed == action]
        for actions, refused in (
            ([one for one in ACTIONS if one not in {action, *INSTEAD.get(action, ())}], True),
            ([action], False),
        ):
            for method, name, values in mine:
                if method == "get" or refused:
                    held = [*actions, *(ALSO.get(name, ()) if not refused else ())]
                    TeamRole.objects.filter(pk=role.pk).update(actions=held)
                    answer = getattr(browser, method)(address(name, values))
                    assert (answer.status_code == 403) is refused, (action, method, name, answer.status_code)
                    assert answer.status_code != 500, (method, name)


def test_a_strangers_host_is_refused_without_a_traceback_in_the_log(client, caplog):
    assert client.get("/", headers={"host": "evil.test"}).status_code == 400
    assert [record for record in caplog.records if record.exc_info] == []
