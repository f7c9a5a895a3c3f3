"""What all addresses have in common: tokens, permissions, problems, pages, keys on creation, ETags, rates."""

import asyncio

import pytest
from django.db import OperationalError

from apps.accounts import tokens
from apps.accounts.models import Membership, User
from apps.accounts.roles import Role
from apps.throttle.local import LocalThrottle
from console.api import paging, rates, view
from tests.api.conftest import Api, api_of
from tests.console.conftest import make_stream
from tests.support.teams import make_team


def problem(answer, status):
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    told = answer.json()
    assert told["status"] == status
    assert told["request_id"] == answer["X-Request-Id"]
    assert told["title"]
    assert told["detail"]
    return told


@pytest.mark.parametrize("token", ["", "tgt_" + "0" * 64, "é", "x y"])
def test_without_a_token_there_is_nothing(served, token):
    answer = Api(token).get("/streams")
    problem(answer, 401)
    assert answer["WWW-Authenticate"] == "Bearer"


def test_a_signed_in_browser_is_nobody_here(client):
    assert client.get("/api/v1/streams").status_code == 401


def test_tokens_that_are_none_are_counted_by_address(served):
    answers = [Api("tgt_wrong").get("/streams").status_code for _ in range(40)]
    assert answers[0] == 401
    assert answers[-1] == 429


def test_a_token_does_no_more_than_its_scopes_and_its_member(team, served):
    reader = api_of(team.user, team.team, ["stream:read"])
    assert reader.get("/streams").status_code == 200
    assert problem(reader.post("/streams", {"name": "a", "open_shards": 1}), 403)["needs"] == "stream:create"
    maker = api_of(team.user, team.team)
    Membership.objects.filter(user=team.user).update(role=Role.VIEWER)
    assert problem(maker.post("/streams", {"name": "a", "open_shards": 1}), 403)["needs"] == "stream:create"


def test_a_token_ends_with_its_time_its_membership_its_person(team, served, runtime):
    membership = Membership.objects.get(user=team.user)
    now_ms = runtime.clock.now_ms()
    made, text = tokens.create(membership, "short", ["stream:read"], now_ms + 1_000, now_ms)
    assert Api(text).get("/streams").status_code == 200
    runtime.clock.advance(1_000)
    assert Api(text).get("/streams").status_code == 401
    made.refresh_from_db()
    lasting = api_of(team.user, team.team)
    User.objects.update(is_active=False)
    assert lasting.get("/streams").status_code == 401
    User.objects.update(is_active=True)
    assert lasting.get("/streams").status_code == 200
    membership.delete()
    assert lasting.get("/streams").status_code == 401


def test_a_member_cannot_give_a_token_what_he_may_not(team, served):
    Membership.objects.update(role=Role.VIEWER)
    with pytest.raises(tokens.NotYours):
        tokens.create(Membership.objects.get(), "x", ["stream:delete"], None, 1)


def test_another_teams_things_are_not_there(team, served, api):
    other = make_team("210987654321", "other", "AKIDOTHER")
    make_stream(served, other, "theirs")
    problem(api.get("/streams/theirs"), 404)
    assert api.get("/streams").json()["items"] == []


def test_an_address_that_is_none(api):
    problem(api.get("/nothing/here"), 404)
    problem(api.get("/alarms/a%0Ab"), 404)
    problem(api("POST", "/streams/orders"), 405)


def test_wrong_values_are_named(api):
    told = problem(api.post("/streams", {"name": "a b", "open_shards": 0, "colour": "red"}), 400)
    assert {error["field"] for error in told["errors"]} == {"name", "open_shards", "colour"}
    told = problem(api.post("/streams", {"name": "a", "open_shards": 1, "colour": "red"}), 400)
    assert told["errors"] == [{"field": "colour", "detail": "There is no such member."}]
    told = problem(api.post("/streams", {"name": 5, "open_shards": "1", "tags": [], "mode": True, "colour": 1}), 400)
    assert {error["field"] for error in told["errors"]} == {"name", "open_shards", "tags", "mode", "colour"}
    for body in (
        b"{",
        b"[" * 100_000,
        b"null",
        b'"x"',
        b'{"name":"\\ud800"}',
        b'{"open_shards":NaN}',
        b'{"open_shards":1e999}',
    ):
        problem(api.post("/streams", body), 400)
    problem(api.post("/streams", b" " * 3_000_000), 413)
    problem(api.post("/streams", b"[]"), 400)
    problem(api.get("/streams?limit=0"), 400)
    problem(api.get("/streams?colour=red"), 400)
    problem(api.get("/streams?q=%00"), 400)
    problem(api.get("/streams?q=a&q=b"), 400)
    problem(api.get("/streams/a%00b"), 404)


def test_what_aws_refuses_keeps_its_code(api, team, served):
    make_stream(served, team, "orders")
    told = problem(api.post("/streams", {"name": "orders", "open_shards": 1}), 409)
    assert told["code"] == "ResourceInUseException"


def test_pages_follow_one_another(api, team, served):
    for name in "abcde":
        make_stream(served, team, name)
    seen, cursor = [], ""
    while cursor is not None:
        told = api.get(f"/streams?limit=2&cursor={cursor}").json()
        assert len(told["items"]) <= 2
        seen += [item["name"] for item in told["items"]]
        cursor = told["next_cursor"]
    assert seen == list("abcde")
    problem(api.get("/streams?cursor=nonsense"), 400)


