"""Users, roles and groups: made, shown, listed, changed, tagged, deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from apps.access import names
from apps.access.errors import (
    DeleteConflictException,
    EntityAlreadyExistsException,
    InvalidInputException,
    LimitExceededException,
    checked,
)
from apps.access.ids import unique_id
from apps.access.models import Identity
from apps.access.names import PARAMETER
from apps.access.paging import page
from apps.access.policy.document import Kind
from apps.access.rights import changed, managed_documents
from apps.runtime import Call

QUOTAS = {"user": ("UsersPerAccount", 5_000), "role": ("RolesPerAccount", 1_000), "group": ("GroupsPerAccount", 300)}
GROUPS_PER_USER_MAX = 10
SESSION_S_DEFAULT = 3_600

Json = dict[str, Any]


# --- users, roles and groups alike --------------------------------------------------------------------------------------


def _create(call: Call, kind: str, params: Json, **members: Any) -> Identity:
    name = params[PARAMETER[kind]]
    team = names.hold_team(call)
    rows = Identity.objects.filter(team=team, kind=kind)
    if rows.filter(name_key=name.lower()).exists():
        raise EntityAlreadyExistsException(f"{kind.title()} with name {name} already exists.")
    quota, limit = QUOTAS[kind]
    if rows.count() >= limit:
        raise LimitExceededException.quota(quota, limit)
    boundary = params.get("PermissionsBoundary") or ""
    if boundary:
        _check_boundary(boundary, team.account_id)
    return Identity.objects.create(
        team=team,
        kind=kind,
        name=name,
        name_key=name.lower(),
        path=params.get("Path") or "/",
        unique_id=unique_id(kind),
        tags=names.tags_of(params.get("Tags")),
        boundary_arn=boundary,
        created_at_ms=call.now_ms,
        **members,
    )


def _check_boundary(arn: str, account_id: str) -> None:
    own = arn.startswith(("arn:aws:iam::aws:policy/", f"arn:aws:iam::{account_id}:policy/"))
    if not own or arn not in managed_documents([arn]):
        raise InvalidInputException(f"Scope ARN: {arn} does not exist or is not attachable.")


def _delete(call: Call, row: Identity) -> None:
    if row.inline_policies.exists():
        raise DeleteConflictException("Cannot delete entity, must delete policies first.")
    if row.attachments.exists():
        raise DeleteConflictException("Cannot delete entity, must detach all policies first.")
    row.delete()
    changed(call.principal.team_id)


def _listed(call: Call, kind: str, params: Json) -> list[Identity]:
    rows = Identity.objects.filter(team_id=call.principal.team_id, kind=kind).select_related("team")
    return list(rows.filter(path__startswith=params.get("PathPrefix") or "/"))


def _common(row: Identity, word: str) -> Json:
    return {
        "Path": row.path,
        f"{word}Name": row.name,
        f"{word}Id": row.unique_id,
        "Arn": row.arn,
        "CreateDate": row.created_at_ms,
    }


def _with_more(row: Identity, shown: Json) -> Json:
    if row.boundary_arn:
        shown["PermissionsBoundary"] = {
            "PermissionsBoundaryType": "PermissionsBoundaryPolicy",
            "PermissionsBoundaryArn": row.boundary_arn,
        }
    if row.tags:
        shown["Tags"] = names.shown_tags(row.tags)
    return shown


def _user(row: Identity) -> Json:
    return _common(row, "User")


def _role(row: Identity) -> Json:
    shown = _common(row, "Role")
    shown["AssumeRolePolicyDocument"] = quote(row.trust_policy, safe="")
    if row.description:
        shown["Description"] = row.description
    return {**shown, "MaxSessionDuration": row.max_session_s}


def _group(row: Identity) -> Json:
    return _common(row, "Group")


# --- users ------------------------------------------------------------------------------------------------------------


def create_user(call: Call, params: Json) -> Json:
    """A user without a policy, who may do nothing yet.

    Kept from AWS: names without regard to case, path, tags, boundary, quota of 5,000. Not kept: nothing.
    """
    row = _create(call, "user", params)
    return {"User": _with_more(row, _user(row))}


def get_user(call: Call, params: Json) -> Json:
    """A user; without a name the one who calls.

    Kept from AWS: the root user, by a key of the team. Not kept: PasswordLastUsed, as people sign in elsewhere.
    """
    row = names.own_user(call, params)
    if row is None:
        account_id = call.principal.account_id
        arn = f"arn:aws:iam::{account_id}:root"
        return {"User": {"Path": "/", "UserName": "root", "UserId": account_id, "Arn": arn, "CreateDate": 0}}
    return {"User": _with_more(row, _user(row))}


def list_users(call: Call, params: Json) -> Json:
    """Users by name.

    Kept from AWS: PathPrefix, pages. Not kept: nothing.
    """
    return page("Users", _listed(call, "user", params), params, lambda row: row.name_key, _user)


def update_user(call: Call, params: Json) -> None:
    """Another name or path.

    Kept from AWS: keys and policies stay; ARN changes. Not kept: nothing.
    """
    names.hold_team(call)
    row = names.named(call, "user", params)
    new = params.get("NewUserName") or row.name
    taken = Identity.objects.filter(team_id=row.team_id, kind="user", name_key=new.lower()).exclude(pk=row.pk)
    if taken.exists():
        raise EntityAlreadyExistsException(f"User with name {new} already exists.")
    row.name, row.name_key, row.path = new, new.lower(), params.get("NewPath") or row.path
    row.save(update_fields=["name", "name_key", "path"])
    changed(row.team_id)


def delete_user(call: Call, params: Json) -> None:
    """Delete a user who has nothing any more.

    Kept from AWS: DeleteConflict while there are keys, policies or groups. Not kept: nothing.
    """
    row = names.named(call, "user", params)
    if row.access_keys.exists():
        raise DeleteConflictException("Cannot delete entity, must delete access keys first.")
    if row.groups.exists():
        raise DeleteConflictException("Cannot delete entity, must remove users from group first.")
    _delete(call, row)


# --- roles ------------------------------------------------------------------------------------------------------------


def create_role(call: Call, params: Json) -> Json:
    """A role that those may assume whom its trust policy names.

    Kept from AWS: trust policy checked and at most 2,048 characters, MaxSessionDuration, description, path, tags,
    boundary, quota of 1,000. Not kept: principals are not looked up; one that does not exist trusts nobody.
    """
    row = _create(
        call,
        "role",
        params,
        trust_policy=checked(params["AssumeRolePolicyDocument"], Kind.TRUST),
        description=params.get("Description") or "",
        max_session_s=params.get("MaxSessionDuration") or SESSION_S_DEFAULT,
    )
    return {"Role": _with_more(row, _role(row))}


def get_role(call: Call, params: Json) -> Json:
    """A role.

    Kept from AWS: the trust policy percent-encoded. Not kept: RoleLastUsed.
    """
    row = names.named(call, "role", params)
    return {"Role": _with_more(row, _role(row))}


def list_roles(call: Call, params: Json) -> Json:
    """Roles by name.

    Kept from AWS: PathPrefix, pages. Not kept: nothing.
    """
    return page("Roles", _listed(call, "role", params), params, lambda row: row.name_key, _role)


def update_role(call: Call, params: Json) -> Json:
    """Another description or MaxSessionDuration.

    Kept from AWS: what is not given stays. Not kept: nothing.
    """
    row = names.named(call, "role", params)
    row.description = params["Description"] if params.get("Description") is not None else row.description
    row.max_session_s = params.get("MaxSessionDuration") or row.max_session_s
    row.save(update_fields=["description", "max_session_s"])
    return {}


def update_role_description(call: Call, params: Json) -> Json:
    """Another description.

    Kept from AWS: answers the role. Not kept: nothing.
    """
    update_role(call, params)
    return get_role(call, params)


def update_assume_role_policy(call: Call, params: Json) -> None:
    """Another trust policy; sessions that were given out go on.

    Kept from AWS: its checks and size. Not kept: nothing.
    """
    row = names.named(call, "role", params)
    row.trust_policy = checked(params["PolicyDocument"], Kind.TRUST)
    row.save(update_fields=["trust_policy"])


def delete_role(call: Call, params: Json) -> None:
    """Delete a role without policies. Its sessions end within a second.

    Kept from AWS: DeleteConflict while there are policies. Not kept: nothing.
    """
    _delete(call, names.named(call, "role", params))


def list_instance_profiles_for_role(call: Call, params: Json) -> Json:
    """None, always: there are no machines. Tools ask before they delete a role.

    Kept from AWS: the role must exist. Not kept: instance profiles.
    """
    names.named(call, "role", params)
    return {"InstanceProfiles": [], "IsTruncated": False}


# --- groups -----------------------------------------------------------------------------------------------------------


def create_group(call: Call, params: Json) -> Json:
    """A group without users.

    Kept from AWS: names without regard to case, path, quota of 300. Not kept: nothing.
    """
    return {"Group": _group(_create(call, "group", params))}


def get_group(call: Call, params: Json) -> Json:
    """A group and its users.

    Kept from AWS: pages of users. Not kept: nothing.
    """
    row = names.named(call, "group", params)
    members = row.members.select_related("team").all()
    return {"Group": _group(row), **page("Users", members, params, lambda user: user.name_key, _user)}


def list_groups(call: Call, params: Json) -> Json:
    """Groups by name.

    Kept from AWS: PathPrefix, pages. Not kept: nothing.
    """
    return page("Groups", _listed(call, "group", params), params, lambda row: row.name_key, _group)


def list_groups_for_user(call: Call, params: Json) -> Json:
    """The groups a user is in.

    Kept from AWS: pages. Not kept: nothing.
    """
    groups = names.named(call, "user", params).groups.select_related("team").all()
    return page("Groups", groups, params, lambda row: row.name_key, _group)


def delete_group(call: Call, params: Json) -> None:
    """Delete an empty group without policies.

    Kept from AWS: DeleteConflict otherwise. Not kept: nothing.
    """
    row = names.named(call, "group", params)
    if row.members.exists():
        raise DeleteConflictException("Cannot delete entity, must remove users from group first.")
    _delete(call, row)


def add_user_to_group(call: Call, params: Json) -> None:
    """Put a user into a group; one who is in it already is no error.

    Kept from AWS: ten groups a user. Not kept: nothing.
    """
    names.hold_team(call)
    group, user = names.named(call, "group", params), names.named(call, "user", params)
    if user.groups.exclude(pk=group.pk).count() >= GROUPS_PER_USER_MAX:
        raise LimitExceededException.quota("GroupsPerUser", GROUPS_PER_USER_MAX)
    user.groups.add(group)
    changed(user.team_id)


def remove_user_from_group(call: Call, params: Json) -> None:
    """Take a user out of a group; one who is not in it is no error.

    Kept from AWS: both must exist. Not kept: nothing.
    """
    group, user = names.named(call, "group", params), names.named(call, "user", params)
    user.groups.remove(group)
    changed(user.team_id)


# --- boundaries and tags, for users and roles ----------------------------------------------------------------------------


def put_boundary(kind: str) -> Callable[[Call, Json], None]:
    """Put…PermissionsBoundary for one kind."""

    def put(call: Call, params: Json) -> None:
        """Set the managed policy that bounds what policies grant.

        Kept from AWS: own and AWS's managed policies. Not kept: nothing.
        """
        row = names.named(call, kind, params)
        _check_boundary(params["PermissionsBoundary"], call.principal.account_id)
        row.boundary_arn = params["PermissionsBoundary"]
        row.save(update_fields=["boundary_arn"])
        changed(row.team_id)

    return put


def delete_boundary(kind: str) -> Callable[[Call, Json], None]:
    """Delete…PermissionsBoundary for one kind."""

    def delete(call: Call, params: Json) -> None:
        """Take the boundary away.

        Kept from AWS: nothing to take away is no error. Not kept: nothing.
        """
        row = names.named(call, kind, params)
        row.boundary_arn = ""
        row.save(update_fields=["boundary_arn"])
        changed(row.team_id)

    return delete


def tag(kind: str) -> Callable[[Call, Json], None]:
    """TagUser and TagRole."""

    def put(call: Call, params: Json) -> None:
        """Set tags, which policies see as aws:PrincipalTag.

        Kept from AWS: 50, keys without regard to case. Not kept: nothing.
        """
        row = names.named(call, kind, params)
        row.tags = names.merged(row.tags, names.tags_of(params["Tags"]))
        names.check_count(row.tags)
        row.save(update_fields=["tags"])
        changed(row.team_id)

    return put


def untag(kind: str) -> Callable[[Call, Json], None]:
    """UntagUser and UntagRole."""

    def take(call: Call, params: Json) -> None:
        """Take tags away.

        Kept from AWS: keys that are not there are no error. Not kept: nothing.
        """
        row = names.named(call, kind, params)
        gone = {key.lower() for key in params["TagKeys"]}
        row.tags = {key: value for key, value in row.tags.items() if key.lower() not in gone}
        row.save(update_fields=["tags"])
        changed(row.team_id)

    return take


def list_tags(kind: str) -> Callable[[Call, Json], Json]:
    """ListUserTags and ListRoleTags."""

    def listed(call: Call, params: Json) -> Json:
        """Tags by key.

        Kept from AWS: pages. Not kept: nothing.
        """
        row = names.named(call, kind, params)
        return page("Tags", names.shown_tags(row.tags), params, lambda one: str(one["Key"]), lambda one: one)

    return listed
