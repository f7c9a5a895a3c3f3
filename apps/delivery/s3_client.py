"""S3: where it is, with whose keys, and the few requests that deliveries make of it.

Two kinds of place. The operator's: endpoint and keys from the SDK's own environment, trusted, used for the first team and for
buckets that the operator gave a team (grants.py). A team's: what its Connection says, called only at addresses that may be
called (apps/base/outgoing.py), with the team's own keys. The operator's keys never go to a team's endpoint. Nothing else is
looked at: no files in the home directory, no profiles, no instance metadata, no proxies.

botocore makes and signs the requests and reads the answers; apps/base/outgoing.py sends them, on its public hook
`before-send`. So every address is checked where it is connected to, no redirect is followed, answers and times are bounded.
There is one attempt: the engine comes again.
"""

from __future__ import annotations

import base64
import io
import os
import re
import ssl
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from apps.base import outgoing
from apps.base.units import KIB, MIB
from apps.delivery import grants
from apps.delivery.destinations.interface import DeliveryFailed, Target
from apps.delivery.s3_errors import NO_BUCKET, NOT_A_KEY, invalid_answer, of_client_error, of_outgoing, redirected

if TYPE_CHECKING:
    from apps.runtime import Runtime

Json = dict[str, Any]

CONNECT_S: Final = 5.0
WAIT_S: Final = 30.0
"""Without a byte that moves."""
WHOLE_S: Final = 60.0
"""For a request with its answer, and for each SLOWEST_BYTES_S of a body a second more."""
SLOWEST_BYTES_S: Final = 128 * KIB
ANSWER_BYTES_MAX: Final = 2 * MIB
"""Of answers that are no object: a listing of a thousand keys of 1,024 bytes, as XML."""
READ_BYTES_MAX: Final = 8 * MIB
"""Of an object with one request."""
URL_CHARACTERS_MAX: Final = 8 * KIB
"""A key of 1,024 bytes, each written as %XX, and the rest."""
BODY_PIECE_BYTES: Final = 256 * KIB
CLIENTS_MAX: Final = 32
"""Kept per process; one takes about a megabyte."""
LIST_MAX: Final = 1_000
BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
"""A bucket by its name, as grants know it. botocore would take ARNs of access points as well, and make other hosts of them."""
WHOLE: Final = re.compile(r"[0-9]{1,15}")
"""How large an object is, by Content-Range: S3 has none of a petabyte."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where S3 is and who asks. endpoint_url empty: AWS's own. trusted: the operator chose the endpoint. ca_bundle: a file of
    authorities beside the system's."""

    endpoint_url: str
    region: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    trusted: bool
    operators_keys: bool
    ca_bundle: str = ""


@dataclass(frozen=True, slots=True)
class Listed:
    """A key of a listing."""

    key: str
    size_bytes: int
    modified_ms: int


@dataclass(frozen=True, slots=True)
class Read:
    """Bytes of an object. size_bytes: of the whole."""

    data: bytes
    size_bytes: int
    content_encoding: str


def place_for(runtime: Runtime, target: Target) -> Place:
    """Where the S3 of a target is: its backup's connection (for a backup), else the one named s3, else the operator's."""
    given = target.connections.get("s3") or {}
    if target.part == "backup":
        given = target.connections.get("backup") or given
    return place_of(runtime, given)


def place_of(runtime: Runtime, given: Json) -> Place:
    """The place that a connection names; an empty one: the operator's. Raises DeliveryFailed if the operator's keys would have
    to go to somebody else's endpoint."""
    config = runtime.config
    endpoint, key = given.get("endpoint_url") or "", given.get("access_key_id") or ""
    if endpoint and not key:
        raise DeliveryFailed(
            "S3.AccessDenied", "The delivery stream has an S3 endpoint of its own, but no access key for it."
        )
    return Place(
        endpoint or config.s3_endpoint,
        given.get("region") or config.destination_region,
        key or config.aws_access_key_id,
        given.get("secret_access_key", "") if key else config.aws_secret_access_key,
        "" if key else config.aws_session_token,
        trusted=not endpoint,
        operators_keys=not key,
        ca_bundle="" if endpoint else config.aws_ca_bundle,
    )


def s3_for(runtime: Runtime, target: Target, bucket: str) -> S3:
    """A client for a bucket of the target. Raises DeliveryFailed, with AWS's code, if its team may not use it."""
    place = place_for(runtime, target)
    if place.trusted and _is_tidegate(runtime, place.endpoint_url):
        text = "AWS_ENDPOINT_URL leads to Tidegate itself, which is no S3; set AWS_ENDPOINT_URL_S3 beside it."
        raise DeliveryFailed("S3.EndpointRefused", text)
    if place.operators_keys and not place.access_key_id:
        raise DeliveryFailed(
            "S3.AccessDenied",
            "There is no access key for S3: give the delivery stream one, or start Tidegate with AWS_ACCESS_KEY_ID and"
            " AWS_SECRET_ACCESS_KEY.",
        )
    if place.operators_keys and not grants.may_use(target.team_id, bucket):
        raise DeliveryFailed(
            "S3.AccessDenied",
            f"The operator has not given this team the bucket {bucket}; an access key of the delivery stream's own is another way.",
        )
    return runtime.part(Clients).s3(place)