def test_a_key_makes_a_creation_happen_once(api, team, served):
    first = api.post("/streams", {"name": "orders", "open_shards": 1}, idempotency_key="one")
    again = api.post("/streams", {"name": "orders", "open_shards": 1}, idempotency_key="one")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again["Idempotent-Replayed"] == "true"
    problem(api.post("/streams", {"name": "orders", "open_shards": 2}, idempotency_key="one"), 422)
    problem(api.post("/streams", {"name": "orders", "open_shards": 1}), 409)
    problem(api.get("/streams", idempotency_key="one"), 400)
    problem(api.post("/streams", {"name": "b c", "open_shards": 1}, idempotency_key="two"), 400)
    assert api.post("/streams", {"name": "bc", "open_shards": 1}, idempotency_key="two").status_code == 201


def test_nobody_uses_up_anothers_key_or_gets_its_answer(api, team, served):
    first = api.post("/tokens", {"name": "ci", "scopes": ["stream:read"]}, idempotency_key="one")
    kim = User.objects.create_user("kim@example.test", None)
    Membership.objects.create(team=team.team, user=kim, role="admin")
    other = api_of(kim, team.team).post("/tokens", {"name": "ci", "scopes": ["stream:read"]}, idempotency_key="one")
    assert (first.status_code, other.status_code) == (201, 201)
    assert first.json()["token"] != other.json()["token"]
    second = api_of(team.user, team.team)
    problem(second.post("/tokens", {"name": "ci", "scopes": ["stream:read"]}, idempotency_key="one"), 422)


def test_etags_guard_changes(api, team, served):
    make_stream(served, team, "orders")
    etag = api.get("/streams/orders")["ETag"]
    assert api.get("/streams/orders", if_none_match=etag).status_code == 304
    problem(api.delete("/streams/orders", if_match='"other"'), 412)
    problem(api.get("/streams", if_match=etag), 400)
    blind = api_of(team.user, team.team, ["stream:delete"])
    assert problem(blind.delete("/streams/orders", if_match=etag), 403)["needs"] == "stream:read"
    assert api.delete("/streams/orders", if_match=etag).status_code == 204


def test_of_two_changes_with_one_etag_one_loses(api, team, served, monkeypatch):
    etag, compare, others = api.get("/team")["ETag"], view.require_match, []

    def compare_while_another_comes(request, shown):
        compare(request, shown)
        if not others:
            others.append(None)
            others[0] = api.patch("/team", {"name": "Theirs"}, if_match=etag)

    monkeypatch.setattr(view, "require_match", compare_while_another_comes)
    assert api.patch("/team", {"name": "Ours"}, if_match=etag).status_code == 200
    problem(others[0], 412)
    assert api.get("/team").json()["name"] == "Ours"
    assert api.patch("/team", {"name": "Next"}, if_match=api.get("/team")["ETag"]).status_code == 200


def test_what_was_read_before_it_was_alone_does_not_count(api, monkeypatch):
    etag, alone = api.get("/team")["ETag"], view.alone

    def alone_after_another(*given):
        monkeypatch.setattr(view, "alone", alone)
        assert api.patch("/team", {"name": "Theirs"}, if_match=etag).status_code == 200
        return alone(*given)

    monkeypatch.setattr(view, "alone", alone_after_another)
    problem(api.patch("/team", {"name": "Ours"}, if_match=etag), 412)
    assert api.get("/team").json()["name"] == "Theirs"


def test_parameters_that_nobody_looks_at_are_refused(api, team, served):
    make_stream(served, team, "orders")
    for answer in (
        api.get("/team?colour=red"),
        api.get("/streams/orders?format=json"),
        api.patch("/team?dry_run=true", {"name": "Other"}),
        api.post("/streams?dry_run=true", {"name": "a", "open_shards": 1}),
        api.delete("/streams/orders?colour=red"),
    ):
        problem(answer, 400)
    assert api.get("/team").json()["name"] != "Other"
    assert api.get("/streams/orders").status_code == 200


def test_packed_bodies_and_other_charsets_are_refused_not_misread(api):
    body = {"name": "orders", "open_shards": 1}
    problem(api.post("/streams", body, content_encoding="gzip"), 415)
    problem(api.post("/streams", body, content_type="application/json; charset=latin-1"), 415)
    assert api.post("/streams", body, content_encoding="identity").status_code == 201


def test_what_fails_before_a_view_is_a_problem_too(api, monkeypatch):
    problem(api.get("/streams", host="elsewhere.example"), 400)

    def away(request, *others):
        raise OperationalError("locked")

    monkeypatch.setattr(paging, "opened", away)
    answer = api.get("/streams")
    problem(answer, 503)
    assert int(answer["Retry-After"]) >= 1


def test_head_is_get_without_a_body_and_needs_the_same(api, team, served):
    make_stream(served, team, "orders")
    answer = api("HEAD", "/streams/orders")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer["ETag"] == api.get("/streams/orders")["ETag"]
    assert api_of(team.user, team.team, ["stream:delete"])("HEAD", "/streams/orders").status_code == 403
    assert api("OPTIONS", "/streams/orders").status_code == 405


def test_a_token_has_its_rate(api, monkeypatch):
    monkeypatch.setattr(rates, "PER_S", 1)
    monkeypatch.setattr(rates, "BURST", 3)
    answers = [api.get("/streams") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    problem(answers[-1], 429)
    assert int(answers[-1]["Retry-After"]) >= 1


def test_rates_are_taken_where_web_processes_settle_them(api, runtime, monkeypatch):
    class OnLoop(LocalThrottle):
        def take(self, *arguments):
            asyncio.get_running_loop()  # raises elsewhere
            return super().take(*arguments)

    monkeypatch.setattr(runtime, "throttle", OnLoop())
    assert api.get("/streams").status_code == 200
    assert Api("tgt_wrong").get("/streams").status_code == 401
