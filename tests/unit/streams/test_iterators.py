"""Shard iterators keep what they hold, fit AWS's form, and cannot be made by others."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.streams.errors import InvalidArgumentException
from apps.streams.iterators import Position, ShardIterators
from tests.support.runtimes import memory_runtime

START_MS = 1_795_163_467_000
TOKENS = ShardIterators(memory_runtime())
TOKEN = TOKENS.issue(Position(1, 2, 3, 4, 5, START_MS, "stream"))
RAW = base64.b64decode(TOKEN)


@given(st.integers(0, len(RAW) - 1), st.integers(1, 255))
def test_no_byte_can_be_altered(at, by):
    forged = bytearray(RAW)
    forged[at] ^= by
    with pytest.raises(InvalidArgumentException) as caught:
        TOKENS.open(base64.b64encode(forged).decode(), START_MS)
    assert caught.value.message == "Invalid ShardIterator."


@given(st.one_of(st.text(max_size=40), st.binary(max_size=380).map(lambda raw: base64.b64encode(raw).decode())))
def test_garbage_is_not_an_iterator(text):
    for bad in (text, TOKEN[:-4] + text, text + TOKEN[4:]):
        if bad != TOKEN:
            with pytest.raises(InvalidArgumentException):
                TOKENS.open(bad, START_MS)


def test_parts_of_a_token_are_none():
    for end in range(len(TOKEN)):
        with pytest.raises(InvalidArgumentException):
            TOKENS.open(TOKEN[:end], START_MS)


@given(
    st.text("abcXYZ0189_.-", min_size=1, max_size=128),
    st.integers(1, 2**31 - 1),
    st.integers(0, 2**31 - 1),
    st.integers(0, 2**63),
)
def test_any_position_survives_its_token(name, shard_key, index, ordinal):
    position = Position(7, 2**40, shard_key, index, ordinal, START_MS, name)
    token = TOKENS.issue(position)
    assert TOKENS.open(token, START_MS) == position
    raw = base64.b64decode(token, validate=True)
    assert raw[:8] == b"\0\0\0\0\0\0\0\1"
    assert (len(raw) - 152) % 16 == 0
    assert 152 <= len(raw) <= 384
    assert len(token) <= 512


def test_another_master_key_opens_nothing(tmp_path):
    other = ShardIterators(memory_runtime(master_key_file=str(tmp_path / "other.key")))
    with pytest.raises(InvalidArgumentException):
        other.open(TOKEN, START_MS)


def test_two_processes_with_one_key_share_iterators():
    assert ShardIterators(memory_runtime()).open(TOKEN, START_MS).name == "stream"
