"""One invocation of a transform: a function behind the Invoke operation of Lambda's API, or a plain HTTP endpoint.

Where it is: the delivery stream's connection named lambda, else the Lambda of the operator's environment. An endpoint with
a path of its own (https://host/transform) is no Lambda API: the same JSON is posted to it as it is, and its answer is read as
a function's. The operator's keys never go to a team's endpoint, and are used for a team's functions as for its buckets:
the first team's all, others' by a grant of the function's ARN.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

import msgspec

from apps.base import outgoing
from apps.base.outgoing import Answer, OutgoingFailed, OutgoingRefused, OutgoingTooLarge
from apps.base.units import MIB
from apps.delivery import grants, role_limits
from apps.delivery.destinations.interface import Target
from apps.delivery.processing.configuration import Transform

if TYPE_CHECKING:
    from apps.delivery.signing import Keys
    from apps.runtime import Runtime

PAYLOAD_BYTES_MAX: Final = 6 * MIB
"""Of a request and of an answer: Lambda's quota of a synchronous invocation."""
INVOCATION_S: Final = 300.0
"""AWS's for a function that transforms."""
TRIAL_S: Final = 20.0
"""While somebody sits and waits for the end of a dry run."""
CONNECT_S: Final = 10.0
DETAIL_CHARACTERS_MAX: Final = 500

ACCESS_DENIED: Final = "Access was denied. Ensure that the access policy allows access to the Lambda function."
NOT_FOUND: Final = "The specified Lambda function does not exist. Use a different function that does exist."
LIMIT_EXCEEDED: Final = "The Lambda concurrent execution limit is exceeded. Increase the concurrent execution limit."
TIMED_OUT: Final = "The Lambda function invocation timed out. Increase the Timeout setting in the Lambda function."
FUNCTION_ERROR: Final = "The Lambda function was successfully invoked but it returned an error result."
NO_ENDPOINT: Final = (
    "There is no endpoint for Lambda: give the delivery stream one, or start Tidegate with AWS_ENDPOINT_URL_LAMBDA, or with"
    " AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for AWS's own."
)

CODES: Final = {
    "AccessDeniedException": ("Lambda.InvokeAccessDenied", ACCESS_DENIED),
    "ResourceNotFoundException": ("Lambda.ResourceNotFound", NOT_FOUND),
    "TooManyRequestsException": ("Lambda.InvokeLimitExceeded", LIMIT_EXCEEDED),
}
"""By the error that Lambda's API answers with."""
BY_STATUS: Final = {
    401: "AccessDeniedException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    429: "TooManyRequestsException",
}
"""Of an answer that names no error."""


class InvocationFailed(Exception):
    """code and message: AWS's, for the error prefix. detail: what was answered, for the error log. again: another attempt may
    help."""

    def __init__(self, code: str, message: str, detail: str = "", *, again: bool = False) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.again = code, message, again
        self.detail = " ".join(detail.split())[:DETAIL_CHARACTERS_MAX]

    @property
    def told(self) -> str:
        """For people."""
        return f"{self.message} ({self.detail})" if self.detail else self.message


@dataclass(frozen=True, slots=True)
class Place:
    """Where to post to, and who signs (None: nobody). trusted: the operator chose it. ca_bundle: a file of authorities."""

    url: str
    region: str
    keys: Keys | None
    allow_private: bool
    ca_bundle: str = ""


def place_for(runtime: Runtime, target: Target, transform: Transform) -> Place:
    """Where the transform of a delivery stream is. Raises InvocationFailed if there is none that its team may use, or its
    role, if there is such a role."""
    from apps.delivery.signing import Keys  # botocore is not needed for starting

    denied = transform.role_arn and role_limits.why_not(
        target.team_id, target.account_id, transform.role_arn, "lambda:InvokeFunction", transform.function_arn
    )
    if denied:
        raise InvocationFailed("Lambda.InvokeAccessDenied", ACCESS_DENIED, denied)
    config = runtime.config
    given = target.connections.get("lambda") or {}
    endpoint: str = given.get("endpoint_url") or ""
    keys = Keys(given["access_key_id"], given.get("secret_access_key", "")) if given.get("access_key_id") else None
    region = given.get("region") or config.destination_region
    if endpoint:
        private = config.destinations_may_be_private
        plain = urlsplit(endpoint).path not in {"", "/"}
        return Place(endpoint if plain else _invoke_url(endpoint, transform), region, keys, private)
    if keys is None:
        keys = _operators(runtime, target, transform)
    endpoint = config.lambda_endpoint
    if not endpoint:
        if keys is None:
            raise InvocationFailed("Lambda.ConnectionFailed", NO_ENDPOINT)
        region = transform.function_arn.split(":")[3]
        endpoint = f"https://lambda.{region}.amazonaws.com"
    return Place(_invoke_url(endpoint, transform), region, keys, allow_private=True, ca_bundle=config.aws_ca_bundle)


