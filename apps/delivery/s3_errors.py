"""What S3 and the way there answer, in the codes and the words of AWS's list of S3 delivery errors.

Nothing that a server says is repeated but its code: whoever chose an endpoint shall not read through us what it answers.
"""

from __future__ import annotations

import re
from typing import Any, Final

from apps.base.outgoing import Failure, OutgoingFailed, OutgoingRefused
from apps.delivery.destinations.interface import DeliveryFailed

Json = dict[str, Any]

CODE: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")

DENIED = (
    "Access was denied. See that the access key may put objects into the bucket, and use its KMS key if there is one."
)
NO_BUCKET = "The specified bucket does not exist. Create the bucket or use a different bucket that does exist."
SLOW_DOWN = (
    "The rate of put requests to the bucket was too high. Increase the buffer size or reduce put requests of other"
    " applications."
)
NO_KMS_KEY = "The provided KMS key was not found. If it has been deleted, use another one."
KMS_DISABLED = "The provided KMS key is disabled. Enable the key or use a different key."
KMS_STATE = "The provided KMS key is in an invalid state. Use a different key."
KMS_RATE = "The KMS request per second limit was exceeded while attempting to encrypt S3 objects."
INTERNAL = "An internal error occurred while attempting to deliver data. Delivery will be retried."
NOT_A_KEY = "The bucket takes no object of that key."

CODES: Final[dict[str, tuple[str, str]]] = {
    "AccessDenied": ("S3.AccessDenied", DENIED),
    "403": ("S3.AccessDenied", DENIED),
    "Forbidden": ("S3.AccessDenied", DENIED),
    "InvalidAccessKeyId": ("S3.AccessDenied", "The access key is not known there."),
    "XAdminUserNotFound": ("S3.AccessDenied", "The access key is not known there."),
    "SignatureDoesNotMatch": ("S3.AccessDenied", "The secret of the access key is another one there."),
    "ExpiredToken": ("S3.InvalidToken", "The session token has expired."),
    "InvalidToken": ("S3.InvalidToken", "The session token is invalid."),
    "NoSuchBucket": ("S3.NoSuchBucket", NO_BUCKET),
    "404": ("S3.NoSuchBucket", NO_BUCKET),
    "InvalidBucketName": ("S3.NoSuchBucket", NO_BUCKET),
    "NoSuchKey": ("S3.NoSuchKey", "The specified object does not exist."),
    "AllAccessDisabled": ("S3.AllAccessDisabled", "Access to the account provided has been disabled."),
    "AccountProblem": ("S3.AccountProblem", "There is a problem with the account that owns the bucket."),
    "NotSignedUp": ("S3.NotSignedUp", "The account is not signed up for S3."),
    "InvalidPayer": ("S3.InvalidPayer", "Access to the account provided has been disabled."),
    "MethodNotAllowed": ("S3.MethodNotAllowed", "The specified method is not allowed against this resource."),
    "PermanentRedirect": ("S3.IllegalLocationConstraintException", "The bucket is in another region; name its region."),
    "AuthorizationHeaderMalformed": (
        "S3.IllegalLocationConstraintException",
        "The bucket is in another region; name its region.",
    ),
    "NotImplemented": ("S3.NotImplemented", "The S3 endpoint lacks something that is asked for, such as KMS keys."),
    "SlowDown": ("S3.SlowDown", SLOW_DOWN),
    "TooManyRequests": ("S3.SlowDown", SLOW_DOWN),
    "KMS.NotFoundException": ("S3.KMS.NotFoundException", NO_KMS_KEY),
    "KMS.DisabledException": ("S3.KMS.KeyDisabled", KMS_DISABLED),
    "KMS.KMSInvalidStateException": ("S3.KMS.InvalidStateException", KMS_STATE),
    "KMS.ThrottlingException": ("S3.KMS.RequestLimitExceeded", KMS_RATE),
}

IMPOSSIBLE_KEYS: Final = frozenset(
    {"KeyTooLongError", "KeyTooLong", "InvalidObjectName", "XMinioInvalidObjectName", "InvalidURI", "InvalidObjectKey"}
)
"""Codes that no later attempt under the same key can escape."""

ON_THE_WAY: Final[dict[Failure, tuple[str, str]]] = {
    "resolve": ("S3.ConnectionFailed", "The name of the S3 endpoint has no address."),
    "connect": ("S3.ConnectionFailed", "Nothing answers at the S3 endpoint."),
    "certificate": ("S3.SSLUnverified", "The certificate of the S3 endpoint is not trusted."),
    "tls": ("S3.SSLHandshake", "The S3 endpoint and Tidegate have no TLS in common."),
    "timeout": ("S3.ConnectionTimeout", "The S3 endpoint did not answer in time."),
    "closed": ("S3.ConnectionClosed", "The S3 endpoint closed the connection before it answered."),
    "protocol": ("S3.InvalidAnswer", "The S3 endpoint answered nothing whole, or nothing of HTTP."),
}


def of_client_error(response: Json) -> DeliveryFailed:
    """An answer of S3 that is an error."""
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)
    said = str(response.get("Error", {}).get("Code") or "")
    code = said if CODE.fullmatch(said) else ""
    if code in IMPOSSIBLE_KEYS:
        return DeliveryFailed("S3.InvalidObjectKey", f"{NOT_A_KEY} (HTTP {status}, {code})", permanent=True)
    if code in CODES:
        named, sentence = CODES[code]
        return DeliveryFailed(named, f"{sentence} (HTTP {status}, {code})")
    if status == 503:
        return DeliveryFailed("S3.SlowDown", f"{SLOW_DOWN} (HTTP 503{f', {code}' if code else ''})")
    if status == 403:
        return DeliveryFailed("S3.AccessDenied", f"{DENIED} (HTTP 403{f', {code}' if code else ''})")
    if 300 <= status < 400:
        return redirected(status)
    if status >= 500 or status < 400:
        return DeliveryFailed("S3.InternalError", f"{INTERNAL} (HTTP {status}{f', {code}' if code else ''})")
    return DeliveryFailed(
        "S3.BadRequestException", f"S3 refused the request. (HTTP {status}{f', {code}' if code else ''})"
    )


def invalid_answer() -> DeliveryFailed:
    """An answer that no S3 gives."""
    return DeliveryFailed("S3.InvalidAnswer", "What the S3 endpoint answered is no answer of S3.")


def redirected(status: int) -> DeliveryFailed:
    """An answer that sends us elsewhere."""
    return DeliveryFailed("S3.InvalidAnswer", f"The S3 endpoint redirects, which is not followed. (HTTP {status})")


def of_outgoing(error: OutgoingFailed | OutgoingRefused) -> DeliveryFailed:
    """A request that got no answer, or was not made."""
    if isinstance(error, OutgoingRefused):
        return DeliveryFailed("S3.EndpointRefused", f"The S3 endpoint is not called. {error}")
    code, sentence = ON_THE_WAY[error.kind]
    return DeliveryFailed(code, sentence)
