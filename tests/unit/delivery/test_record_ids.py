"""RecordId: opaque to clients, readable to us, and not to be made up."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.delivery import record_ids


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("keys") / "master.key"


@given(log_key=st.integers(1, 2**32 - 1), offset=st.integers(1, 2**63))
def test_an_id_tells_where_the_record_is(path, log_key, offset):
    fixed = record_ids.fixed_part(path, log_key)
    made = record_ids.encode(fixed, offset)
    assert len(made) == 224
    assert record_ids.decode(path, made) == (log_key, offset)
    assert record_ids.run(fixed, offset, 2) == [made, record_ids.encode(fixed, offset + 1)]


@given(st.text(max_size=240))
def test_no_other_text_is_one(path, text):
    assert record_ids.decode(path, text) is None


def test_one_of_another_installation_or_log_is_none(path, tmp_path):
    fixed = record_ids.fixed_part(tmp_path / "other.key", 7)
    assert record_ids.decode(path, record_ids.encode(fixed, 1)) is None
    mine = record_ids.encode(record_ids.fixed_part(path, 7), 1)
    assert record_ids.decode(path, mine[:3] + "B" + mine[4:]) is None
    assert record_ids.decode(path, mine + "0") is None
