"""Every operation of the newest botocore model is implemented, or refused with a reason."""

import inspect

import pytest

from apps.streams.operations import NOT_IMPLEMENTED, OPERATIONS, REQUESTS
from apps.wire import model

NAMES = set(model.load("kinesis").operations)


def test_every_name_is_in_exactly_one_table():
    assert set(OPERATIONS) | set(NOT_IMPLEMENTED) == NAMES
    assert set(OPERATIONS) & set(NOT_IMPLEMENTED) == set()
    assert len(NAMES) >= 57


def test_typed_requests_are_of_operations():
    assert set(REQUESTS) <= set(OPERATIONS)


@pytest.mark.parametrize("operation", sorted(NOT_IMPLEMENTED))
def test_what_is_not_implemented_says_why(operation):
    assert len(NOT_IMPLEMENTED[operation]) > 10


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_an_operation_says_what_it_keeps_of_aws(operation):
    text = inspect.getdoc(OPERATIONS[operation]) or ""
    assert "Kept from AWS" in text
    assert "Not kept" in text
