"""Policy documents: what is taken, what is refused, and with which of AWS's texts."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.access.policy.document import CHARACTERS_MAX, Kind, Malformed, TooLarge, parse

GOOD: dict[str, Any] = {"Effect": "Allow", "Action": "kinesis:PutRecord", "Resource": "*"}


def document(**changes: Any) -> str:
    statement = {**GOOD, **changes}
    return json.dumps({"Version": "2012-10-17", "Statement": {k: v for k, v in statement.items() if v is not None}})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("This is not a json document", "Syntax errors in policy."),
        ("", "Syntax errors in policy."),
        ("[]", "Syntax errors in policy."),
        ("null", "Syntax errors in policy."),
        ("{}", "Policy document must be version 2012-10-17 or greater."),
        ('{"Version": "2012-10-17"}', "Syntax errors in policy."),
        ('{"Version": "2012-10-17", "Statement": []}', "Syntax errors in policy."),
        ('{"Version": "2012-10-17", "Version": "2012-10-17", "Statement": {}}', "Syntax errors in policy."),
        ('{"Version": "2008-10-17", "Statement": {}}', "Policy document must be version 2012-10-17 or greater."),
        ('{"Version": "2013-10-17", "Statement": {}}', "The policy failed legacy parsing"),
        ('{"Version": "2012-10-17", "Extra": 1, "Statement": {}}', "Syntax errors in policy."),
        ("[" * 3_000, "Syntax errors in policy."),
        (document(Effect="allow"), "Syntax errors in policy."),
        (document(Effect=None), "Syntax errors in policy."),
        (document(Action=None), "Policy statement must contain actions."),
        (document(Action=[]), "Policy statement must contain actions."),
        (document(Action=7), "Syntax errors in policy."),
        (document(Action="PutRecord"), "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."),
        (document(Action="kine sis:Put"), "The policy failed legacy parsing"),
        (document(NotAction="kinesis:*"), "Syntax errors in policy."),
        (document(Resource=None), "Policy statement must contain resources."),
        (document(Resource="stream/x"), 'Resource stream/x must be in ARN format or "*".'),
        (document(Principal="*"), "Policy document should not specify a principal."),
        (document(Sid="no spaces"), "Statement IDs (SID) should be alpha-numeric."),
        (document(Condition={"StringIs": {"aws:username": "x"}}), "Invalid Condition type : StringIs."),
        (document(Condition={"ForSome:StringEquals": {"aws:username": "x"}}), "Invalid Condition type : ForSome:StringEquals."),
        (document(Condition={"IpAddress": {"aws:SourceIp": "10.0.0.300"}}), "The policy failed legacy parsing"),
        (document(Condition={"DateLessThan": {"aws:CurrentTime": "soon"}}), "The policy failed legacy parsing"),
        (document(Condition={"NumericEquals": {"aws:EpochTime": "x"}}), "The policy failed legacy parsing"),
        (document(Condition={"Bool": {"aws:SecureTransport": "maybe"}}), "The policy failed legacy parsing"),
        (document(Condition={"StringEquals": {"username": "x"}}),
         "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."),
        (document(Condition=[]), "Syntax errors in policy."),
        (document(Extra=1), "Syntax errors in policy."),
    ],
)  # fmt: skip
def test_what_is_no_policy_is_refused_with_its_text(text: str, said: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse(text, Kind.ROLE)
    assert str(caught.value) == said


def test_sids_stand_once() -> None:
    twice = json.dumps({"Version": "2012-10-17", "Statement": [{**GOOD, "Sid": "A"}, {**GOOD, "Sid": "A"}]})
    with pytest.raises(Malformed, match="must be unique"):
        parse(twice, Kind.USER)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"Resource": "*"}, "Has prohibited field Resource"),
        ({"Action": "kinesis:PutRecord"}, "AssumeRole policy may only specify STS AssumeRole actions."),
        ({"Principal": None}, "Missing required field Principal"),
        ({"Principal": {"AWS": "nobody"}}, 'Invalid principal in policy: "AWS":"nobody"'),
        ({"Principal": {"AWS": "arn:aws:iam::123456789012:user/*"}},
         'Invalid principal in policy: "AWS":"arn:aws:iam::123456789012:user/*"'),
        ({"Principal": {"People": "x"}}, "Syntax errors in policy."),
    ],
)  # fmt: skip
def test_trust_policies_name_who_and_no_resource(changes: dict[str, Any], said: str) -> None:
    trust = {"Action": "sts:AssumeRole", "Resource": None, "Principal": {"AWS": "123456789012"}}
    assert parse(document(**trust), Kind.TRUST).statements[0].principals is not None
    with pytest.raises(Malformed) as caught:
        parse(document(**{**trust, **changes}), Kind.TRUST)
    assert str(caught.value) == said


@pytest.mark.parametrize("kind", list(Kind))
def test_each_kind_has_its_size_and_white_space_does_not_count(kind: Kind) -> None:
    who = {"Principal": "*"} if kind.has_principal else {}
    what = {"Action": "sts:AssumeRole", "Resource": None} if kind is Kind.TRUST else {}
    spare = CHARACTERS_MAX[kind] - len("".join(document(Sid="", **who, **what).split()))
    assert parse(document(Sid="s" * spare, **who, **what) + " " * 5_000, kind)
    with pytest.raises(TooLarge) as caught:
        parse(document(Sid="s" * (spare + 1), **who, **what), kind)
    assert caught.value.limit == CHARACTERS_MAX[kind]


def test_white_space_has_an_end_too() -> None:
    with pytest.raises(TooLarge):
        parse(document() + " " * 140_000, Kind.USER)


@given(st.text(max_size=200))
def test_no_text_breaks_the_parser(text: str) -> None:
    with contextlib.suppress(Malformed, TooLarge):
        parse(text, Kind.RESOURCE)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["Allow", "Deny", "*", "kinesis:*"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["Version", "Statement", "Effect", "Action", "Resource", "Principal", "AWS", "Condition", "Bool", "a:b"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_no_json_breaks_the_parser(value: Any) -> None:
    for text in (json.dumps(value), json.dumps({"Version": "2012-10-17", "Statement": value})):
        with contextlib.suppress(Malformed, TooLarge):
            parse(text, Kind.RESOURCE)


def test_a_pattern_of_many_stars_is_matched_in_no_time() -> None:
    """With a backtracking matcher this would outlive the test's time limit by far."""
    resource = "arn:aws:kinesis:x:1:" + "*a" * 900 + "b"
    policy = parse(document(Resource=resource), Kind.ROLE)
    value = "arn:aws:kinesis:x:1:" + "a" * 2_000
    assert not policy.statements[0].speaks_of("kinesis:putrecord", value, {})
