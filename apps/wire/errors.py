"""The errors of signatures: AWS's codes, and the texts that come from more than one place. All are HTTP 400 in JSON and CBOR."""

from __future__ import annotations

from apps.base.errors import ServiceError


class MissingAuthenticationToken(ServiceError):
    """Neither an Authorization header nor a presigned query."""

    code = "MissingAuthenticationTokenException"

    def __init__(self) -> None:
        super().__init__("Missing Authentication Token")


class IncompleteSignature(ServiceError):
    """The signature lacks a part, or a part is not of its form."""

    code = "IncompleteSignatureException"


class InvalidSignature(ServiceError):
    """The signature is complete, but wrong, too old, too new, or for something else."""

    code = "InvalidSignatureException"

    @classmethod
    def mismatch(cls) -> InvalidSignature:
        """The signature is not the one that the secret makes."""
        return cls(
            "The request signature we calculated does not match the signature you provided. "
            "Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
        )


class UnrecognizedClient(ServiceError):
    """No such access key, or a session token that nobody issued."""

    code = "UnrecognizedClientException"

    def __init__(self) -> None:
        super().__init__("The security token included in the request is invalid.")


class ExpiredToken(ServiceError):
    """The session is over. Query services call it ExpiredToken, with HTTP 403."""

    code = "ExpiredTokenException"

    def __init__(self) -> None:
        super().__init__("The security token included in the request is expired")
