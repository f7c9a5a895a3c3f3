"""Decisions: operators, variables, and who wins against whom."""

import fnmatch
import json
import re
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from apps.access.policy.document import Kind, Policy, parse
from apps.access.policy.evaluation import Grants, Question, decide, denial
from apps.access.policy.patterns import Pattern

ACCOUNT, OTHER = "123456789012", "210987654321"
USER = f"arn:aws:iam::{ACCOUNT}:user/ann"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/reader"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/reader/job"
STREAM = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/orders"
NO_POLICY = "because no identity-based policy allows the kinesis:PutRecord action"


def policy(*statements: dict[str, Any], kind: Kind = Kind.ROLE) -> Policy:
    return parse(json.dumps({"Version": "2012-10-17", "Statement": list(statements)}), kind)


def says(effect: str = "Allow", action: Any = "kinesis:PutRecord", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


def user(*policies: Policy, **more: Any) -> Grants:
    return Grants(ACCOUNT, USER, USER, {}, policies, **more)


def session(*policies: Policy, **more: Any) -> Grants:
    return Grants(ACCOUNT, SESSION, ROLE, {}, policies, **more)


def ask(grants: Grants, context: dict[str, Any] | None = None, **changes: Any) -> str | None:
    values: dict[str, Any] = {"action": "kinesis:PutRecord", "resource": STREAM, "resource_account": ACCOUNT}
    return decide(grants, Question(**{**values, **changes}, context=context or {}))


def holds(condition: dict[str, Any], **context: Any) -> bool:
    named = {key.replace("__", ":").replace("_S_", "/").lower(): value for key, value in context.items()}
    return ask(user(policy(says(Condition=condition))), named) is None


# --- allow, deny and silence -----------------------------------------------------------------------------------------


def test_nothing_is_allowed_without_a_word() -> None:
    assert ask(user()) == NO_POLICY
    assert ask(user(policy(says(action="kinesis:GetRecords")))) == NO_POLICY
    assert ask(user(policy(says(resource=STREAM + "2")))) == NO_POLICY
    assert ask(user(policy(says()))) is None


def test_an_explicit_deny_wins() -> None:
    both = user(policy(says(action="*")), policy(says("Deny", action="kinesis:Put*")))
    assert ask(both) == "with an explicit deny in an identity-based policy"
    assert ask(both, action="kinesis:GetRecords") is None


def test_the_text_is_aws_s() -> None:
    grants = user()
    asked = Question("kinesis:PutRecord", STREAM, ACCOUNT, {})
    assert denial(grants, asked, decide(grants, asked) or "") == (
        f"User: {USER} is not authorized to perform: kinesis:PutRecord on resource: {STREAM} {NO_POLICY}"
    )


def test_not_action_and_not_resource() -> None:
    grants = user(policy({"Effect": "Allow", "NotAction": "kinesis:Delete*", "NotResource": f"{STREAM}-secret"}))
    assert ask(grants) is None
    assert ask(grants, action="kinesis:DeleteStream") is not None
    assert ask(grants, resource=f"{STREAM}-secret") is not None


def test_actions_have_no_case_and_resources_have() -> None:
    assert ask(user(policy(says(action="KINESIS:putrecord")))) is None
    assert ask(user(policy(says(resource=STREAM.replace("orders", "Orders"))))) is not None


def test_boundary_and_session_policies_limit_and_do_not_grant() -> None:
    every, none = policy(says(action="*")), policy(says(action="kinesis:GetRecords"))
    assert ask(user(every, boundary=(none,))) == "because no permissions boundary allows the kinesis:PutRecord action"
    assert ask(session(every, sessions=(none,))) == "because no session policy allows the kinesis:PutRecord action"
    assert ask(session(none, sessions=(every,))) == NO_POLICY
    denies = policy(says("Deny"))
    assert ask(user(every, boundary=(every, denies))) == "with an explicit deny in a permissions boundary"
    assert ask(session(every, sessions=(denies,))) == "with an explicit deny in a session policy"


def test_an_endpoint_s_policy_must_allow() -> None:
    whole = Grants(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", f"arn:aws:iam::{ACCOUNT}:root", {})
    gate = policy(says(Principal="*", action="kinesis:Get*"), kind=Kind.ENDPOINT)
    assert ask(whole) is None
    assert ask(whole, endpoint_policy=gate) == "because no VPC endpoint policy allows the kinesis:PutRecord action"
    assert ask(whole, endpoint_policy=gate, action="kinesis:GetRecords") is None
    shut = policy(says("Deny", Principal="*"), says(Principal="*"), kind=Kind.ENDPOINT)
    assert ask(whole, endpoint_policy=shut) == "with an explicit deny in a VPC endpoint policy"


# --- resource policies ------------------------------------------------------------------------------------------------


def resource(**statement: Any) -> Policy:
    return policy(says(**statement), kind=Kind.RESOURCE)


@pytest.mark.parametrize(
    ("principal", "grants", "allowed"),
    [
        ({"AWS": USER}, user(), True),
        ({"AWS": f"{USER}2"}, user(), False),
        ({"AWS": ACCOUNT}, user(), False),
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, user(), False),
        ("*", user(), True),
        ({"AWS": "*"}, user(), True),
        ({"AWS": ROLE}, session(), True),
        ({"AWS": SESSION}, session(), True),
        ({"AWS": SESSION.replace("job", "other")}, session(), False),
        ({"Service": "lambda.amazonaws.com"}, user(), False),
    ],
)
def test_within_the_account_a_resource_s_policy_alone_may_grant(principal: Any, grants: Grants, allowed: bool) -> None:
    assert (ask(grants, resource_policy=resource(Principal=principal)) is None) is allowed


def test_only_a_session_named_itself_passes_its_session_policy() -> None:
    limited = session(sessions=(policy(says(action="kinesis:GetRecords")),))
    assert ask(limited, resource_policy=resource(Principal={"AWS": ROLE})) is not None
    assert ask(limited, resource_policy=resource(Principal={"AWS": SESSION})) is None


@pytest.mark.parametrize("principal", [{"AWS": ACCOUNT}, {"AWS": USER}, "*"])
def test_across_accounts_both_sides_must_allow(principal: Any) -> None:
    theirs = {"resource": STREAM.replace(ACCOUNT, OTHER), "resource_account": OTHER}
    yes = resource(Principal=principal)
    assert ask(user(policy(says())), resource_policy=yes, **theirs) is None
    assert ask(user(), resource_policy=yes, **theirs) == NO_POLICY
    assert ask(user(policy(says())), **theirs) == "because no resource-based policy allows the kinesis:PutRecord action"


def test_a_resource_s_deny_wins_over_everything() -> None:
    grants = user(policy(says(action="*")))
    no = resource(effect="Deny", Principal="*")
    assert ask(grants, resource_policy=no) == "with an explicit deny in a resource-based policy"


def test_not_principal_denies_all_the_others() -> None:
    grants, other = user(policy(says())), Grants(ACCOUNT, f"{USER}2", f"{USER}2", {}, (policy(says()),))
    only = resource(effect="Deny", NotPrincipal={"AWS": USER})
    assert ask(grants, resource_policy=only) is None
    assert ask(other, resource_policy=only) is not None


@pytest.mark.parametrize("named", [f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT])
def test_an_account_that_not_principal_names_is_its_root_user_alone(named: str) -> None:
    only = resource(effect="Deny", NotPrincipal={"AWS": [USER, named]})
    other = Grants(ACCOUNT, f"{USER}2", f"{USER}2", {}, (policy(says()),))
    root = Grants(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", f"arn:aws:iam::{ACCOUNT}:root", {})
    assert ask(user(policy(says())), resource_policy=only) is None
    assert ask(root, resource_policy=only) is None
    assert ask(other, resource_policy=only) == "with an explicit deny in a resource-based policy"
    assert ask(session(policy(says())), resource_policy=only) == "with an explicit deny in a resource-based policy"


def test_a_role_that_not_principal_names_leaves_out_the_session_named_beside_it() -> None:
    only = resource(effect="Deny", NotPrincipal={"AWS": [SESSION, ROLE, ACCOUNT]})
    other = Grants(ACCOUNT, f"{SESSION}2", ROLE, {}, (policy(says()),))
    assert ask(session(policy(says())), resource_policy=only) is None
    assert ask(other, resource_policy=only) == "with an explicit deny in a resource-based policy"


def test_an_allow_of_all_but_what_is_not_known_allows_nothing() -> None:
    but_own = {"Action": "kinesis:PutRecord", "NotResource": "arn:aws:kinesis:*:*:stream/${aws:username}"}
    grants = user(policy({"Effect": "Allow", **but_own}))
    assert ask(grants, {"aws:username": "ann"}) is None
    assert ask(grants) == NO_POLICY
    assert ask(user(policy(says(), {"Effect": "Deny", **but_own}))) is not None


# --- conditions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "context", "expected"),
    [
        ({"StringEquals": {"aws:username": "ann"}}, {"aws__username": "ann"}, True),
        ({"StringEquals": {"AWS:UserName": ["bob", "ann"]}}, {"aws__username": "ann"}, True),
        ({"StringEquals": {"aws:username": "a*"}}, {"aws__username": "ann"}, False),
        ({"StringLike": {"aws:username": "a*n"}}, {"aws__username": "ann"}, True),
        ({"StringLike": {"aws:username": "a?"}}, {"aws__username": "ann"}, False),
        ({"StringNotLike": {"aws:username": ["b*", "a*"]}}, {"aws__username": "ann"}, False),
        ({"StringNotEquals": {"aws:username": "bob"}}, {}, True),
        ({"StringEquals": {"aws:username": "bob"}}, {}, False),
        ({"StringEqualsIfExists": {"aws:username": "bob"}}, {}, True),
        ({"StringEqualsIgnoreCase": {"aws:username": "ANN"}}, {"aws__username": "ann"}, True),
        ({"StringNotEqualsIgnoreCase": {"aws:username": "ANN"}}, {"aws__username": "ann"}, False),
        ({"Null": {"aws:username": "true"}}, {}, True),
        ({"Null": {"aws:username": "false"}}, {}, False),
        ({"Null": {"aws:username": False}}, {"aws__username": "x"}, True),
        ({"Bool": {"aws:SecureTransport": "true"}}, {"aws__securetransport": "true"}, True),
        ({"Bool": {"aws:SecureTransport": True}}, {"aws__securetransport": "false"}, False),
        ({"NumericLessThan": {"s:n": 5}}, {"s__n": "4.5"}, True),
        ({"NumericGreaterThanEquals": {"s:n": "5"}}, {"s__n": "5"}, True),
        ({"NumericNotEquals": {"s:n": "5"}}, {"s__n": "5"}, False),
        ({"NumericEquals": {"s:n": "5"}}, {"s__n": "five"}, False),
        ({"NumericEquals": {"s:n": "10"}}, {"s__n": "1_0"}, False),
        ({"NumericGreaterThan": {"s:n": "1e3"}}, {"s__n": "1001"}, True),
        ({"DateLessThan": {"aws:CurrentTime": "2026-11-21T00:00:00Z"}}, {"aws__currenttime": "2026-11-20T10:00:00Z"}, True),
        ({"DateGreaterThan": {"aws:CurrentTime": "2026-11-21"}}, {"aws__currenttime": "2026-11-20T10:00:00Z"}, False),
        ({"DateGreaterThan": {"aws:EpochTime": "1700000000"}}, {"aws__epochtime": "1795163467"}, True),
        ({"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "192.0.2.1"]}}, {"aws__sourceip": "10.1.2.3"}, True),
        ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"aws__sourceip": "11.1.2.3"}, False),
        ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"aws__sourceip": "::ffff:10.1.2.3"}, True),
        ({"IpAddress": {"aws:SourceIp": "2001:db8::/32"}}, {"aws__sourceip": "2001:db8::1"}, True),
        ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"aws__sourceip": "unix"}, False),
        ({"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"aws__sourceip": "10.1.2.3"}, False),
        ({"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {}, True),
        ({"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/*"}}, {"aws__principalarn": ROLE}, True),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:*:role/*"}}, {"aws__principalarn": ROLE}, False),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/${aws:PrincipalTag/of}"}},
         {"aws__principalarn": ROLE, "aws__principaltag_S_of": "*"}, False),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/${aws:PrincipalTag/of}"}},
         {"aws__principalarn": ROLE, "aws__principaltag_S_of": "reader"}, True),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/rea${*}"}}, {"aws__principalarn": ROLE}, False),
        ({"ArnEquals": {"aws:PrincipalArn": "${aws:userid}"}}, {"aws__principalarn": ROLE, "aws__userid": ROLE}, True),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam:*:role/*"}}, {"aws__principalarn": ROLE}, False),
        ({"ArnLike": {"aws:PrincipalArn": "*"}}, {"aws__principalarn": ROLE}, True),
        ({"ArnNotEquals": {"aws:PrincipalArn": ROLE}}, {"aws__principalarn": ROLE}, False),
        ({"BinaryEquals": {"s:b": "AAE="}}, {"s__b": "AAE="}, True),
        ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["a", "b"]}}, {"aws__tagkeys": ("x", "b")}, True),
        ({"ForAnyValue:StringEquals": {"aws:TagKeys": "a"}}, {}, False),
        ({"ForAnyValue:StringNotEquals": {"aws:TagKeys": "a"}}, {"aws__tagkeys": ("a", "b")}, True),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}, {"aws__tagkeys": ("a", "x")}, False),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}, {"aws__tagkeys": ("a", "b")}, True),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": "a"}}, {}, True),
        ({"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}},
         {"aws__resourcetag_S_team": "x", "aws__principaltag_S_team": "x"}, True),
        ({"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}}, {"aws__resourcetag_S_team": "x"}, False),
        ({"StringEquals": {"aws:username": "${aws:userid, 'ann'}"}}, {"aws__username": "ann"}, True),
        ({"StringEquals": {"aws:username": "a", "aws:userid": "b"}}, {"aws__username": "a", "aws__userid": "c"}, False),
    ],
)  # fmt: skip
def test_operators(condition: dict[str, Any], context: dict[str, Any], expected: bool) -> None:
    assert holds(condition, **context) is expected


def test_variables_in_resources_are_no_wildcards() -> None:
    grants = user(policy(says(resource=f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/${{aws:username}}-*")))
    assert ask(grants, {"aws:username": "orders"}, resource=f"{STREAM}-1") is None
    assert ask(grants, {"aws:username": "*"}, resource=f"{STREAM}-1") is not None
    assert ask(grants, {}, resource=f"{STREAM}-1") is not None


def test_an_old_policy_has_no_variables() -> None:
    text = json.dumps(
        {"Version": "2008-10-17", "Statement": says(Principal="*", Condition={"StringEquals": {"a:b": "${a:c}"}})}
    )
    old = parse(text, Kind.RESOURCE)
    assert ask(user(), {"a:b": "x", "a:c": "x"}, resource_policy=old) is not None
    assert ask(user(), {"a:b": "${a:c}"}, resource_policy=old) is None


# --- properties -------------------------------------------------------------------------------------------------------

ACTIONS = st.sampled_from(["kinesis:PutRecord", "kinesis:GetRecords", "kinesis:Put*", "kinesis:*", "*", "sts:*"])
RESOURCES = st.sampled_from(["*", STREAM, f"{STREAM}*", f"{STREAM}2", STREAM.replace(ACCOUNT, "*")])
CONDITIONS = st.sampled_from(
    [
        None,
        {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
        {"StringEquals": {"aws:username": "ann"}},
        {"Null": {"a:b": "false"}},
    ]
)


@st.composite
def statements(draw: Any) -> dict[str, Any]:
    condition = draw(CONDITIONS)
    more = {"Condition": condition} if condition else {}
    return says(draw(st.sampled_from(["Allow", "Deny"])), draw(ACTIONS), draw(RESOURCES), **more)


POLICIES = st.lists(statements(), min_size=1, max_size=4).map(lambda some: policy(*some))
ADDED = {"aws:sourceip": st.sampled_from(["10.0.0.1", "192.0.2.1"]), "aws:username": st.sampled_from(["ann", "bob"])}
CONTEXT = st.fixed_dictionaries(
    {},
    optional={
        "aws:sourceip": st.sampled_from(["10.0.0.1", "192.0.2.1"]),
        "aws:username": st.sampled_from(["ann", "bob"]),
    },
)


@given(st.lists(POLICIES, max_size=3), POLICIES, CONTEXT)
def test_one_more_limit_never_allows_more(policies: list[Policy], limit: Policy, context: dict[str, str]) -> None:
    before = ask(user(*policies), context)
    for grants in (user(*policies, boundary=(limit,)), user(*policies, sessions=(limit,))):
        after = ask(grants, context)
        assert before is None or after is not None


@given(st.lists(POLICIES, max_size=3), CONTEXT, st.sampled_from(["kinesis:PutRecord", "kinesis:GetRecords"]))
def test_a_deny_of_everything_denies_everything(policies: list[Policy], context: dict[str, str], action: str) -> None:
    everything = policy(says("Deny", "*"))
    assert (
        ask(user(*policies, everything), context, action=action) == "with an explicit deny in an identity-based policy"
    )


@given(st.lists(POLICIES, max_size=3), CONTEXT)
def test_allowed_means_that_some_allow_applies_and_no_deny_does(
    policies: list[Policy], context: dict[str, str]
) -> None:
    applying = [
        statement.allows
        for one in policies
        for statement in one.statements
        if statement.speaks_of("kinesis:putrecord", STREAM, context)
    ]
    assert (ask(user(*policies), context) is None) == (True in applying and False not in applying)


@given(st.lists(POLICIES, max_size=3), CONTEXT)
def test_order_does_not_matter(policies: list[Policy], context: dict[str, str]) -> None:
    assert ask(user(*policies), context) == ask(user(*reversed(policies)), context)


@given(st.text("ab*?.$[]\n", max_size=8), st.text("ab.$[]*\n", max_size=12))
def test_globs_are_as_everybody_knows_them(pattern: str, value: str) -> None:
    assume("[" not in pattern)
    assume("]" not in pattern)
    expected = re.fullmatch(fnmatch.translate(pattern), value) is not None
    assert Pattern(pattern, variables=False).matches(value, {}) is expected


@given(st.text(max_size=10), st.text(max_size=10))
def test_a_variable_s_value_stands_for_itself(value: str, other: str) -> None:
    pattern = Pattern("<${aws:username}>")
    assert pattern.matches(f"<{value}>", {"aws:username": value})
    assert pattern.matches(f"<{other}>", {"aws:username": value}) is (value == other)
