"""A program with a token in front of the REST API, over the memory log."""

import json

import pytest
from django.test import Client

from apps.accounts import tokens
from apps.accounts.models import Membership
from apps.accounts.permissions import ACTIONS
from tests.console.conftest import served  # noqa: F401 - a fixture


class Api:
    """Sends JSON with one token."""

    def __init__(self, token, prefix="/api/v1"):
        self.token, self.prefix, self._client = token, prefix, Client()

    def __call__(self, method, path, body=None, **headers):
        """headers: by name with underscores. Answers Django's response; `.json()` has the document."""
        sent = {"authorization": f"Bearer {self.token}"} if self.token else {}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        data = body if isinstance(body, (bytes, str)) else "" if body is None else json.dumps(body)
        return self._client.generic(method, self.prefix + path, data, "application/json", headers=sent)

    def get(self, path, **headers):
        return self("GET", path, **headers)

    def post(self, path, body=None, **headers):
        return self("POST", path, {} if body is None else body, **headers)

    def patch(self, path, body, **headers):
        return self("PATCH", path, body, **headers)

    def put(self, path, body, **headers):
        return self("PUT", path, body, **headers)

    def delete(self, path, **headers):
        return self("DELETE", path, **headers)


def api_of(user, team, scopes=None):
    """Of a member of a team. scopes None: all that the member may."""
    membership = Membership.objects.get(user=user, team=team)
    wanted = membership.actions if scopes is None else scopes
    return Api(tokens.create(membership, "test", wanted, None, 1_795_163_467_000)[1])


@pytest.fixture
def api(team, served):  # noqa: F811 - the fixture
    """The owner's, with every scope."""
    assert set(ACTIONS) == Membership.objects.get(user=team.user).actions
    return api_of(team.user, team.team)
