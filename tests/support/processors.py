"""ProcessingConfiguration in few words."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

FUNCTION_ARN = "arn:aws:lambda:us-east-1:123456789012:function:shape"


def processor(kind: str, **parameters: str) -> Json:
    """One processor as AWS's members."""
    listed = [{"ParameterName": name, "ParameterValue": value} for name, value in parameters.items()]
    return {"Type": kind, "Parameters": listed}


def function(**parameters: str) -> Json:
    """A Lambda processor."""
    return processor("Lambda", **({"LambdaArn": FUNCTION_ARN} | parameters))


def query(text: str) -> Json:
    """A MetadataExtraction processor."""
    return processor("MetadataExtraction", MetadataExtractionQuery=text, JsonParsingEngine="JQ-1.6")


def processing(*processors: Json, enabled: bool = True, **description: Any) -> Json:
    """A description with these processors."""
    return {"ProcessingConfiguration": {"Enabled": enabled, "Processors": list(processors)}, **description}


def partitioned(prefix: str, *processors: Json, **description: Any) -> Json:
    """The same with dynamic partitioning."""
    return processing(
        *processors,
        Prefix=prefix,
        ErrorOutputPrefix="errors/",
        DynamicPartitioningConfiguration={"Enabled": True},
        **description,
    )
