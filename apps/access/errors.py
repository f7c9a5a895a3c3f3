"""Errors of IAM and STS, with AWS's texts. Codes are the shapes' names; the query codec knows what the wire calls them."""

from __future__ import annotations

from typing import Self

from apps.access.policy.document import CHARACTERS_MAX, Kind, Malformed, TooLarge, parse
from apps.base.errors import ServiceError


class NoSuchEntityException(ServiceError):
    """No such user, role, group, policy or key."""

    code = "NoSuchEntityException"
    status = 404

    @classmethod
    def named(cls, kind: str, name: str) -> Self:
        """kind: `user`, `role`, `group`, `user policy` …"""
        return cls(f"The {kind} with name {name} cannot be found.")

    @classmethod
    def policy(cls, arn: str) -> Self:
        """No such managed policy."""
        return cls(f"Policy {arn} was not found.")


class EntityAlreadyExistsException(ServiceError):
    """The name is taken."""

    code = "EntityAlreadyExistsException"
    status = 409


class DeleteConflictException(ServiceError):
    """Something still hangs on it."""

    code = "DeleteConflictException"
    status = 409


class LimitExceededException(ServiceError):
    """A quota of the account."""

    code = "LimitExceededException"
    status = 409

    @classmethod
    def quota(cls, name: str, limit: int) -> Self:
        """A named quota."""
        return cls(f"Cannot exceed quota for {name}: {limit}")


class InvalidInputException(ServiceError):
    """A value that the operation does not take."""

    code = "InvalidInputException"


class MalformedPolicyDocumentException(ServiceError):
    """No policy of the kind that is wanted."""

    code = "MalformedPolicyDocumentException"


class PackedPolicyTooLargeException(ServiceError):
    """Session policies and tags do not fit into a token."""

    code = "PackedPolicyTooLargeException"


class NoSuchPolicy(NoSuchEntityException):
    """The same text for what does not exist and what may not be attached."""

    def __init__(self, arn: str) -> None:
        super().__init__(f"Policy {arn} does not exist or is not attachable.")


def checked(document: str, kind: Kind, holder: str = "") -> str:
    """A document that may be stored. holder: whose inline policy it is, for the text of one that is too large.

    Raises MalformedPolicyDocumentException and LimitExceededException.
    """
    try:
        parse(document, kind)
    except Malformed as error:
        raise MalformedPolicyDocumentException(str(error)) from None
    except TooLarge:
        limit = CHARACTERS_MAX[kind]
        if kind is Kind.TRUST:
            raise LimitExceededException.quota("ACLSizePerRole", limit) from None
        if kind is Kind.MANAGED:
            raise LimitExceededException.quota("PolicySize", limit) from None
        raise LimitExceededException(
            f"Maximum policy size of {limit} bytes exceeded for {kind.value} {holder}"
        ) from None
    return document
