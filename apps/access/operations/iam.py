"""IAM, operation by operation: the index. All of it is control plane."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apps.access.operations import access_keys, identities, inline, managed_policies, simulation
from apps.runtime import Call

OTHERWISE = "It is not part of Tidegate's IAM, which has users, groups, roles, their keys and their policies."


def list_account_aliases(_call: Call, _params: dict[str, Any]) -> dict[str, Any]:
    """None: a team has a name and no alias. Tools ask before they begin.

    Kept from AWS: the form. Not kept: aliases.
    """
    return {"AccountAliases": [], "IsTruncated": False}


OPERATIONS: dict[str, Callable[..., Any]] = {
    "CreateUser": identities.create_user,
    "GetUser": identities.get_user,
    "ListUsers": identities.list_users,
    "UpdateUser": identities.update_user,
    "DeleteUser": identities.delete_user,
    "TagUser": identities.tag("user"),
    "UntagUser": identities.untag("user"),
    "ListUserTags": identities.list_tags("user"),
    "PutUserPermissionsBoundary": identities.put_boundary("user"),
    "DeleteUserPermissionsBoundary": identities.delete_boundary("user"),
    "CreateRole": identities.create_role,
    "GetRole": identities.get_role,
    "ListRoles": identities.list_roles,
    "UpdateRole": identities.update_role,
    "UpdateRoleDescription": identities.update_role_description,
    "UpdateAssumeRolePolicy": identities.update_assume_role_policy,
    "DeleteRole": identities.delete_role,
    "TagRole": identities.tag("role"),
    "UntagRole": identities.untag("role"),
    "ListRoleTags": identities.list_tags("role"),
    "PutRolePermissionsBoundary": identities.put_boundary("role"),
    "DeleteRolePermissionsBoundary": identities.delete_boundary("role"),
    "ListInstanceProfilesForRole": identities.list_instance_profiles_for_role,
    "CreateGroup": identities.create_group,
    "GetGroup": identities.get_group,
    "ListGroups": identities.list_groups,
    "ListGroupsForUser": identities.list_groups_for_user,
    "DeleteGroup": identities.delete_group,
    "AddUserToGroup": identities.add_user_to_group,
    "RemoveUserFromGroup": identities.remove_user_from_group,
    "PutUserPolicy": inline.put("user"),
    "GetUserPolicy": inline.get("user"),
    "DeleteUserPolicy": inline.delete("user"),
    "ListUserPolicies": inline.listed("user"),
    "PutRolePolicy": inline.put("role"),
    "GetRolePolicy": inline.get("role"),
    "DeleteRolePolicy": inline.delete("role"),
    "ListRolePolicies": inline.listed("role"),
    "PutGroupPolicy": inline.put("group"),
    "GetGroupPolicy": inline.get("group"),
    "DeleteGroupPolicy": inline.delete("group"),
    "ListGroupPolicies": inline.listed("group"),
    "CreatePolicy": managed_policies.create_policy,
    "GetPolicy": managed_policies.get_policy,
    "ListPolicies": managed_policies.list_policies,
    "DeletePolicy": managed_policies.delete_policy,
    "CreatePolicyVersion": managed_policies.create_policy_version,
    "GetPolicyVersion": managed_policies.get_policy_version,
    "ListPolicyVersions": managed_policies.list_policy_versions,
    "DeletePolicyVersion": managed_policies.delete_policy_version,
    "SetDefaultPolicyVersion": managed_policies.set_default_policy_version,
    "TagPolicy": managed_policies.tag_policy,
    "UntagPolicy": managed_policies.untag_policy,
    "ListPolicyTags": managed_policies.list_policy_tags,
    "ListEntitiesForPolicy": managed_policies.list_entities_for_policy,
    "AttachUserPolicy": managed_policies.attach("user"),
    "DetachUserPolicy": managed_policies.detach("user"),
    "ListAttachedUserPolicies": managed_policies.list_attached("user"),
    "AttachRolePolicy": managed_policies.attach("role"),
    "DetachRolePolicy": managed_policies.detach("role"),
    "ListAttachedRolePolicies": managed_policies.list_attached("role"),
    "AttachGroupPolicy": managed_policies.attach("group"),
    "DetachGroupPolicy": managed_policies.detach("group"),
    "ListAttachedGroupPolicies": managed_policies.list_attached("group"),
    "CreateAccessKey": access_keys.create_access_key,
    "ListAccessKeys": access_keys.list_access_keys,
    "UpdateAccessKey": access_keys.update_access_key,
    "DeleteAccessKey": access_keys.delete_access_key,
    "GetAccessKeyLastUsed": access_keys.get_access_key_last_used,
    "SimulatePrincipalPolicy": simulation.simulate_principal_policy,
    "SimulateCustomPolicy": simulation.simulate_custom_policy,
    "ListAccountAliases": list_account_aliases,
}
