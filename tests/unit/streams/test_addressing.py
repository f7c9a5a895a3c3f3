"""Which stream and which shard a request means."""

import pytest

from apps.streams.addressing import shard_id_text, shard_index, stream_name
from apps.streams.errors import InvalidArgumentException, ResourceNotFoundException

ACCOUNT = "123456789012"
ARN = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/s"


def named(name=None, arn=None):
    return stream_name(ACCOUNT, name, arn)


def test_by_name_by_arn_or_by_both():
    assert named("s") == named(None, ARN) == named("s", ARN) == "s"


def test_neither_or_two_different_ones():
    with pytest.raises(InvalidArgumentException):
        named()
    with pytest.raises(InvalidArgumentException):
        named("t", ARN)


@pytest.mark.parametrize(
    ("arn", "text"),
    [
        (ARN.replace(ACCOUNT, "999999999999"), "Stream s under account 999999999999 not found."),
        (ARN.replace("arn:aws", "arn:aws-cn"), f"Stream s under account {ACCOUNT} not found."),
        (ARN + "/consumer/c:5", f"Stream s/consumer/c:5 under account {ACCOUNT} not found."),
        (ARN + "\x00ü", f"Stream s\x00ü under account {ACCOUNT} not found."),
    ],
)
def test_an_arn_of_something_else(arn, text):
    with pytest.raises(ResourceNotFoundException) as caught:
        named(None, arn)
    assert caught.value.message == text


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("shardId-000000000000", 0), ("shard-0", 0), ("x-0", 0), ("-00002147483647", 2_147_483_647), ("5", 5),
        ("00000005", 5), ("-7", 7), ("shard-" + "0" * 100 + "9", 9),
    ],
)  # fmt: skip
def test_spellings_of_a_shard_id(text, index):
    assert shard_index(text, "s", ACCOUNT) == index


@pytest.mark.parametrize(
    "text",
    ["ABKLFD8", "2.14E4", "2147483648", "shardId-002147483648", "", "-", "a-", "a-b-1", "a--1", "a-+1", "a- 1", "a-1 ",
     "a-\u0661", "a-1\n", "shard-" + "9" * 200],
)  # fmt: skip
def test_what_is_no_shard_id(text):
    with pytest.raises(ResourceNotFoundException) as caught:
        shard_index(text, "s", ACCOUNT)
    assert caught.value.message == f"Could not find shard {text} in stream s under account {ACCOUNT}."


def test_the_normal_spelling():
    assert shard_id_text(12) == "shardId-000000000012"
