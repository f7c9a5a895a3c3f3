"""What the configurations of all destinations have in common: each function takes AWS's members as given, and answers
them as they are stored and described, with AWS's defaults filled in. All raise InvalidArgumentException."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from apps.delivery import settings
from apps.delivery.destinations.endpoints import check_endpoint
from apps.delivery.errors import InvalidArgumentException
from apps.delivery.models import DestinationType
from apps.runtime import Call

Json = dict[str, Any]

SIZE_MB, INTERVAL_S = 5, 300
"""AWS's default buffering hints."""

NO_ENCRYPTION: Json = {"NoEncryptionConfig": "NoEncryption"}


@dataclass(frozen=True, slots=True)
class Situation:
    """Where a configuration is given: in which account and region; allow_private: endpoints may have private and local
    addresses."""

    account_id: str
    region: str
    allow_private: bool

    @classmethod
    def of(cls, call: Call) -> Situation:
        """Of a call."""
        config = call.runtime.config
        return cls(call.principal.account_id, config.region, config.destinations_may_be_private)


def buffering(given: Json | None, size_mb: int = SIZE_MB, interval_s: int = INTERVAL_S, *, both: bool = False) -> Json:
    """BufferingHints. both: AWS wants both members or none (S3, HTTP endpoints and Iceberg)."""
    given = given or {}
    if both and len(given) == 1:
        raise InvalidArgumentException(
            "BufferingHints: SizeInMBs and IntervalInSeconds must be specified together, or neither of them."
        )
    return {
        "SizeInMBs": given.get("SizeInMBs", size_mb),
        "IntervalInSeconds": given.get("IntervalInSeconds", interval_s),
    }


def logging(given: Json | None) -> Json:
    """CloudWatchLoggingOptions."""
    given = given or {}
    if given.get("Enabled") and not (given.get("LogGroupName") and given.get("LogStreamName")):
        raise InvalidArgumentException(
            "CloudWatchLoggingOptions: LogGroupName and LogStreamName must be specified when logging is enabled."
        )
    return {"Enabled": False, **given}


def encryption(given: Json | None) -> Json:
    """EncryptionConfiguration of objects in S3."""
    if not given:
        return NO_ENCRYPTION
    if len(given) != 1:
        raise InvalidArgumentException(
            "EncryptionConfiguration: specify either NoEncryptionConfig or KMSEncryptionConfig."
        )
    return given


def retries(destination_type: DestinationType, given: Json | None) -> Json:
    """RetryOptions."""
    return {"DurationInSeconds": (given or {}).get("DurationInSeconds", settings.RETRY_S[destination_type])}


def check(look: Callable[..., Any], *arguments: Any, **named: Any) -> None:
    """Let a part of the engine look at what it will have to do: its ValueError is what the caller is told."""
    try:
        look(*arguments, **named)
    except ValueError as error:
        raise InvalidArgumentException(str(error)) from error


def endpoint(member: str, url: str, situation: Situation) -> str:
    """A URL that a destination is called at, if it can be, as far as that can be told without calling it."""
    problem = check_endpoint(url, allow_private=situation.allow_private)
    if problem:
        raise InvalidArgumentException(f"{member}: {problem}")
    return url


def no_secrets_manager(given: Json) -> Json:
    """SecretsManagerConfiguration, which may only be switched off."""
    configured = given.get("SecretsManagerConfiguration")
    if configured is None:
        return {}
    if configured.get("Enabled"):
        raise InvalidArgumentException(
            "SecretsManagerConfiguration: Tidegate has no Secrets Manager. Give the secret itself; it is kept encrypted."
        )
    return {"SecretsManagerConfiguration": configured}


def no_vpc(given: Json) -> None:
    """VpcConfiguration, which Tidegate does not have."""
    if given.get("VpcConfiguration") is not None:
        raise InvalidArgumentException(
            "VpcConfiguration is not supported: Tidegate connects from the network that it runs in."
        )


def copied(given: Json, *names: str) -> Json:
    """The members that are stored as they are given."""
    return {name: given[name] for name in names if given.get(name) is not None}
