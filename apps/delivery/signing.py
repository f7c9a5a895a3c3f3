"""Requests signed with AWS's Signature Version 4, by botocore's own signer: for endpoints that want it."""

from __future__ import annotations

from dataclasses import dataclass, field

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


@dataclass(frozen=True, slots=True)
class Keys:
    """Who signs. session_token: empty if there is none."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)


def signed(
    method: str, url: str, body: bytes, headers: dict[str, str], *, service: str, region: str, keys: Keys
) -> dict[str, str]:
    """The headers with the signature's beside them; the request must be sent with exactly these, now."""
    credentials = Credentials(keys.access_key_id, keys.secret_access_key, keys.session_token or None)
    request = AWSRequest(method, url, data=body, headers=headers)
    SigV4Auth(credentials, service, region).add_auth(request)
    return dict(request.headers.items())
