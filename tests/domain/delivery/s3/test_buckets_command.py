"""manage.py buckets."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from apps.access.models import AuditEntry
from apps.delivery import grants
from tests.support.teams import make_team

pytestmark = pytest.mark.django_db


def buckets(*args):
    out = StringIO()
    call_command("buckets", *args, stdout=out)
    return out.getvalue()


def test_give_list_and_take_away(team):
    second = make_team("210987654321", "second", "AKIDSECOND")
    assert "first  every bucket" in buckets("list")
    assert not grants.may_use(second.team.pk, "events")
    assert "may use events" in buckets("grant", "second", "events")
    assert "already" in buckets("grant", "210987654321", "events")
    assert "second  events" in buckets("list")
    assert grants.may_use(second.team.pk, "events")
    assert "any more" in buckets("revoke", "second", "events")
    assert not grants.may_use(second.team.pk, "events")
    written = AuditEntry.objects.filter(resource="arn:aws:s3:::events").values_list("operation", flat=True)
    assert sorted(written) == ["GrantBucket", "RevokeBucket"]


@pytest.mark.parametrize(
    "args",
    [("grant", "nobody", "events"), ("grant", "first", "../x"), ("grant", "first", ""), ("revoke", "first", "events")],
)
def test_said_in_a_sentence(team, args):
    with pytest.raises(CommandError, match=r"\.$"):
        buckets(*args)
