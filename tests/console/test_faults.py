"""Faults of a stream: the panel, the banner, the command; and who may."""

import re
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from apps.access.models import AuditEntry
from apps.accounts.models import Membership, User
from apps.accounts.roles import Role
from apps.streams.faults import Faults, faults_of
from apps.streams.models import Stream
from tests.console.conftest import text_of

pytestmark = pytest.mark.usefixtures("served", "stream")

STREAM = "/t/first/streams/orders"


def now():
    return faults_of(Stream.objects.get(name="orders").faults)


def save(client, throttle="", errors_rate="", latency=""):
    given = {"throttle": throttle, "errors_rate": errors_rate, "latency": latency}
    return client.post(STREAM + "/faults", given)


def test_what_is_saved_is_shown_on_every_tab_and_turned_off_again(client):
    assert "Fault control" in text_of(client.get(STREAM + "/configuration"))
    assert save(client, "12.5", "1", "200").status_code == 302
    assert now() == Faults(12.5, 1, 200)
    for tab in ("", "/configuration", "/consumers", "/shards", "/monitoring"):
        page = text_of(client.get(STREAM + tab))
        assert "Faults are on:" in page
        assert "12.5% throttled, 1% internal failures, 200 ms added" in page
    assert re.search(r'name="throttle"[^>]*value="12.5"', text_of(client.get(STREAM + "/configuration")))
    assert client.post(STREAM + "/faults", {"off": "1"}).status_code == 302
    assert now() is None
    entries = AuditEntry.objects.filter(operation="SetFaults").order_by("id")
    assert [entry.resource.rpartition("/")[2] for entry in entries] == ["orders", "orders"]
    assert "Faults are on" not in text_of(client.get(STREAM))


@pytest.mark.parametrize(
    ("given", "field", "text"),
    [
        ({"throttle": "101"}, "throttle", "less than or equal to 100"),
        ({"throttle": "-1"}, "throttle", "greater than or equal to 0"),
        ({"throttle": "x"}, "throttle", "Enter a number"),
        ({"throttle": "NaN"}, "throttle", "Enter a number"),
        ({"throttle": "60", "errors_rate": "50"}, "errors_rate", "at most 100%"),
        ({"latency": "10001"}, "latency", "less than or equal to 10000"),
        ({"latency": "1.5"}, "latency", "whole number"),
        ({"errors_rate": "1.234"}, "errors_rate", "decimal places"),
    ],
)
def test_what_is_out_of_bounds_is_told_at_its_field_and_changes_nothing(client, given, field, text):
    answer = save(client, **given)
    assert answer.status_code == 422
    assert text in re.search(rf'id="id_{field}_err">(.*?)</div>', text_of(answer), re.DOTALL)[1]
    assert now() is None


@pytest.mark.parametrize("role", [Role.DEVELOPER, Role.VIEWER])
def test_only_administrators_may(team, client, role):
    save(client, "5")
    user = User.objects.create_user(f"{role}@faults.test", None)
    Membership.objects.create(team=team.team, user=user, role=role)
    browser = Client()
    browser.force_login(user)
    assert save(browser, "50").status_code == 403
    assert browser.post(STREAM + "/faults", {"off": "1"}).status_code == 403
    assert now() == Faults(5)
    page = text_of(browser.get(STREAM + "/configuration"))
    assert "Faults are on:" in page
    assert "Fault control" not in page
    assert "Turn off" not in page


def test_the_command_shows_sets_and_turns_off():
    def faults(*words):
        out = StringIO()
        call_command("faults", "orders", *words, stdout=out)
        return out.getvalue().strip()

    assert faults() == "Faults of orders: none."
    assert faults("--throttle", "5") == "Faults of orders: 5% throttled."
    assert faults("--latency", "50") == "Faults of orders: 5% throttled, 50 ms added."
    assert now() == Faults(5, 0, 50)
    for words in (("--throttle", "200"), ("--errors", "nan"), ("--latency", "-1"), ("--off", "--errors", "1")):
        with pytest.raises(CommandError):
            faults(*words)
    with pytest.raises(CommandError):
        call_command("faults", "nobody")
    assert now() == Faults(5, 0, 50)
    assert faults("--off") == "Faults of orders: none."
    assert now() is None
