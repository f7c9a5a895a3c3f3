"""What processors may be configured, and what their parameters mean: pure functions of AWS's ProcessingConfiguration.

The order in which processors are given means nothing: AWS applies them in an order of its own (chain.py).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from apps.base.units import KIB, MIB
from apps.delivery.models import DestinationType
from apps.delivery.settings import parameters, partitions, processing, processors

Json = dict[str, Any]

DECOMPRESSION: Final = "Decompression"
EXTRACTION: Final = "CloudWatchLogProcessing"
DEAGGREGATION: Final = "RecordDeAggregation"
LAMBDA: Final = "Lambda"
METADATA: Final = "MetadataExtraction"
DELIMITER: Final = "AppendDelimiterToRecord"

PROCESSORS_MAX: Final = 5
"""That are switched on. Observed of AWS."""
RETRIES: Final = 3
LAMBDA_BUFFER_MB: Final = 1.0
SPLUNK_LAMBDA_BUFFER_MB: Final = 0.25
LAMBDA_BUFFER_S: Final = 60
"""Defaults; the model's documentation of ProcessorParameterName."""
PIECE_BYTES: Final = 4 * MIB
COMPRESSED_PIECE_BYTES: Final = 128 * KIB
"""Log lines are compressed to a tenth or a twentieth."""
APART_PIECE_BYTES: Final = MIB
"""A record of a few bytes takes some 150 in memory."""
JQ_ENGINE: Final = "JQ-1.6"
DELIMITER_BYTES_MAX: Final = 1_024

FUNCTION_ARN: Final = re.compile(
    r"arn:[^:\s]+:lambda:[a-z0-9-]+:\d{12}:function:(?P<name>[a-zA-Z0-9_-]{1,140})"
    r"(?::(?P<qualifier>\$LATEST|[a-zA-Z0-9_-]{1,128}))?"
)
ROLE_ARN: Final = re.compile(r"arn:[^:\s]+:iam::\d{12}:role/[a-zA-Z_0-9+=,.@\-_/]+")
PARTITION_KEY: Final = re.compile(r"!\{partitionKeyFrom(?P<source>Query|Lambda):(?P<name>[^{}]+)\}")
ESCAPE: Final = re.compile(r"\\(n|r|t|\\)")
ESCAPED: Final = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\"}


@dataclass(frozen=True, slots=True)
class Transform:
    """A Lambda processor. size_bytes: of the records of one invocation. retries: further attempts after the first.
    role_arn: who invokes it; the delivery stream's own role unless the processor has one."""

    function_arn: str
    retries: int
    size_bytes: int
    role_arn: str = ""

    @property
    def function(self) -> tuple[str, str]:
        """Name, and version or alias (empty: none) of the function."""
        found = FUNCTION_ARN.fullmatch(self.function_arn)
        return (found["name"], found["qualifier"] or "") if found else (self.function_arn, "")


def by_type(description: Json) -> dict[str, dict[str, str]]:
    """Parameters of the processors that are switched on, by their type."""
    return {one["Type"]: parameters(one) for one in processors(description)}


def transform(destination_type: str, description: Json) -> Transform | None:
    """The Lambda processor that is switched on; None: there is none."""
    given = by_type(description).get(LAMBDA)
    if given is None:
        return None
    size_bytes = processing(destination_type, description).size_bytes
    role_arn = given.get("RoleArn") or description.get("RoleARN") or ""
    return Transform(given["LambdaArn"], int(given.get("NumberOfRetries", RETRIES)), size_bytes, role_arn)


def piece_bytes(description: Json) -> int:
    """How much of the source is processed at a time at most, so that what it becomes has room in memory."""
    enabled = by_type(description)
    if DECOMPRESSION in enabled:
        return COMPRESSED_PIECE_BYTES
    return APART_PIECE_BYTES if DEAGGREGATION in enabled else PIECE_BYTES


