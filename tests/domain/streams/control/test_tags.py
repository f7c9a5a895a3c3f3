"""Tags of streams."""

import pytest

from apps.queues.models import Queue

pytestmark = pytest.mark.django_db

NOT_THERE = {"ResourceNotFoundException", "AccessDeniedException"}

ACCOUNT = "123456789012"
INVALID = (
    "Some tags contain invalid characters. Valid characters: Unicode letters, digits, white space, _ . / = + - % @."
)


def tags_of(control, **params):
    return {t["Key"]: t["Value"] for t in control("ListTagsForStream", StreamName="s", **params)["Tags"]}


@pytest.fixture
def s(control):
    control.create("s")
    return control


def test_tags_are_added_replaced_and_removed(s):
    assert s("AddTagsToStream", StreamName="s", Tags={"a": "1", "b": ""}) is None
    s("AddTagsToStream", StreamARN=str(s.stream().arn), Tags={"a": "2", "c": "3"})
    assert tags_of(s) == {"a": "2", "b": "", "c": "3"}
    assert s("RemoveTagsFromStream", StreamName="s", TagKeys=["a", "not there"]) is None
    assert tags_of(s) == {"b": "", "c": "3"}


@pytest.mark.parametrize("text", ["Ünï Çödé", "日本語", "Über_./=+-@:9", "नमस्ते", "a\u00a0b"])
def test_what_a_tag_may_be_made_of(s, text):
    s("AddTagsToStream", StreamName="s", Tags={text: text})
    assert tags_of(s) == {text: text}


@pytest.mark.parametrize("text", ["a;b", "a\tb", "a\nb", "a<b", 'a"b', "a\x00b", "a#b", "🌊", "(a)"])
def test_what_it_may_not(s, text):
    assert s.refused("AddTagsToStream", StreamName="s", Tags={text: "v"}) == ("InvalidArgumentException", INVALID)
    assert s.refused("AddTagsToStream", StreamName="s", Tags={"k": text}) == ("InvalidArgumentException", INVALID)
    assert s.refused("RemoveTagsFromStream", StreamName="s", TagKeys=[text]) == ("InvalidArgumentException", INVALID)


def test_the_percent_sign_passes_the_first_check_and_fails_the_second(s):
    allowed = (
        "because some tags contained illegal characters. The allowed characters are Unicode letters, white-spaces, "
        "'_',',','/','=','+','-','@'."
    )
    assert s.refused("AddTagsToStream", StreamName="s", Tags={"abc%def": "1"}) == (
        "InvalidArgumentException",
        f"Failed to add tags to stream s under account {ACCOUNT} {allowed}",
    )
    assert s.refused("RemoveTagsFromStream", StreamName="s", TagKeys=["abc%def"]) == (
        "InvalidArgumentException",
        f"Failed to remove tags from stream s under account {ACCOUNT} {allowed}",
    )


def test_the_stream_must_exist_before_its_tags_are_looked_at(control):
    for operation, params in {
        "AddTagsToStream": {"Tags": {"a;": ""}},
        "RemoveTagsFromStream": {"TagKeys": ["a;"]},
        "ListTagsForStream": {},
    }.items():
        assert control.refused(operation, StreamName="none", **params) == (
            "ResourceNotFoundException",
            f"Stream none under account {ACCOUNT} not found.",
        )


def test_fifty_tags_in_all_whatever_the_text_says(s):
    s("AddTagsToStream", StreamName="s", Tags={f"k{i}": "" for i in range(50)})
    assert s.refused("AddTagsToStream", StreamName="s", Tags={"one more": ""}) == (
        "InvalidArgumentException",
        (
            f"Failed to add tags to stream s under account {ACCOUNT} because a given stream cannot have more than 10 tags "
            "associated with it."
        ),
    )
    s("AddTagsToStream", StreamName="s", Tags={"k7": "replaced"})
    assert len(tags_of(s)) == 50


def test_keys_of_amazon_are_reserved(s):
    assert s.refused("AddTagsToStream", StreamName="s", Tags={"aws:x": ""})[0] == "InvalidArgumentException"


