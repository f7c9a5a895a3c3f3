"""The table of services: what each speaks, and each operation's model, function and typed request.

A new operation is a line in its service's OPERATIONS; a new service is a line in SERVICES.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from apps.access.operations import iam, sts
from apps.access.operations.resources import IAM_ALSO, IAM_RESOURCES, STS_RESOURCES
from apps.base.errors import ServiceError, UnknownOperationException
from apps.catalogue import operations as glue
from apps.catalogue.resources import GLUE_ALSO, GLUE_RESOURCES
from apps.cloudwatch import operations as cloudwatch
from apps.cloudwatch.resources import CLOUDWATCH_ALSO, CLOUDWATCH_RESOURCES
from apps.delivery import operations as firehose
from apps.delivery.operations.channel_index import CHANNEL_ALSO, CHANNEL_OPERATIONS, CHANNEL_RESOURCES
from apps.delivery.operations.resources import FIREHOSE_ALSO, FIREHOSE_RESOURCES
from apps.encryption.operations import kms
from apps.encryption.operations.resources import KMS_ACTIONS, KMS_ALSO, KMS_RESOURCES
from apps.streams import operations as kinesis
from apps.streams.operations.resources import ALSO, RESOURCES, Also, Locate, anything
from apps.wire.model import Operation, ServiceModel, load

READS = ("Describe", "Get", "List")


class UnsupportedOperationException(ServiceError):
    """AWS has the operation, this version of Tidegate has not."""

    code = "UnsupportedOperationException"


@dataclass(frozen=True, slots=True)
class Service:
    """One service. name: botocore's folder name. operations: functions by AWS's name; requests: typed ones' structs;
    not_implemented: why not, by name; otherwise: why not, for every operation that neither names.

    resources: what each operation is about, asked by policies; action_prefix: before the colon in their actions;
    actions: after it, where it is not the operation's name; also: (action, resource) that must be allowed beside, for
    operations of the control plane;
    ahead: what a control-plane operation awaits before its transaction begins: answers its params, and more."""

    name: str
    operations: Mapping[str, Callable[..., Any]]
    requests: Mapping[str, type[msgspec.Struct]] = field(default_factory=dict)
    not_implemented: Mapping[str, str] = field(default_factory=dict)
    otherwise: str = ""
    resources: Mapping[str, Locate] = field(default_factory=dict)
    action_prefix: str = ""
    actions: Mapping[str, str] = field(default_factory=dict)
    also: Mapping[str, Also] = field(default_factory=dict)
    ahead: Mapping[str, Callable[..., Any]] = field(default_factory=dict)

    @property
    def model(self) -> ServiceModel:
        """AWS's model of it."""
        return load(self.name)

    def why_not(self, operation: str) -> str:
        """Why an operation is not implemented; empty if it is."""
        return "" if operation in self.operations else self.not_implemented.get(operation, self.otherwise)


SERVICES = {
    service.name: service
    for service in (
        Service(
            "kinesis",
            {**kinesis.OPERATIONS, **CHANNEL_OPERATIONS},
            kinesis.REQUESTS,
            resources={**RESOURCES, **CHANNEL_RESOURCES},
            also={**ALSO, **CHANNEL_ALSO},
            ahead=kinesis.AHEAD,
        ),
        Service(
            "firehose",
            firehose.OPERATIONS,
            firehose.REQUESTS,
            firehose.NOT_IMPLEMENTED,
            resources=FIREHOSE_RESOURCES,
            also=FIREHOSE_ALSO,
            ahead=firehose.AHEAD,
        ),
        Service(
            "glue",
            glue.OPERATIONS,
            not_implemented=glue.NOT_IMPLEMENTED,
            otherwise=glue.OTHERWISE,
            resources=GLUE_RESOURCES,
            also=GLUE_ALSO,
        ),
        Service(
            "cloudwatch",
            cloudwatch.OPERATIONS,
            otherwise="It is not a part of Tidegate's CloudWatch.",
            resources=CLOUDWATCH_RESOURCES,
            also=CLOUDWATCH_ALSO,
        ),
        Service("sts", sts.OPERATIONS, otherwise=sts.OTHERWISE, resources=STS_RESOURCES),
        Service("iam", iam.OPERATIONS, otherwise=iam.OTHERWISE, resources=IAM_RESOURCES, also=IAM_ALSO),
        Service(
            "kms",
            kms.OPERATIONS,
            not_implemented=kms.NOT_IMPLEMENTED,
            otherwise=kms.OTHERWISE,
            resources=KMS_RESOURCES,
            actions=KMS_ACTIONS,
            also=KMS_ALSO,
        ),
    )
}
"""By name. Which protocols each speaks stands in its model; apps/gateway/protocols.py maps them to codecs."""


def nothing_else(_call: Any, _request: Any) -> list[tuple[str, str]]:
    """Most operations are one action on one resource."""
    return []


@dataclass(frozen=True, slots=True)
class Route:
    """Where one operation leads. function None: not implemented, and why. on_loop: data plane, awaited directly.
    signing_name: of the service, in credential scopes."""

    service: str
    name: str
    operation: Operation
    function: Callable[..., Any] | None
    request_type: type[msgspec.Struct] | None
    on_loop: bool
    why_not: str = ""
    signing_name: str = "kinesis"
    locate: Locate = anything
    """The resource that a request is about."""
    action: str = ""
    """As policies call it: `kinesis:PutRecord`."""
    also: Also = nothing_else
    ahead: Callable[..., Any] | None = None

    @property
    def only_reads(self) -> bool:
        """Does it change nothing? By its name, as AWS means it."""
        return self.name.startswith(READS)

    def refuse(self) -> UnsupportedOperationException:
        """The error of an operation that is not implemented."""
        return UnsupportedOperationException(f"The operation {self.name} is not supported. {self.why_not}")


def route(service: str, operation: str) -> Route:
    """The route of an operation by its AWS name. Raises UnknownOperationException."""
    try:
        return ROUTES[service, operation]
    except KeyError:
        raise UnknownOperationException from None


def _routes(service: Service) -> dict[tuple[str, str], Route]:
    model = service.model
    unknown = {*service.operations, *service.requests, *service.not_implemented} - model.operations.keys()
    assert not unknown, f"{service.name} has no operation {unknown}"
    return {(service.name, name): _route(service, operation) for name, operation in model.operations.items()}


def _route(service: Service, operation: Operation) -> Route:
    name = operation.name
    function = service.operations.get(name)
    return Route(
        service=service.name,
        name=name,
        operation=operation,
        function=function,
        request_type=service.requests.get(name),
        on_loop=inspect.iscoroutinefunction(function),
        why_not=service.why_not(name),
        signing_name=service.model.signing_name,
        locate=service.resources.get(name, anything),
        action=f"{service.action_prefix or service.name}:{service.actions.get(name, name)}",
        also=service.also.get(name, nothing_else),
        ahead=service.ahead.get(name),
    )


ROUTES = {key: found for service in SERVICES.values() for key, found in _routes(service).items()}
"""By service and operation name."""

TARGETS = {
    f"{SERVICES[service].model.target_prefix}.{name}": found
    for (service, name), found in ROUTES.items()
    if SERVICES[service].model.target_prefix
}
"""By the whole text of X-Amz-Target."""
