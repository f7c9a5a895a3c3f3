"""What an upgrade does with people who were there before."""

from importlib import import_module

import pytest
from django.apps import apps

from apps.accounts.models import Membership, User
from tests.support.teams import make_team

pytestmark = pytest.mark.django_db

name_somebody = import_module("apps.accounts.migrations.0006_who_runs_the_installation").name_somebody


def test_the_first_owner_runs_an_installation_that_named_nobody():
    gone = User.objects.create_user("gone@example.test", None, is_active=False)
    first = make_team("111111111111", "first", "AKIDFIRST")
    Membership.objects.create(team=first.team, user=gone, role="owner")
    make_team("222222222222", "second", "AKIDSECOND", email="second@example.test")
    User.objects.update(is_staff=False)
    name_somebody(apps, None)
    assert list(User.objects.filter(is_staff=True)) == [first.user]


def test_who_was_named_stays_and_nobody_joins_them():
    make_team("111111111111", "first", "AKIDFIRST")
    User.objects.update(is_staff=False)
    other = User.objects.create_user("other@example.test", None, is_staff=True)
    name_somebody(apps, None)
    assert list(User.objects.filter(is_staff=True)) == [other]
