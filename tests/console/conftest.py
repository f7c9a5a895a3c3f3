"""A signed-in browser without script, in front of pages that call real operations over the memory log."""

import itertools
from concurrent.futures import Future

import pytest
from django.core.cache import cache
from django.test import Client

from apps.accounts.models import Membership, User
from apps.gateway import app as gateway_app
from apps.gateway.app import Gateway
from console.pages import reading
from console.sign_in import failures
from tests.support.runtimes import call, run_due
from tests.support.teams import make_team


@pytest.fixture
def served(runtime, db, monkeypatch):
    """This process's Runtime, as the pages find it. What is written in the background is written at once: other threads do
    not see what a test has written."""

    async def make():
        return Gateway(runtime)

    gateway_app.use(runtime.wait_for(make()))
    reading.pace, reading.recent = reading.Pace(), reading.Recent()
    cache.clear()
    monkeypatch.setattr(failures, "later", at_once)
    yield runtime
    gateway_app.use(None)


def at_once(_do, attempt):
    """failures.later, with the connection of the test."""
    done = Future()
    failures.write(attempt)
    done.set_result(None)
    return done


@pytest.fixture
def unhurried(served, monkeypatch):
    """Every look at the viewer's pace finds a second gone by; the clock of tests stands still."""
    ticks = itertools.count(1)
    real = reading.Pace.may_read
    monkeypatch.setattr(
        reading.Pace, "may_read", lambda self, key, ms, gap: real(self, key, ms + 1000 * next(ticks), gap)
    )


@pytest.fixture
def client(team, served):
    """The owner's browser."""
    return signed_in(team)


@pytest.fixture
def stream(team, served):
    """An active stream `orders` with two shards."""
    return make_stream(served, team, "orders", 2)


def signed_in(team):
    browser = Client()
    browser.force_login(team.user)
    return browser


def signed_in_as(team, role):
    """The browser of one more member."""
    user = User.objects.create_user(f"{role}@first.example.test", None)
    Membership.objects.create(team=team.team, user=user, role=role)
    browser = Client()
    browser.force_login(user)
    return browser


def make_stream(runtime, team, name, shards=1, **params):
    size = {"ShardCount": shards} if shards else {}
    call(runtime, team.principal, "CreateStream", StreamName=name, **size, **params)
    settle(runtime)
    return name


def settle(runtime):
    """Let the lifecycle's workers do what is due."""
    run_due(runtime, "lifecycle")


def put(runtime, team, name, *records):
    """Put (key, data) pairs."""
    entries = [{"PartitionKey": key, "Data": data} for key, data in records]
    answer = call(runtime, team.principal, "PutRecords", StreamName=name, Records=entries)
    assert answer["FailedRecordCount"] == 0
    return answer["Records"]


def other_team(slug="second", role="owner"):
    return make_team("999999999999", slug, "AKIDOTHER", role=role, email="other@example.test")


def text_of(response):
    return response.content.decode()
