"""The errors of Glue's API that the catalogue raises, with AWS's texts."""

from __future__ import annotations

from apps.base.errors import ServiceError


class EntityNotFoundException(ServiceError):
    """No such database, table or version."""

    code = "EntityNotFoundException"


class AlreadyExistsException(ServiceError):
    """There is one of that name."""

    code = "AlreadyExistsException"


class InvalidInputException(ServiceError):
    """A value that cannot be, or one that Tidegate does not have."""

    code = "InvalidInputException"


class ConcurrentModificationException(ServiceError):
    """Somebody else was quicker."""

    code = "ConcurrentModificationException"


class ResourceNumberLimitExceededException(ServiceError):
    """A quota of the team is used up."""

    code = "ResourceNumberLimitExceededException"


def database_missing(name: str) -> EntityNotFoundException:
    """AWS's text."""
    return EntityNotFoundException(f"Database {name} not found.")


def table_missing(name: str) -> EntityNotFoundException:
    """AWS's text."""
    return EntityNotFoundException(f"Table {name} not found.")


def version_missing(version: str) -> EntityNotFoundException:
    """AWS's text."""
    return EntityNotFoundException(f"version {version} not found.")