def test_lists_go_by_code_point_and_the_start_need_not_exist(s):
    s("AddTagsToStream", StreamName="s", Tags={"b": "1", "a": "2", "B": "3", "é": "4", "ab": "5"})
    answer = s("ListTagsForStream", StreamName="s", Limit=3)
    assert [t["Key"] for t in answer["Tags"]] == ["B", "a", "ab"]
    assert answer["HasMoreTags"] is True
    rest = s("ListTagsForStream", StreamName="s", ExclusiveStartTagKey="aa")
    assert ([t["Key"] for t in rest["Tags"]], rest["HasMoreTags"]) == (["ab", "b", "é"], False)
    assert s("ListTagsForStream", StreamName="s", ExclusiveStartTagKey="a;%")["Tags"][0]["Key"] == "ab"


def test_every_change_tells_the_hot_path(s):
    before = s.stream().version
    s("AddTagsToStream", StreamName="s", Tags={"a": ""})
    s("RemoveTagsFromStream", StreamName="s", TagKeys=["a"])
    assert s.stream().version == before + 2


# --- by ARN ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def arns(s):
    """A stream's, a consumer's and a queue's ARN."""
    stream = s.stream()
    consumer = s("RegisterStreamConsumer", StreamARN=str(stream.arn), ConsumerName="c")["Consumer"]["ConsumerARN"]
    queue = Queue.objects.create(
        team=stream.team, stream=stream, region=stream.region, name="q", queue_id="abcdefghij0123456789-abc",
        created_at_ms=1, visibility_timeout_s=30,
    )  # fmt: skip
    return {"stream": str(stream.arn), "consumer": consumer, "queue": str(queue.arn)}


def tags_by_arn(control, arn):
    return [(t["Key"], t["Value"]) for t in control("ListTagsForResource", ResourceARN=arn)["Tags"]]


@pytest.mark.parametrize("kind", ["stream", "consumer", "queue"])
def test_tags_by_arn(s, arns, kind):
    arn = arns[kind]
    s("TagResource", ResourceARN=arn, Tags={"b": "1", "a": "", "É": "x"})
    s("TagResource", ResourceARN=arn, Tags={"b": "2"})
    assert tags_by_arn(s, arn) == [("a", ""), ("b", "2"), ("É", "x")]
    s("UntagResource", ResourceARN=arn, TagKeys=["a", "not there"])
    assert tags_by_arn(s, arn) == [("b", "2"), ("É", "x")]
    assert [tags_by_arn(s, other) for name, other in arns.items() if name != kind] == [[], []]


@pytest.mark.parametrize("kind", ["stream", "consumer", "queue"])
def test_what_is_refused_by_arn(s, arns, kind, stranger):
    arn = arns[kind]
    s.allow(tags=2)
    s("TagResource", ResourceARN=arn, Tags={"a": "1"})
    for tags in ({"a;": "1"}, {"a%": "1"}, {"aws:a": "1"}, {"b": "", "c": ""}):
        assert s.refused("TagResource", ResourceARN=arn, Tags=tags)[0] == "InvalidArgumentException"
    assert s.refused("UntagResource", ResourceARN=arn, TagKeys=["a;"])[0] == "InvalidArgumentException"
    for operation, params in {
        "TagResource": {"Tags": {"x": "y"}}, "UntagResource": {"TagKeys": ["a"]}, "ListTagsForResource": {},
    }.items():  # fmt: skip
        assert s.refused(operation, ResourceARN=arn + "0", **params)[0] in NOT_THERE
        assert stranger.refused(operation, ResourceARN=arn, **params)[0] in NOT_THERE
        assert stranger.refused(operation, ResourceARN=arn.replace(ACCOUNT, "210987654321"), **params)[0] in NOT_THERE
    assert tags_by_arn(s, arn) == [("a", "1")]


def test_both_families_see_the_same_tags(s, arns):
    s("AddTagsToStream", StreamName="s", Tags={"a": "1"})
    assert tags_by_arn(s, arns["stream"]) == [("a", "1")]
    s("UntagResource", ResourceARN=arns["stream"], TagKeys=["a"])
    assert tags_of(s) == {}


def test_there_are_no_channels_to_tag(s):
    arn = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:channel/c"
    assert s.refused("TagResource", ResourceARN=arn, Tags={"a": "1"})[0] == "ResourceNotFoundException"
