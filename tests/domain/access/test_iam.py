"""IAM's operations: what they answer fits AWS's model, and every bad input is refused with AWS's text and stores nothing."""

from typing import Any

import pytest

from apps.access.models import Identity, InlinePolicy, ManagedPolicy
from apps.access.operations import iam, sts
from apps.accounts.principal import Principal
from apps.base.errors import ServiceError
from apps.gateway.invoke import invoke_sync
from apps.runtime import Runtime
from apps.wire.model import Shape, load
from tests.support.callers import document, says, trusting
from tests.support.teams import TestTeam, make_team

pytestmark = pytest.mark.django_db

ACCOUNT = "123456789012"
POLICY = document(says(action="kinesis:PutRecord"))
BROKEN, AT_LEAST = "1 validation error detected:", "Member must have value greater than or equal to"
TRUST = trusting({"AWS": ACCOUNT})


class Iam:
    """IAM as a team calls it. Every answer is held against AWS's model."""

    def __init__(self, runtime: Runtime, principal: Principal) -> None:
        self.runtime = runtime
        self.principal = principal
        self.called: set[str] = set()

    def __call__(self, operation: str, **params: Any) -> Any:
        self.called.add(operation)
        answer = invoke_sync(self.runtime, self.principal, "iam", operation, params)
        output = load("iam").operations[operation].output
        if output is not None:
            fits(output, answer if answer is not None else {}, operation)
        return answer

    def refused(self, operation: str, **params: Any) -> tuple[str, str]:
        with pytest.raises(ServiceError) as caught:
            self(operation, **params)
        return caught.value.code, caught.value.message or ""


def fits(shape: Shape, value: Any, path: str) -> None:
    """Is a value of its shape?"""
    kinds = {
        "structure": dict,
        "list": list,
        "string": str,
        "boolean": bool,
        "integer": int,
        "timestamp": int,
        "map": dict,
    }
    assert isinstance(value, kinds[shape.type]), f"{path}: {value!r} is no {shape.type}"
    if shape.type == "structure":
        assert set(value) <= set(shape.members), f"{path} has {set(value) - set(shape.members)}"
        assert shape.required <= set(value), f"{path} lacks {shape.required - set(value)}"
        for name, item in value.items():
            fits(shape.members[name], item, f"{path}.{name}")
    if shape.type == "list":
        assert shape.member is not None
        for item in value:
            fits(shape.member, item, path)
    if shape.enum:
        assert value in shape.enum, f"{path}: {value}"


@pytest.fixture
def owner(team: TestTeam, runtime: Runtime) -> Iam:
    return Iam(runtime, team.principal)


