"""A runtime for destinations that are called by HTTP: of it they need the settings alone."""

from __future__ import annotations

import pytest

from apps.runtime import Runtime
from tests.support.runtimes import memory_runtime


@pytest.fixture
def runtime() -> Runtime:
    """Private destinations are allowed."""
    return memory_runtime(private_destinations="allow")


@pytest.fixture
def guarded() -> Runtime:
    """They are refused."""
    return memory_runtime(private_destinations="refuse")