def _operators(runtime: Runtime, target: Target, transform: Transform) -> Keys | None:
    """The operator's keys, if there are any and the team may have them used; a Lambda on this machine may need none."""
    from apps.delivery.signing import Keys

    if not grants.may_invoke(target.team_id, transform.function_arn):
        raise InvocationFailed(
            "Lambda.InvokeAccessDenied",
            ACCESS_DENIED,
            "the operator has not given this team the function; a Lambda connection of the delivery stream is another way",
        )
    config = runtime.config
    if not config.aws_access_key_id:
        return None
    return Keys(config.aws_access_key_id, config.aws_secret_access_key, config.aws_session_token)


def _invoke_url(endpoint: str, transform: Transform) -> str:
    name, qualifier = transform.function
    query = f"?Qualifier={quote(qualifier, safe='')}" if qualifier else ""
    return f"{endpoint.rstrip('/')}/2015-03-31/functions/{quote(name, safe='')}/invocations{query}"


def invoke(place: Place, payload: bytes, deadline_s: float) -> bytes:
    """What the function answered. Raises InvocationFailed."""
    headers = {"Content-Type": "application/json", "X-Amz-Invocation-Type": "RequestResponse"}
    if place.keys is not None:
        from apps.delivery.signing import signed

        headers = signed("POST", place.url, payload, headers, service="lambda", region=place.region, keys=place.keys)
    try:
        answer = outgoing.request(
            "POST",
            place.url,
            payload,
            headers,
            allow_private=place.allow_private,
            deadline_s=deadline_s,
            answer_bytes_max=PAYLOAD_BYTES_MAX,
            verify=_trust(place.ca_bundle) if place.ca_bundle else None,
            connect_s=CONNECT_S,
        )
    except OutgoingRefused as error:
        raise InvocationFailed("Lambda.ConnectionFailed", str(error)) from error
    except OutgoingTooLarge as error:
        raise InvocationFailed("Lambda.FunctionError", FUNCTION_ERROR, str(error)) from error
    except OutgoingFailed as error:
        if error.kind == "timeout":
            raise InvocationFailed("Lambda.FunctionTimedOut", TIMED_OUT, str(error), again=True) from error
        raise InvocationFailed(
            "Lambda.ConnectionFailed", "The endpoint does not answer.", str(error), again=True
        ) from error
    _check(answer)
    return answer.body


def _check(answer: Answer) -> None:
    """Raises InvocationFailed for whatever is no answer of a function that ended well."""
    if answer.status == 200:
        if answer.headers.get("x-amz-function-error"):
            said = _member(answer.body, "errorMessage")
            if "Task timed out after" in said:
                raise InvocationFailed("Lambda.FunctionTimedOut", TIMED_OUT, said, again=True)
            raise InvocationFailed("Lambda.FunctionError", FUNCTION_ERROR, said, again=True)
        return
    named = answer.headers.get("x-amzn-errortype", "") or _member(answer.body, "__type")
    error = named.partition(":")[0].rpartition("#")[2] or BY_STATUS.get(answer.status, "")
    detail = f"HTTP status {answer.status} {_member(answer.body, 'message') or _member(answer.body, 'Message')}"
    code, message = CODES.get(error, ("Lambda.InvocationFailed", "The Lambda function could not be invoked."))
    again = answer.status in {408, 429} or answer.status >= 500
    raise InvocationFailed(code, message, detail, again=again)


def _member(body: bytes, name: str) -> str:
    """A string of a JSON answer; empty if there is none."""
    try:
        said: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return ""
    found = said.get(name) if isinstance(said, dict) else None
    return found if isinstance(found, str) else ""


@lru_cache(maxsize=4)
def _trust(ca_bundle: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.load_verify_locations(cafile=ca_bundle)
    return context
