"""Errors of the key service as its own API tells them, and as Kinesis passes them on."""

from __future__ import annotations

from typing import ClassVar, Self

from apps.base.errors import AccessDeniedException, InternalFailure, ServiceError

# --- told by the KMS API ---------------------------------------------------------------------------------------------


class NotFoundException(ServiceError):
    """No such key or alias."""

    code = "NotFoundException"

    @classmethod
    def key(cls, arn: str) -> Self:
        """A key by its ARN."""
        return cls(f"Key '{arn}' does not exist")

    @classmethod
    def alias(cls, arn: str) -> Self:
        """An alias by its ARN."""
        return cls(f"Alias {arn} is not found.")

    @classmethod
    def invalid(cls, key_id: str) -> Self:
        """What is neither an id, an ARN nor an alias."""
        return cls(f"Invalid keyId '{key_id}'")


class DisabledException(ServiceError):
    """The key is disabled."""

    code = "DisabledException"

    @classmethod
    def key(cls, arn: str) -> Self:
        """A key by its ARN."""
        return cls(f"{arn} is disabled.")


class KMSInvalidStateException(ServiceError):
    """The key's state does not allow this. The same code in Kinesis."""

    code = "KMSInvalidStateException"

    @classmethod
    def pending_deletion(cls, arn: str) -> Self:
        """The key waits for its deletion."""
        return cls(f"{arn} is pending deletion.")


class InvalidCiphertextException(ServiceError):
    """The ciphertext was not made here, was changed, or has another encryption context. AWS sends no text."""

    code = "InvalidCiphertextException"


class IncorrectKeyException(ServiceError):
    """The ciphertext is of another key than the request names."""

    code = "IncorrectKeyException"

    def __init__(self) -> None:
        super().__init__("The key ID in the request does not identify a CMK that can perform this operation.")


class AlreadyExistsException(ServiceError):
    """The alias is taken."""

    code = "AlreadyExistsException"


class InvalidAliasNameException(ServiceError):
    """The alias's name is not allowed."""

    code = "InvalidAliasNameException"


class InvalidArnException(ServiceError):
    """An ARN of another kind than is wanted."""

    code = "InvalidArnException"


class InvalidGrantTokenException(ServiceError):
    """There are no grants here, so no token of one is good."""

    code = "InvalidGrantTokenException"


class InvalidMarkerException(ServiceError):
    """A page marker that was not given out."""

    code = "InvalidMarkerException"


class LimitExceededException(ServiceError):
    """A quota of keys, aliases or rotations."""

    code = "LimitExceededException"


class TagException(ServiceError):
    """Tags that are not allowed."""

    code = "TagException"


class UnsupportedOperationException(ServiceError):
    """AWS has it, Tidegate has not."""

    code = "UnsupportedOperationException"


class DryRunOperationException(ServiceError):
    """The call had DryRun and would have succeeded."""

    code = "DryRunOperationException"

    def __init__(self) -> None:
        super().__init__("The request would have succeeded, but the DryRun option is set.")


class KeyServiceSilent(ServiceError):
    """The key service does not answer, or not in its protocol. A caller of Kinesis hears InternalFailure."""

    code = "DependencyTimeoutException"
    status = 503


# --- told by Kinesis -------------------------------------------------------------------------------------------------


class KMSNotFoundException(ServiceError):
    """No such key."""

    code = "KMSNotFoundException"


class KMSDisabledException(ServiceError):
    """The key is disabled."""

    code = "KMSDisabledException"


class KMSAccessDeniedException(ServiceError):
    """The key may not be used."""

    code = "KMSAccessDeniedException"


class KMSOptInRequired(ServiceError):
    """The account has no subscription of the key service."""

    code = "KMSOptInRequired"


class KMSThrottlingException(ServiceError):
    """The key service is asked too often."""

    code = "KMSThrottlingException"


PASSED_ON: dict[str, type[ServiceError]] = {
    NotFoundException.code: KMSNotFoundException,
    InvalidArnException.code: KMSNotFoundException,
    DisabledException.code: KMSDisabledException,
    KMSInvalidStateException.code: KMSInvalidStateException,
    "KeyUnavailableException": KMSInvalidStateException,
    "InvalidKeyUsageException": KMSInvalidStateException,
    AccessDeniedException.code: KMSAccessDeniedException,
    InvalidCiphertextException.code: KMSAccessDeniedException,
    IncorrectKeyException.code: KMSAccessDeniedException,
    "UnrecognizedClientException": KMSAccessDeniedException,
    "InvalidClientTokenId": KMSAccessDeniedException,
    "InvalidSignatureException": KMSAccessDeniedException,
    "ExpiredTokenException": KMSAccessDeniedException,
    "OptInRequired": KMSOptInRequired,
    "SubscriptionRequiredException": KMSOptInRequired,
    "ThrottlingException": KMSThrottlingException,
    LimitExceededException.code: KMSThrottlingException,
}
"""The key service's code to what Kinesis answers with the same text."""


def as_kinesis_says(error: ServiceError) -> ServiceError:
    """The key service's error as an operation of Kinesis passes it on."""
    kind = PASSED_ON.get(error.code)
    if kind is not None:
        return kind(error.message)
    failure = InternalFailure()
    failure.__cause__ = error
    return failure


class Refused(ServiceError):
    """An error of a key service elsewhere, by its own code and text."""

    code: ClassVar[str] = "KMSInternalException"

    def __init__(self, code: str, message: str | None) -> None:
        super().__init__(message)
        self.code = code  # type: ignore[misc]
