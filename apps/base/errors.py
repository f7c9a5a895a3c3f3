"""The root of every error that a caller of an AWS operation may see."""

from __future__ import annotations

from typing import Any, ClassVar


class ServiceError(Exception):
    """An AWS-shaped error. Subclasses carry AWS's code, and build AWS's text from their arguments.

    code: the bare AWS name, which becomes `__type`. status: the HTTP status.
    message: AWS's text, or None where AWS sends no message at all.
    members: further members of the error's shape, by AWS name.
    """

    code: ClassVar[str] = "InternalFailure"
    status: ClassVar[int] = 400

    def __init__(self, message: str | None = None, **members: Any) -> None:
        super().__init__(message)
        self.message = message
        self.members = members


class InternalFailure(ServiceError):
    """A bug or a broken part. Logged once at the front door with the request id; no text goes out."""

    code = "InternalFailure"
    status = 500


class ServiceUnavailable(ServiceError):
    """Too busy, or a part is missing for the moment. Clients retry. HTTP 503."""

    code = "ServiceUnavailable"
    status = 503


class ThrottlingException(ServiceError):
    """Too much for now. Clients wait and repeat."""

    code = "ThrottlingException"


class ValidationException(ServiceError):
    """A constraint of the operation's model is broken (wire/validate.py has the texts)."""

    code = "ValidationException"


class SerializationException(ServiceError):
    """The body is not the format it says, or a member has the wrong type. JSON spells it `Message`."""

    code = "SerializationException"


class AccessDeniedException(ServiceError):
    """The caller is known, but may not do this."""

    code = "AccessDeniedException"


class UnknownOperationException(ServiceError):
    """No such service or operation; has no message."""

    code = "UnknownOperationException"