def _is_tidegate(runtime: Runtime, endpoint_url: str) -> bool:
    """Whoever uses the AWS CLI with Tidegate may have its address in the environment that Tidegate is started with."""
    config, parts = runtime.config, urlsplit(endpoint_url)
    here = parts.hostname in {"localhost", "127.0.0.1", "::1", config.host} and parts.port == config.port
    return bool(endpoint_url) and (here or endpoint_url == config.public_address)


class Clients:
    """The clients of one process, newest used last."""

    def __init__(self, runtime: Runtime) -> None:
        self._may_be_private = runtime.config.destinations_may_be_private
        self._lock = threading.Lock()
        self._kept: OrderedDict[Place, S3] = OrderedDict()

    def s3(self, place: Place) -> S3:
        """The client of a place, made at the first call."""
        with self._lock:  # botocore's sessions make one client at a time
            found = self._kept.pop(place, None)
            if found is None:
                found = S3(place, allow_private=place.trusted or self._may_be_private)
            self._kept[place] = found
            while len(self._kept) > CLIENTS_MAX:
                self._kept.popitem(last=False)
            return found


class S3:
    """Requests to one place. Every method raises DeliveryFailed with AWS's code; trying again may help with all of them but
    where the key cannot be one."""

    def __init__(self, place: Place, *, allow_private: bool) -> None:
        self.place = place
        self._allow_private = allow_private
        self._client = _client(place)
        self._client.meta.events.register("before-send.s3", self._send)

    def put(
        self,
        bucket: str,
        key: str,
        body: IO[bytes],
        *,
        md5: bytes,
        content_type: str = "application/octet-stream",
        content_encoding: str = "",
        kms_key_arn: str = "",
        storage_class: str = "",
        expected_owner: str = "",
    ) -> None:
        """Write one object in one request: it is there whole or not at all. body can be sought; md5 is its digest, which the
        server checks. expected_owner: the account that must own the bucket; a server that knows owners refuses otherwise."""
        more: Json = {"ContentEncoding": content_encoding} if content_encoding else {}
        if kms_key_arn:
            more |= {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key_arn}
        if storage_class:
            more["StorageClass"] = storage_class
        if expected_owner:
            more["ExpectedBucketOwner"] = expected_owner
        self._call(
            "put_object",
            Bucket=bucket,
            Key=key,
            Body=body,
            ContentType=content_type,
            ContentMD5=base64.b64encode(md5).decode(),
            **more,
        )

    def head_bucket(self, bucket: str) -> None:
        """Does it exist, and may we see it?"""
        self._call("head_bucket", Bucket=bucket)

    def read(self, bucket: str, key: str, start: int = 0, length: int = READ_BYTES_MAX) -> Read:
        """At most so many bytes of an object. start must lie before its end (an empty object has no bytes to ask for)."""
        assert 0 < length <= READ_BYTES_MAX, length
        said = self._call("get_object", Bucket=bucket, Key=key, Range=f"bytes={start}-{start + length - 1}")
        data: bytes = said["Body"]
        if "ContentRange" not in said:
            if start:
                raise invalid_answer()  # the beginning of the object, or all of it: none of it was asked for
            return Read(data, len(data), str(said.get("ContentEncoding") or ""))
        whole = str(said["ContentRange"]).rpartition("/")[2]
        if not WHOLE.fullmatch(whole) or len(data) != max(0, min(length, int(whole) - start)):
            raise invalid_answer()  # who reads on where it ends would never come to the end of an object
        return Read(data, int(whole), str(said.get("ContentEncoding") or ""))

    def list(self, bucket: str, prefix: str, after: str = "", limit: int = LIST_MAX) -> list[Listed]:
        """Keys with a prefix that come after another one, in order; fewer than limit: there are no more."""
        more = {"StartAfter": after} if after else {}
        said = self._call("list_objects_v2", Bucket=bucket, Prefix=prefix, MaxKeys=limit, **more)
        try:
            return [
                Listed(one["Key"], int(one["Size"]), int(one["LastModified"].timestamp() * 1000))
                for one in said.get("Contents", [])
            ]
        except (KeyError, ValueError, OverflowError) as error:
            raise invalid_answer() from error

    def delete(self, bucket: str, key: str) -> None:
        """Remove an object; one that is not there is no error."""
        self._call("delete_object", Bucket=bucket, Key=key)

    def copy(self, bucket: str, key: str, to_key: str, *, kms_key_arn: str = "") -> None:
        """Copy an object within its bucket."""
        more: Json = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key_arn} if kms_key_arn else {}
        self._call("copy_object", Bucket=bucket, Key=to_key, CopySource={"Bucket": bucket, "Key": key}, **more)

    def _call(self, method: str, **params: Any) -> Json:
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.parsers import ResponseParserError

        _check_names(params["Bucket"], params.get("Key", ""))
        try:
            answer: Json = getattr(self._client, method)(**params)
            if "Body" in answer:
                answer["Body"] = answer["Body"].read()
        except ClientError as error:
            raise of_client_error(error.response) from error
        except (outgoing.OutgoingFailed, outgoing.OutgoingRefused) as error:
            raise of_outgoing(error) from error
        except (ResponseParserError, ValueError, KeyError, TypeError, OverflowError) as error:
            raise invalid_answer() from error  # a stranger's answer may have any form
        except BotoCoreError as error:
            text = f"The request to S3 could not be made: {type(error).__name__}."
            raise DeliveryFailed("S3.BadRequestException", text) from error
        return answer

    def _send(self, request: Any, **_: Any) -> Any:
        """What botocore signed, over a checked connection. Expect is left out: to wait for leave costs slow servers a second,
        and who refuses early is heard all the same."""
        from botocore.awsrequest import AWSResponse, HeadersDict

        headers = {str(name): _text(value) for name, value in request.headers.items()}
        headers = {
            name: value for name, value in headers.items() if name.lower() not in {"expect", "transfer-encoding"}
        }
        length = int(next((value for name, value in headers.items() if name.lower() == "content-length"), 0))
        answer = outgoing.request(
            request.method,
            request.url,
            _body(request.body),
            headers,
            allow_private=self._allow_private,
            deadline_s=WHOLE_S + length / SLOWEST_BYTES_S,
            answer_bytes_max=READ_BYTES_MAX + KIB if request.stream_output else ANSWER_BYTES_MAX,
            verify=_trust(self.place.ca_bundle) if self.place.ca_bundle else None,
            url_characters_max=URL_CHARACTERS_MAX,
            connect_s=CONNECT_S,
            wait_s=WAIT_S,
        )
        if self.place.endpoint_url and 300 <= answer.status < 400:
            raise redirected(answer.status)  # botocore would ask once more, in the region that it is told
        return AWSResponse(request.url, answer.status, HeadersDict(answer.headers), _Answered(answer.body))