def with_defaults(destination_type: str, role_arn: str, given: list[Json]) -> list[Json]:
    """Processors as AWS describes them: a Lambda processor with all of its five parameters, a Decompression with its
    format, DataMessageExtraction in lower case."""
    filled = []
    for one in given:
        said = parameters(one)
        if one["Type"] == LAMBDA:
            size_mb = SPLUNK_LAMBDA_BUFFER_MB if destination_type == DestinationType.SPLUNK else LAMBDA_BUFFER_MB
            said = {
                "LambdaArn": "",
                "NumberOfRetries": str(RETRIES),
                **({"RoleArn": role_arn} if role_arn else {}),
                "BufferSizeInMBs": f"{size_mb:g}",
                "BufferIntervalInSeconds": str(LAMBDA_BUFFER_S),
                **said,
            }
        elif one["Type"] == DECOMPRESSION:
            said = {"CompressionFormat": "GZIP", **said}
        elif one["Type"] == EXTRACTION:
            said = {name: value.lower() for name, value in said.items()}
        filled.append({"Type": one["Type"], "Parameters": _listed(said)})
    return filled


def delimiter(given: dict[str, str]) -> bytes:
    """What AppendDelimiterToRecord appends: a newline, or its Delimiter, where n, r, t and a backslash behind a backslash
    mean what they mean everywhere."""
    text = given.get("Delimiter", "\n")
    return ESCAPE.sub(lambda found: ESCAPED[found[1]], text).encode()


def wanted_keys(description: Json) -> tuple[set[str], set[str]]:
    """The partition keys that Prefix asks a query for, and those it asks a transform for."""
    found = PARTITION_KEY.findall(description.get("Prefix") or "")
    queried, answered = ({name for source, name in found if source == one} for one in ("Query", "Lambda"))
    return queried, answered


def check(destination_type: str, description: Json) -> None:
    """See that the processors of a description can be. Raises ValueError with a sentence.

    What Tidegate refuses and AWS is not known to refuse: two processors of one type, and a name of a partition key that
    Prefix takes both from a query and from a transform.
    """
    configured = description.get("ProcessingConfiguration") or {}
    given = list(configured.get("Processors") or [])
    types = [one.get("Type") for one in given]
    for one in given:
        _check_processor(one)
    for kind in types:
        if types.count(kind) > 1:
            raise ValueError(f"Only one processor of type {kind} is allowed.")
    if configured.get("Enabled") and not 1 <= len(given) <= PROCESSORS_MAX:
        raise ValueError(f"Between 1 and {PROCESSORS_MAX} processors are required when processing is enabled.")
    if EXTRACTION in types and DECOMPRESSION not in types:
        raise ValueError(f"{EXTRACTION} processor is only supported with a {DECOMPRESSION} processor.")
    _check_partitioning(destination_type, description, set(by_type(description)))


def _check_partitioning(destination_type: str, description: Json, enabled: set[str]) -> None:
    partitioned = partitions(description)
    if METADATA in enabled and not partitioned and destination_type != DestinationType.ICEBERG:
        raise ValueError(f"{METADATA} processor is only supported when dynamic partitioning is enabled.")
    if not partitioned:
        return
    if destination_type != DestinationType.S3:
        raise ValueError("Dynamic partitioning is only supported for Amazon S3 destinations.")
    queried, answered = wanted_keys(description)
    if queried and METADATA not in enabled:
        raise ValueError(f"A {METADATA} processor is required when Prefix contains partitionKeyFromQuery.")
    if answered and LAMBDA not in enabled:
        raise ValueError(f"A {LAMBDA} processor is required when Prefix contains partitionKeyFromLambda.")
    if queried & answered:
        both = ", ".join(sorted(queried & answered))
        raise ValueError(f"Prefix takes a partition key of the same name from a query and from Lambda: {both}.")


