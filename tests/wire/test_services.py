"""The services beside Kinesis on the same port: which request goes where, in every protocol, by botocore."""

from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config as BotoConfig
from botocore.exceptions import ClientError
from botocore.session import Session

from tests.wire.conftest import REGION, Endpoint

PROTOCOLS = {"cloudwatch": ["smithy-rpc-v2-cbor", "json", "query"], "sts": ["query"], "iam": ["query"], "kms": ["json"],
             "glue": ["json"]}  # fmt: skip
CASES = [(service, protocol) for service, protocols in PROTOCOLS.items() for protocol in protocols]

NEVER = {
    "cloudwatch": ("describe_anomaly_detectors", {}),
    "sts": ("decode_authorization_message", {"EncodedMessage": "x"}),
    "iam": ("list_virtual_mfa_devices", {}),
    "kms": ("list_key_rotations", {"KeyId": "x"}),
    "glue": ("delete_partition", {"DatabaseName": "d", "TableName": "t", "PartitionValues": ["x"]}),
}
"""An operation of each service that Tidegate does not have."""


def client(endpoint: Endpoint, service: str, protocol: str, secret: str | None = None, region: str = REGION) -> Any:
    """botocore made to speak one protocol of several."""
    session = Session()
    loader = session.get_component("data_loader")
    load = loader.load_service_model

    def only(name: str, kind: str, api_version: str | None = None) -> Any:
        model = load(name, kind, api_version)
        if name == service and kind == "service-2":
            model = {**model, "metadata": {**model["metadata"], "protocol": protocol, "protocols": [protocol]}}
        return model

    loader.load_service_model = only
    return boto3.Session(botocore_session=session).client(
        service,
        endpoint_url=endpoint.url,
        region_name=region,
        aws_access_key_id=endpoint.access_key_id,
        aws_secret_access_key=secret or endpoint.secret,
        config=BotoConfig(retries={"total_max_attempts": 1}),
    )


@pytest.fixture(params=CASES, ids=["-".join(case) for case in CASES])
def case(request: pytest.FixtureRequest) -> tuple[str, str]:
    return request.param


def test_what_is_not_there_says_so(endpoint: Endpoint, case: tuple[str, str]) -> None:
    service, protocol = case
    operation, params = NEVER[service]
    with pytest.raises(ClientError) as caught:
        getattr(client(endpoint, service, protocol), operation)(**params)
    error = caught.value.response["Error"]
    assert error["Code"] == "UnsupportedOperationException"
    assert "is not supported. " in error["Message"]
    metadata = caught.value.response["ResponseMetadata"]
    assert metadata["HTTPStatusCode"] == 400
    assert metadata["RequestId"] == metadata["HTTPHeaders"]["x-amzn-requestid"]


def test_a_wrong_signature(endpoint: Endpoint, case: tuple[str, str]) -> None:
    service, protocol = case
    operation, params = NEVER[service]
    with pytest.raises(ClientError) as caught:
        getattr(client(endpoint, service, protocol, secret="wrong"), operation)(**params)
    in_json = service in {"kms", "glue"}
    assert caught.value.response["Error"]["Code"] == (
        "InvalidSignatureException" if in_json else "SignatureDoesNotMatch"
    )
    status = caught.value.response["ResponseMetadata"]["HTTPStatusCode"]
    assert status == (400 if in_json else 403)


def test_global_services_are_signed_for_the_first_region_too(endpoint: Endpoint) -> None:
    with pytest.raises(ClientError) as caught:
        client(endpoint, "iam", "query", region="aws-global").list_virtual_mfa_devices()
    assert caught.value.response["Error"]["Code"] == "UnsupportedOperationException"


def test_a_presigned_url(endpoint: Endpoint) -> None:
    sts = client(endpoint, "sts", "query")
    for method in ("GET", "POST"):
        url = sts.generate_presigned_url(
            "decode_authorization_message", Params={"EncodedMessage": "x"}, ExpiresIn=60, HttpMethod=method
        )
        answer = httpx.request(method, url, timeout=60)
        assert answer.status_code == 400
        assert "<Code>UnsupportedOperationException</Code>" in answer.text
        assert answer.headers["content-type"] == "text/xml"


def test_operations_that_no_service_has(endpoint: Endpoint) -> None:
    for protocol, code in (
        ("json", "InvalidAction"),
        ("smithy-rpc-v2-cbor", "InvalidAction"),
        ("query", "InvalidAction"),
    ):
        asking = client(endpoint, "cloudwatch", protocol)

        def rename(params: dict[str, Any], **_: Any) -> None:
            headers, body = params["headers"], params["body"]
            if "X-Amz-Target" in headers:
                headers["X-Amz-Target"] = headers["X-Amz-Target"].replace("ListDashboards", "Nothing")
            elif isinstance(body, dict):
                body["Action"] = "Nothing"
            params["url"] = params["url"].replace("ListDashboards", "Nothing")

        asking.meta.events.register("before-call.cloudwatch.ListDashboards", rename)
        with pytest.raises(ClientError) as caught:
            asking.list_dashboards()
        assert caught.value.response["Error"]["Code"] == code, protocol


def test_a_signature_for_another_service(endpoint: Endpoint) -> None:
    asking = client(endpoint, "kms", "json")
    asking.meta.events.register("before-sign.kms", lambda request, **_: None)
    asking.meta.service_model.metadata["signingName"] = "kinesis"
    asking._request_signer._signing_name = "kinesis"
    with pytest.raises(ClientError) as caught:
        asking.list_key_rotations(KeyId="x")
    assert caught.value.response["Error"]["Code"] == "InvalidSignatureException"
    assert "scoped to correct service" in caught.value.response["Error"]["Message"]


def test_unsigned(endpoint: Endpoint) -> None:
    answer = httpx.post(
        endpoint.url + "/service/GraniteServiceVersion20100801/operation/ListDashboards",
        headers={"smithy-protocol": "rpc-v2-cbor", "content-type": "application/cbor"},
        content=b"\xa0",
        timeout=60,
    )
    assert answer.status_code == 403
    assert answer.headers["smithy-protocol"] == "rpc-v2-cbor"
    assert answer.headers["x-amzn-query-error"] == "MissingAuthenticationToken;Sender"
    assert httpx.get(endpoint.url + "/service/x/operation/y", timeout=60).status_code in {302, 404}
