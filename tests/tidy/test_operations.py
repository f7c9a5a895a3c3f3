"""Every operation of the newest botocore models of Kinesis and Firehose is implemented, or refused with a reason."""

import inspect

import pytest

from apps.gateway.services import SERVICES
from apps.wire import model

WHOLE = {"kinesis": 57, "firehose": 12}
"""Services that are built whole, and how many operations each had when this was written."""

OPERATIONS = [(service, name) for service in WHOLE for name in sorted(SERVICES[service].operations)]


@pytest.mark.parametrize("service", WHOLE)
def test_every_name_is_in_exactly_one_table(service):
    found, names = SERVICES[service], set(model.load(service).operations)
    assert set(found.operations) | set(found.not_implemented) == names
    assert set(found.operations) & set(found.not_implemented) == set()
    assert len(names) >= WHOLE[service]
    assert set(found.requests) <= set(found.operations)
    assert all(len(why) > 10 for why in found.not_implemented.values())


@pytest.mark.parametrize(("service", "operation"), OPERATIONS)
def test_an_operation_says_what_it_keeps_of_aws(service, operation):
    text = inspect.getdoc(SERVICES[service].operations[operation]) or ""
    assert "Kept from AWS" in text
    assert "Not kept" in text