def test_the_whole_life_of_everything(owner: Iam) -> None:
    """Made, shown, listed, changed and deleted, each operation once."""
    arn = owner("CreatePolicy", PolicyName="p", PolicyDocument=POLICY, Tags=[{"Key": "a", "Value": "1"}])["Policy"][
        "Arn"
    ]
    kinds = {
        "User": owner("CreateUser", UserName="x", Path="/a/", Tags=[{"Key": "t", "Value": "1"}])["User"],
        "Role": owner("CreateRole", RoleName="x", AssumeRolePolicyDocument=TRUST, PermissionsBoundary=arn)["Role"],
        "Group": owner("CreateGroup", GroupName="x")["Group"],
    }
    assert kinds["User"]["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/a/x"
    assert kinds["Role"]["PermissionsBoundary"]["PermissionsBoundaryArn"] == arn
    for kind, made in kinds.items():
        name = {f"{kind}Name": "x"}
        assert owner(f"Get{kind}", **name)[kind]["Arn"] == made["Arn"]
        assert [one["Arn"] for one in owner(f"List{kind}s")[f"{kind}s"]] == [made["Arn"]]
        owner(f"Put{kind}Policy", **name, PolicyName="i", PolicyDocument=POLICY)
        assert "%22kinesis%3APutRecord%22" in owner(f"Get{kind}Policy", **name, PolicyName="i")["PolicyDocument"]
        assert owner(f"List{kind}Policies", **name)["PolicyNames"] == ["i"]
        owner(f"Attach{kind}Policy", **name, PolicyArn=arn)
        owner(f"Attach{kind}Policy", **name, PolicyArn=arn)
        attached = owner(f"ListAttached{kind}Policies", **name)["AttachedPolicies"]
        assert attached == [{"PolicyName": "p", "PolicyArn": arn}]
        if kind != "Group":
            owner(f"Tag{kind}", **name, Tags=[{"Key": "T", "Value": "2"}, {"Key": "u", "Value": "3"}])
            tags = owner(f"List{kind}Tags", **name)["Tags"]
            assert tags == [{"Key": "T", "Value": "2"}, {"Key": "u", "Value": "3"}]
            owner(f"Untag{kind}", **name, TagKeys=["t", "none"])
            owner(f"Put{kind}PermissionsBoundary", **name, PermissionsBoundary=arn)
            owner(f"Delete{kind}PermissionsBoundary", **name)
    users = owner("ListEntitiesForPolicy", PolicyArn=arn)
    assert [len(users[f"Policy{kind}s"]) for kind in kinds] == [1, 1, 1]
    assert owner("GetPolicy", PolicyArn=arn)["Policy"]["AttachmentCount"] == 3
    assert owner.refused("DeletePolicy", PolicyArn=arn)[0] == "DeleteConflictException"
    _members_and_keys(owner)
    _roles(owner)
    _simulated(owner, kinds["User"]["Arn"].replace("/a/", "/b/"), kinds["Group"]["Arn"])
    for kind in kinds:
        name = {f"{kind}Name": "x"}
        assert owner.refused(f"Delete{kind}", **name)[0] == "DeleteConflictException"
        owner(f"Delete{kind}Policy", **name, PolicyName="i")
        owner(f"Detach{kind}Policy", **name, PolicyArn=arn)
        owner(f"Delete{kind}", **name)
    _versions(owner, arn)
    assert not Identity.objects.exists()
    assert not ManagedPolicy.objects.exists()
    assert set(iam.OPERATIONS) - owner.called == set()


def _simulated(owner: Iam, user: str, group: str) -> None:
    actions = {"ActionNames": ["kinesis:PutRecord", "kinesis:GetRecords"]}
    for arn in (user, group):
        results = owner("SimulatePrincipalPolicy", PolicySourceArn=arn, **actions)["EvaluationResults"]
        assert [one["EvalDecision"] for one in results] == ["allowed", "implicitDeny"]
    here = {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}
    policies = [document(says(action="kinesis:*", Condition=here), says("Deny", "kinesis:GetRecords"))]
    asked = owner("SimulateCustomPolicy", PolicyInputList=policies, **actions, ResourceArns=["a:a:a:a:a:a"])
    assert [one["EvalDecision"] for one in asked["EvaluationResults"]] == ["implicitDeny", "explicitDeny"]
    assert asked["EvaluationResults"][0]["MissingContextValues"] == ["aws:sourceip"]
    entry = {"ContextKeyName": "aws:SourceIp", "ContextKeyValues": ["10.1.1.1"], "ContextKeyType": "ip"}
    known = owner("SimulateCustomPolicy", PolicyInputList=policies, **actions, ContextEntries=[entry], MaxItems=1)
    assert (known["EvaluationResults"][0]["EvalDecision"], known["IsTruncated"]) == ("allowed", True)
    assert (
        owner.refused("SimulatePrincipalPolicy", PolicySourceArn="arn:aws:iam::x:user/me", **actions)[0]
        == "InvalidInputException"
    )
    assert (
        owner.refused("SimulateCustomPolicy", PolicyInputList=["{"], **actions)[0] == "MalformedPolicyDocumentException"
    )


def _members_and_keys(owner: Iam) -> None:
    owner("AddUserToGroup", GroupName="x", UserName="x")
    assert [user["UserName"] for user in owner("GetGroup", GroupName="x")["Users"]] == ["x"]
    assert [group["GroupName"] for group in owner("ListGroupsForUser", UserName="x")["Groups"]] == ["x"]
    assert owner.refused("DeleteGroup", GroupName="x")[1] == "Cannot delete entity, must remove users from group first."
    owner("RemoveUserFromGroup", GroupName="x", UserName="x")
    key = owner("CreateAccessKey", UserName="x")["AccessKey"]
    assert key["AccessKeyId"].startswith("AKIA")
    owner("CreateAccessKey", UserName="x")
    assert owner.refused("CreateAccessKey", UserName="x")[1] == "Cannot exceed quota for AccessKeysPerUser: 2"
    owner("UpdateAccessKey", UserName="x", AccessKeyId=key["AccessKeyId"], Status="Inactive")
    listed = owner("ListAccessKeys", UserName="x")["AccessKeyMetadata"]
    assert {one["AccessKeyId"]: one["Status"] for one in listed}[key["AccessKeyId"]] == "Inactive"
    assert owner("GetAccessKeyLastUsed", AccessKeyId=key["AccessKeyId"])["AccessKeyLastUsed"]["ServiceName"] == "N/A"
    assert owner.refused("DeleteUser", UserName="x")[1] == "Cannot delete entity, must delete access keys first."
    for one in listed:
        owner("DeleteAccessKey", UserName="x", AccessKeyId=one["AccessKeyId"])
    owner("UpdateUser", UserName="x", NewUserName="Y", NewPath="/b/")
    assert owner("GetUser", UserName="y")["User"]["Arn"].endswith(":user/b/Y")
    owner("UpdateUser", UserName="Y", NewUserName="x")


def _roles(owner: Iam) -> None:
    owner("UpdateRole", RoleName="x", Description="d", MaxSessionDuration=7200)
    assert owner("UpdateRoleDescription", RoleName="x", Description="e")["Role"]["MaxSessionDuration"] == 7200
    owner("UpdateAssumeRolePolicy", RoleName="x", PolicyDocument=trusting("*"))
    assert "%22%2A%22" in owner("GetRole", RoleName="x")["Role"]["AssumeRolePolicyDocument"]
    assert owner("ListInstanceProfilesForRole", RoleName="x")["InstanceProfiles"] == []
    assert owner("ListAccountAliases")["AccountAliases"] == []


def _versions(owner: Iam, arn: str) -> None:
    for number in range(2, 6):
        made = owner("CreatePolicyVersion", PolicyArn=arn, PolicyDocument=POLICY, SetAsDefault=number == 3)
        assert made["PolicyVersion"]["VersionId"] == f"v{number}"
    assert owner.refused("CreatePolicyVersion", PolicyArn=arn, PolicyDocument=POLICY)[0] == "LimitExceededException"
    assert owner("GetPolicy", PolicyArn=arn)["Policy"]["DefaultVersionId"] == "v3"
    owner("SetDefaultPolicyVersion", PolicyArn=arn, VersionId="v1")
    assert len(owner("ListPolicyVersions", PolicyArn=arn)["Versions"]) == 5
    assert owner("GetPolicyVersion", PolicyArn=arn, VersionId="v1")["PolicyVersion"]["IsDefaultVersion"]
    assert owner.refused("DeletePolicyVersion", PolicyArn=arn, VersionId="v1")[0] == "DeleteConflictException"
    assert owner.refused("DeletePolicy", PolicyArn=arn)[1].startswith("This policy has more than one version.")
    for number in range(2, 6):
        owner("DeletePolicyVersion", PolicyArn=arn, VersionId=f"v{number}")
    owner("TagPolicy", PolicyArn=arn, Tags=[{"Key": "b", "Value": "2"}])
    owner("UntagPolicy", PolicyArn=arn, TagKeys=["a"])
    assert owner("ListPolicyTags", PolicyArn=arn)["Tags"] == [{"Key": "b", "Value": "2"}]
    assert [one["PolicyName"] for one in owner("ListPolicies", Scope="Local")["Policies"]] == ["p"]
    assert "AdministratorAccess" in [one["PolicyName"] for one in owner("ListPolicies", Scope="AWS")["Policies"]]
    owner("DeletePolicy", PolicyArn=arn)


@pytest.mark.parametrize(
    ("operation", "params", "code", "text"),
    [
        ("CreateUser", {"UserName": "X"}, "EntityAlreadyExistsException", "User with name X already exists."),
        ("CreateRole", {"RoleName": "X", "AssumeRolePolicyDocument": TRUST}, "EntityAlreadyExistsException",
         "Role with name X already exists."),
        ("CreatePolicy", {"PolicyName": "X", "PolicyDocument": POLICY}, "EntityAlreadyExistsException",
         "A policy called X already exists. Duplicate names are not allowed."),
        ("CreateRole", {"RoleName": "r", "AssumeRolePolicyDocument": "{"}, "MalformedPolicyDocumentException",
         "Syntax errors in policy."),
        ("CreateRole", {"RoleName": "r", "AssumeRolePolicyDocument": POLICY}, "MalformedPolicyDocumentException",
         "AssumeRole policy may only specify STS AssumeRole actions."),
        ("CreateRole", {"RoleName": "r", "AssumeRolePolicyDocument": trusting("*", Sid="s" * 2_000)},
         "LimitExceededException", "Cannot exceed quota for ACLSizePerRole: 2048"),
        ("CreatePolicy", {"PolicyName": "q", "PolicyDocument": "no"}, "MalformedPolicyDocumentException", "Syntax errors in policy."),
        ("CreatePolicy", {"PolicyName": "q", "PolicyDocument": document(says(Sid="s" * 6_200))}, "LimitExceededException",
         "Cannot exceed quota for PolicySize: 6144"),
        ("PutUserPolicy", {"UserName": "x", "PolicyName": "i", "PolicyDocument": document(says(Principal="*"))},
         "MalformedPolicyDocumentException", "Policy document should not specify a principal."),
        ("PutUserPolicy", {"UserName": "x", "PolicyName": "i", "PolicyDocument": document(says(Sid="s" * 2_100))},
         "LimitExceededException", "Maximum policy size of 2048 bytes exceeded for user x"),
        ("PutRolePolicy", {"RoleName": "none", "PolicyName": "i", "PolicyDocument": POLICY}, "NoSuchEntityException",
         "The role with name none cannot be found."),
        ("GetUserPolicy", {"UserName": "x", "PolicyName": "none"}, "NoSuchEntityException",
         "The user policy with name none cannot be found."),
        ("DeleteUserPolicy", {"UserName": "x", "PolicyName": "none"}, "NoSuchEntityException",
         "The user policy with name none cannot be found."),
        ("AttachUserPolicy", {"UserName": "x", "PolicyArn": f"arn:aws:iam::{ACCOUNT}:policy/none"}, "NoSuchEntityException",
         f"Policy arn:aws:iam::{ACCOUNT}:policy/none does not exist or is not attachable."),
        ("DetachUserPolicy", {"UserName": "x", "PolicyArn": f"arn:aws:iam::{ACCOUNT}:policy/x"}, "NoSuchEntityException",
         f"Policy arn:aws:iam::{ACCOUNT}:policy/x was not found."),
        ("PutUserPermissionsBoundary", {"UserName": "x", "PermissionsBoundary": f"arn:aws:iam::{ACCOUNT}:policy/none"},
         "InvalidInputException", f"Scope ARN: arn:aws:iam::{ACCOUNT}:policy/none does not exist or is not attachable."),
        ("TagUser", {"UserName": "x", "Tags": [{"Key": f"k{n}", "Value": ""} for n in range(50)]}, "LimitExceededException",
         "The number of tags has reached the maximum limit."),
        ("ListUsers", {"Marker": "%"}, "ValidationException", "Invalid Marker."),
        ("DeleteAccessKey", {"UserName": "x", "AccessKeyId": "AKIDEXAMPLE0000000"}, "NoSuchEntityException",
         "The Access Key with id AKIDEXAMPLE0000000 cannot be found."),
        ("UpdateRole", {"RoleName": "x", "MaxSessionDuration": 100}, "ValidationException",
         f"{BROKEN} Value '100' at 'maxSessionDuration' failed to satisfy constraint: {AT_LEAST} 3600"),
    ],
)  # fmt: skip
def test_bad_input_stores_nothing(owner: Iam, operation: str, params: dict[str, Any], code: str, text: str) -> None:
    owner("CreateUser", UserName="x", Tags=[{"Key": "a", "Value": "1"}])
    owner("CreateRole", RoleName="x", AssumeRolePolicyDocument=TRUST)
    owner("CreatePolicy", PolicyName="x", PolicyDocument=POLICY)
    before = rows()
    assert owner.refused(operation, **params) == (code, text)
    assert rows() == before


def rows() -> list[Any]:
    return [list(model.objects.order_by("pk").values()) for model in (Identity, InlinePolicy, ManagedPolicy)]


def test_all_inline_policies_of_one_share_the_size(owner: Iam) -> None:
    owner("CreateUser", UserName="x")
    half = document(says(Sid="s" * 1_000))
    owner("PutUserPolicy", UserName="x", PolicyName="a", PolicyDocument=half)
    owner("PutUserPolicy", UserName="x", PolicyName="a", PolicyDocument=half)
    code, text = owner.refused("PutUserPolicy", UserName="x", PolicyName="b", PolicyDocument=half)
    assert (code, text) == ("LimitExceededException", "Maximum policy size of 2048 bytes exceeded for user x")


def test_a_simulation_has_an_end(owner: Iam) -> None:
    """Before it begins: a request has room for more pairs than memory has."""
    many = {"ActionNames": ["kinesis:PutRecord"] * 50_000, "ResourceArns": ["a:a:a:a:a:a"] * 50_000}
    said = owner.refused("SimulateCustomPolicy", PolicyInputList=[document(says())], **many)
    assert said == ("InvalidInputException", "A simulation has at most 1000 pairs of action and resource.")
    large = [
        document(says(resource=["arn:aws:kinesis:*:*:" + "?" * 1_500 + str(number) for number in range(3)]))
        for _ in range(40)
    ]
    some = {"ActionNames": ["kinesis:PutRecord"] * 100}
    said = owner.refused("SimulateCustomPolicy", PolicyInputList=large, **some)
    assert said == ("InvalidInputException", "The policies are too large for so many pairs of action and resource.")
    asked = owner("SimulateCustomPolicy", PolicyInputList=large[:10], **some)
    assert {one["EvalDecision"] for one in asked["EvaluationResults"]} == {"implicitDeny"}


def test_pages(owner: Iam) -> None:
    for number in range(5):
        owner("CreateUser", UserName=f"u{number}", Path="/even/" if number % 2 == 0 else "/")
    first = owner("ListUsers", MaxItems=3)
    assert first["IsTruncated"]
    second = owner("ListUsers", MaxItems=3, Marker=first["Marker"])
    assert not second["IsTruncated"]
    assert [user["UserName"] for page in (first, second) for user in page["Users"]] == [f"u{n}" for n in range(5)]
    assert len(owner("ListUsers", PathPrefix="/even/")["Users"]) == 3


def test_another_team_has_its_own_names(owner: Iam, runtime: Runtime) -> None:
    arn = owner("CreatePolicy", PolicyName="x", PolicyDocument=POLICY)["Policy"]["Arn"]
    owner("CreateUser", UserName="x")
    other = Iam(runtime, make_team("210987654321", "second", "AKIDSECOND").principal)
    assert other.refused("GetUser", UserName="x")[0] == "NoSuchEntityException"
    assert other.refused("GetPolicy", PolicyArn=arn)[0] == "AccessDeniedException"
    other("CreateUser", UserName="x")
    assert other.refused("AttachUserPolicy", UserName="x", PolicyArn=arn)[0] == "NoSuchEntityException"
    assert other("ListUsers")["Users"][0]["Arn"] == "arn:aws:iam::210987654321:user/x"


@pytest.mark.parametrize("function", [*iam.OPERATIONS.values(), *sts.OPERATIONS.values()])
def test_an_operation_says_what_it_keeps_of_aws(function: Any) -> None:
    assert "Kept from AWS" in (function.__doc__ or "")
    assert "Not kept" in (function.__doc__ or "")
