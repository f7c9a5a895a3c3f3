"""Delivery streams as the pages find them."""

import pytest

from tests.console.conftest import client, served, stream  # noqa: F401 - fixtures
from tests.support.delivery_rows import make_delivery
from tests.support.runtimes import run_due


@pytest.fixture
def delivery(team, served):  # noqa: F811
    """An active Direct PUT delivery stream `ticker`, as rows alone."""
    return make_delivery(team)


def settle(runtime):
    """Let the upkeep of delivery streams do what is due."""
    run_due(runtime, "delivery-streams", "delivery")
