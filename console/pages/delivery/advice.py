"""What to do about an error of a delivery, by its code: one sentence each, for the page of errors."""

from __future__ import annotations

from typing import Final

ADVICE: Final[dict[str, str]] = {
    "S3.AccessDenied": "See that the access key, and the role if it exists, may put objects into the bucket.",
    "S3.NoSuchBucket": "Create the bucket, or name another one under Configuration.",
    "S3.ConnectionFailed": "Is the endpoint right, and does the server run? Batches wait and are tried again.",
    "S3.ConnectionTimeout": "The server does not answer in time. Batches wait and are tried again.",
    "S3.ConnectionClosed": "The server hung up. Batches wait and are tried again.",
    "S3.EndpointRefused": "Use an address that may be called, or ask the operator for TIDEGATE_PRIVATE_DESTINATIONS.",
    "S3.SlowDown": "Larger buffers make fewer requests: raise size and interval under Configuration.",
    "S3.IllegalLocationConstraintException": "Name the bucket's region in the connection.",
    "S3.InvalidPrefix": "Correct the prefix under Configuration; its example shows what it becomes.",
    "S3.InvalidObjectKey": "Correct the prefix under Configuration; its example shows what it becomes.",
    "S3.SSLHandshake": "The server's certificate cannot be checked. Give it one that this machine trusts.",
    "S3.SSLUnverified": "The server's certificate cannot be checked. Give it one that this machine trusts.",
    "HttpEndpoint.ConnectionFailed": "Is the address right, and does the server run? Batches wait and are tried again.",
    "HttpEndpoint.InvalidResponseFromDestination": (
        "The endpoint must answer 200 with JSON that holds the same requestId and a timestamp."
    ),
    "HttpEndpoint.DestinationException": "The endpoint answered with an error. Its own log says why.",
    "HttpEndpoint.RequestTimeout": "The endpoint has three minutes. Smaller buffers make smaller requests.",
    "HttpEndpoint.ResponseTooLarge": "The endpoint's answer may have 1 MiB.",
    "HttpEndpoint.SSLHandshakeFailure": "The endpoint's certificate cannot be checked. Give it one that is trusted.",
    "Lambda.FunctionTimedOut": "The transform takes too long. Smaller buffers make smaller batches.",
    "Lambda.MissingRecordId": "The transform must answer every recordId that it got.",
    "Lambda.DuplicatedRecordId": "The transform must answer every recordId once.",
    "Lambda.JsonProcessingException": "The transform's answer is no JSON as Firehose wants it.",
    "Lambda.ProcessingFailedStatus": "The transform said ProcessingFailed. The records are under the error prefix.",
    "DataFormatConversion.ParseError": "The records are no JSON objects. They are under the error prefix.",
    "DataFormatConversion.MalformedData": "The records do not fit the schema. They are under the error prefix.",
    "DynamicPartitioning.ActivePartitionExceeded": "Partition by keys with fewer values: 500 may be active at a time.",
    "Redshift.AuthenticationFailed": "Correct user name and password under Configuration.",
    "Redshift.TableNotFound": "Create the table, or name another one under Configuration.",
    "Redshift.DataLoadFailed": "Rows do not fit the table; the message names the first. Correct the COPY options.",
    "Iceberg.NoSuchTable": "Create the table in the catalogue, or name another one under Configuration.",
    "Splunk.InvalidToken": "Correct the HEC token under Configuration.",
    "Splunk.DisabledAck": "Switch on acknowledgements for the HEC token in Splunk.",
    "Splunk.AckTimeout": "Splunk did not acknowledge in time: its indexers are busy, or a balancer is not sticky.",
    "RecordsExpired": "Deliveries were too slow or paused too long. Raise the retention of the source.",
    "SourceGone": "The data stream was deleted. Delete this delivery stream, or point another one at its successor.",
}

FAMILIES: Final[tuple[tuple[str, str], ...]] = (
    ("S3.KMS", "See to the KMS key of the bucket's encryption."),
    ("S3.", "See to the bucket and its connection. Batches wait and are tried again."),
    ("HttpEndpoint.", "See to the endpoint. After the retry duration the records go under the error prefix."),
    ("Splunk.", "See to the HEC endpoint. After the retry duration the records go under the error prefix."),
    ("ES.", "See to the cluster and its index. Rejected documents are under the error prefix."),
    ("OS.", "See to the cluster and its index. Rejected documents are under the error prefix."),
    ("Redshift.", "See to the cluster, the table and the COPY options. The objects stay in the bucket."),
    ("Iceberg.", "See to the catalogue and the table. Rejected rows are under the error prefix."),
    ("Lambda.", "See to the transform. Records that failed are under the error prefix."),
    ("DataFormatConversion.", "Correct the schema or the records. Those that failed are under the error prefix."),
    ("MetadataExtraction.", "Correct the jq expression, or the records. Those that failed are under the error prefix."),
    ("DynamicPartitioning.", "Correct the expression, or the records. Those that failed are under the error prefix."),
    ("KMS", "Enable the KMS key, or use another one."),
)

PARTS: Final = {
    "destination": "Destination",
    "backup": "Backup",
    "processing": "Processing",
    "conversion": "Conversion",
    "errors": "Error prefix",
    "source": "Source",
}


def advice(code: str) -> str:
    """What to do; for a code nobody thought of, where to look."""
    if code in ADVICE:
        return ADVICE[code]
    return next((text for start, text in FAMILIES if code.startswith(start)), "The message says what happened.")
