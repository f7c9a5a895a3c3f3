"""A team with an owner and an admin."""

import pytest

from apps.accounts.models import Membership
from tests.domain.teams.people import join


@pytest.fixture
def owner(team):
    return Membership.objects.select_related("team", "user").get(team=team.team, role="owner")


@pytest.fixture
def admin(team):
    return join(team.team, "ada", "admin")


@pytest.fixture
def viewer(team):
    return join(team.team, "vic", "viewer")