def _check_names(bucket: str, key: str) -> None:
    """Paths are sent as they are: one with `..` would lead a server, or a proxy before it, out of the bucket that was granted.
    Deliveries' own keys have none; a table's metadata may name any."""
    if not BUCKET.fullmatch(bucket):
        raise DeliveryFailed("S3.NoSuchBucket", f"{NO_BUCKET} (It is no bucket's name.)")
    if {".", ".."}.intersection(key.split("/")):
        raise DeliveryFailed("S3.InvalidObjectKey", f"{NOT_A_KEY} (It has a part that is . or ...)", permanent=True)


class _Answered(io.BytesIO):
    """The body of an answer as botocore reads it from urllib3."""

    def stream(self, amt: int = 64 * KIB, **_: Any) -> Iterator[bytes]:
        """In pieces."""
        while piece := self.read(amt):
            yield piece


def _body(body: Any) -> bytes | Iterator[bytes]:
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, (bytes, bytearray)):
        return bytes(body)
    return iter(lambda: body.read(BODY_PIECE_BYTES), b"")


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


@lru_cache(maxsize=4)
def _trust(ca_bundle: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(cafile=ca_bundle)
    except OSError as error:
        raise DeliveryFailed("S3.SSLUnverified", "The file that AWS_CA_BUNDLE names holds no authorities.") from error
    return context


@lru_cache(maxsize=1)
def _session() -> Any:
    """botocore's session, kept from looking at the environment and the home directory for anything about whom to be."""
    import botocore.session
    from botocore.credentials import CredentialResolver

    nowhere: Json = dict.fromkeys(("config_file", "credentials_file"), (None, None, os.devnull, None))
    nowhere["profile"] = (None, None, None, None)
    session = botocore.session.Session(session_vars={**botocore.session.Session.SESSION_VARIABLES, **nowhere})
    session.register_component("credential_provider", CredentialResolver([]))
    return session


def _client(place: Place) -> Any:
    """Raises DeliveryFailed for what can be no endpoint, or no region, of S3."""
    from botocore.exceptions import BotoCoreError

    try:
        return _made(place)
    except (BotoCoreError, ValueError) as error:
        text = "The connection's endpoint or region can be none of S3."
        raise DeliveryFailed("S3.EndpointRefused", text) from error


def _made(place: Place) -> Any:
    from botocore.config import Config as ClientConfig

    return _session().create_client(
        "s3",
        region_name=place.region,
        endpoint_url=place.endpoint_url or None,
        aws_access_key_id=place.access_key_id,
        aws_secret_access_key=place.secret_access_key,
        aws_session_token=place.session_token or None,
        config=ClientConfig(
            retries={"total_max_attempts": 1, "mode": "standard"},
            s3={"addressing_style": "path" if place.endpoint_url else "auto"},
            ignore_configured_endpoint_urls=True,
            request_checksum_calculation="when_required",  # many servers know Content-MD5 only
            response_checksum_validation="when_required",
            parameter_validation=True,
            signature_version="s3v4",
        ),
    )
