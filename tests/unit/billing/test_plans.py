"""Key and plan are told together, and apart again."""

import pytest

from apps.billing.plans import MARK, Plan, keyed, split
from apps.recordlog.interface import METER_MARK
from apps.recordlog.shard_state import other_key


@pytest.mark.parametrize("plan", Plan)
def test_a_key_and_its_plan_are_told_apart_again(plan):
    assert split(keyed("AKIDEXAMPLE", plan)) == ("AKIDEXAMPLE", plan)


@pytest.mark.parametrize("plan", Plan)
def test_beyond_its_hundred_keys_the_record_log_keeps_the_plan(plan):
    assert MARK == METER_MARK
    assert split(other_key(keyed("AKIDEXAMPLE", plan))) == ("other", plan)


def test_a_plan_that_is_not_known_is_not_taken_for_another():
    with pytest.raises(ValueError, match="business"):
        split("AKIDEXAMPLE|business")