def _check_processor(processor: Json) -> None:
    kind = processor.get("Type")
    if kind not in RULES:
        raise ValueError(f"Processor type {kind} is not supported.")
    rule = RULES[kind]
    given: dict[str, str] = {}
    for one in processor.get("Parameters") or []:
        name, value = one["ParameterName"], one["ParameterValue"]
        if name not in rule.parameters:
            raise ValueError(f"Parameter {name} is not supported for processor type {kind}.")
        if name in given:
            raise ValueError(f"Parameter {name} of processor type {kind} is given more than once.")
        given[name] = value
        rule.parameters[name](name, value)
    for name in rule.required:
        if name not in given:
            raise ValueError(f"Parameter {name} is required for processor type {kind}.")
    if kind == DEAGGREGATION and ("Delimiter" in given) != (given["SubRecordType"] == "DELIMITED"):
        raise ValueError("Parameter Delimiter is required when SubRecordType is DELIMITED, and only then.")


def _one_of(*allowed: str) -> Callable[[str, str], None]:
    def look(name: str, value: str) -> None:
        if value not in allowed:
            raise ValueError(f"{name} must be {' or '.join(allowed)}.")

    return look


def _whole(least: int, most: int) -> Callable[[str, str], None]:
    def look(name: str, value: str) -> None:
        if not re.fullmatch(r"[0-9]{1,9}", value) or not least <= int(value) <= most:
            raise ValueError(f"{name} must be a whole number between {least} and {most}.")

    return look


def _megabytes(name: str, value: str) -> None:
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,9})?", value) or not 0.2 <= float(value) <= 3:
        raise ValueError(f"{name} must be a number between 0.2 and 3.")


def _like(pattern: re.Pattern[str]) -> Callable[[str, str], None]:
    def look(name: str, value: str) -> None:
        if not pattern.fullmatch(value):
            raise ValueError(f"{name} is not a valid ARN.")

    return look


def _boolean(name: str, value: str) -> None:
    if value.lower() not in {"true", "false"}:
        raise ValueError(f"{name} must be true or false.")


def _base64(name: str, value: str) -> None:
    try:
        found = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if not 0 < len(found) <= DELIMITER_BYTES_MAX:
        raise ValueError(f"{name} must be 1 to {DELIMITER_BYTES_MAX} bytes, encoded in base64.")


def _query(_name: str, value: str) -> None:
    from apps.delivery.processing.jq_queries import problem  # it starts a process, which few requests need

    wrong = problem(value)
    if wrong:
        raise ValueError(f"MetadataExtractionQuery is not a valid JQ expression: {wrong}")


def _short(name: str, value: str) -> None:
    if len(value.encode("utf-8", "replace")) > DELIMITER_BYTES_MAX:
        raise ValueError(f"{name} must have at most {DELIMITER_BYTES_MAX} bytes.")


def _listed(said: dict[str, str]) -> list[Json]:
    return [{"ParameterName": name, "ParameterValue": value} for name, value in said.items()]


@dataclass(frozen=True, slots=True)
class _Rule:
    """The parameters that a processor takes, each with what looks at its value, and those that it needs."""

    parameters: dict[str, Callable[[str, str], None]]
    required: tuple[str, ...] = ()


RULES: Final = {
    DECOMPRESSION: _Rule({"CompressionFormat": _one_of("GZIP")}),
    EXTRACTION: _Rule({"DataMessageExtraction": _boolean}, ("DataMessageExtraction",)),
    DEAGGREGATION: _Rule(
        {"SubRecordType": _one_of("JSON", "DELIMITED"), "Delimiter": _base64},
        ("SubRecordType",),
    ),
    LAMBDA: _Rule(
        {
            "LambdaArn": _like(FUNCTION_ARN),
            "RoleArn": _like(ROLE_ARN),
            "NumberOfRetries": _whole(0, 300),
            "BufferSizeInMBs": _megabytes,
            "BufferIntervalInSeconds": _whole(0, 900),
        },
        ("LambdaArn",),
    ),
    METADATA: _Rule(
        {"MetadataExtractionQuery": _query, "JsonParsingEngine": _one_of(JQ_ENGINE)},
        ("MetadataExtractionQuery", "JsonParsingEngine"),
    ),
    DELIMITER: _Rule({"Delimiter": _short}),
}
