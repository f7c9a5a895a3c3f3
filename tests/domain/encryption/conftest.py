import pytest

from apps.gateway.invoke import invoke_sync
from tests.support.teams import make_team


@pytest.fixture
def team(transactional_db):
    return make_team()


@pytest.fixture
def kms(runtime, team):
    """kms("CreateKey", Description="x"): one operation of the team's KMS, or of another principal's with by=."""

    def call(operation, by=None, **params):
        return invoke_sync(runtime, by or team.principal, "kms", operation, params)

    return call


@pytest.fixture
def key(kms):
    """The ARN of a customer key."""
    return kms("CreateKey")["KeyMetadata"]["Arn"]
