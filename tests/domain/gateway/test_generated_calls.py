"""Every operation of AWS's model, called once as it should be and in every way that its model forbids.

Made from the table of operations and the model alone: an operation without an example fails here.
"""

import json
from base64 import b64encode
from typing import Any

import cbor2
import pytest
from django.apps import apps as django_apps

from apps.base.errors import ServiceError
from apps.delivery.operations.channel_index import CHANNEL_OPERATIONS
from apps.gateway.invoke import run
from apps.gateway.services import ROUTES, Route
from apps.streams.models import Shard
from apps.streams.operations import OPERATIONS
from apps.wire import cbor, json11
from apps.wire.model import Operation, Shape, load
from tests.domain.gateway.broken_calls import broken_calls
from tests.domain.gateway.examples import EXAMPLES, World

pytestmark = pytest.mark.django_db(transaction=True)

MODEL = load("kinesis")

ANYWHERE = {"SerializationException", "ValidationException", "AccessDeniedException"}
"""Errors that an operation may end with although its model does not list them."""

MILLISECONDS = {1: lambda value, _immutable: value}
"""AWS's times in CBOR: tag 1 over milliseconds, not seconds."""

NOT_STATE = {"leases", "access", "metrics", "contenttypes", "auth", "sessions", "account", "mfa", "socialaccount"}
"""Apps whose rows may change under a refused call: leases, the audit trail, metrics."""


@pytest.fixture
def world(runtime, team) -> World:
    return World(runtime, team.principal).build()


def in_json(value: Any) -> Any:
    """As a client writes it: blobs in base64, times in seconds."""
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, dict):
        return {k: v / 1000 if k == "Timestamp" and isinstance(v, int) else in_json(v) for k, v in value.items()}
    return [in_json(item) for item in value] if isinstance(value, list) else value


def in_cbor(value: Any) -> Any:
    """Times are tagged milliseconds."""
    if isinstance(value, dict):
        return {
            k: cbor2.CBORTag(1, v) if k == "Timestamp" and isinstance(v, int) else in_cbor(v) for k, v in value.items()
        }
    return [in_cbor(item) for item in value] if isinstance(value, list) else value


def send(world: World, route: Route, body: bytes, codec: Any) -> bytes:
    """As the gateway does once it knows who calls: decode, run, encode. Raises ServiceError."""
    from apps.runtime import Call

    if route.function is None:
        raise route.refuse()
    request = codec.decode(body, route.operation, route.request_type)
    call = Call(world.runtime, world.principal, "r", world.runtime.clock.now_ms())

    async def go() -> Any:
        answer = await run(route, call, request)
        if route.operation.is_event_stream:
            event = await anext(answer)
            await answer.aclose()
            return {"SubscribeToShardEvent": event}
        return answer

    answer = world.runtime.wait_for(go())
    return b"" if route.operation.is_event_stream else codec.encode(route.operation, answer)


def wrong_members(shape: Shape, value: Any, path: str = "") -> list[str]:
    """What an answer lacks of the model's required members, and what it has that no model knows."""
    if shape.type == "structure":
        wrong = [f"{path}.{name} is missing" for name in shape.required if name not in value]
        wrong += [f"{path}.{name} is unknown" for name in value if name not in shape.members]
        known = [(name, item) for name, item in value.items() if name in shape.members]
        return wrong + [
            text for name, item in known for text in wrong_members(shape.members[name], item, f"{path}.{name}")
        ]
    if shape.type == "list":
        assert shape.member is not None
        return [text for item in value for text in wrong_members(shape.member, item, f"{path}[]")]
    return [f"{path} is {value}" for _ in [0] if shape.enum and value not in shape.enum]


def state(world: World) -> dict[str, Any]:
    """All rows that a refused call must not touch, and what is in the log."""
    rows: dict[str, Any] = {
        model._meta.label: list(model._default_manager.order_by("pk").values())
        for model in django_apps.get_models()
        if model._meta.app_label not in NOT_STATE
    }
    keys = Shard.objects.order_by("pk").values_list("pk", flat=True)
    rows["the log"] = [world.runtime.wait_for(world.runtime.record_log.bounds(key)) for key in keys]
    return rows


def test_every_operation_has_an_example():
    assert set(EXAMPLES) == set(MODEL.operations) == set(OPERATIONS) | set(CHANNEL_OPERATIONS)


def named_by(form: str, operation: Operation, params: dict[str, Any]) -> dict[str, Any]:
    """The call with its stream by name or by ARN alone; where the model has only one of them, it stays."""
    both = {"StreamName", "StreamARN"} <= set(operation.input.members)
    dropped = {"StreamName", "StreamARN"} - {form} if both else set()
    return {member: value for member, value in params.items() if member not in dropped}


@pytest.mark.parametrize(
    ("codec", "form"),
    [(json11, "StreamName"), (cbor, "StreamARN")],
    ids=["json, by name", "cbor, by ARN"],
)
def test_a_valid_call_of_each_succeeds(world, codec, form):
    failed = []
    for name, example in EXAMPLES.items():
        route = ROUTES["kinesis", name]
        params = named_by(form, route.operation, example(world))
        body = json.dumps(in_json(params)).encode() if codec is json11 else cbor2.dumps(in_cbor(params))
        try:
            answer = send(world, route, body, codec)
        except ServiceError as error:
            failed.append(f"{name}: {error.code} {error.message}")
            continue
        world.settle()
        if answer and route.operation.output is not None:
            plain = json.loads(answer) if codec is json11 else cbor2.loads(answer, semantic_decoders=MILLISECONDS)
            failed += [f"{name}{text}" for text in wrong_members(route.operation.output, plain)]
    assert not failed, "\n".join(failed)


def test_a_dry_run_is_told_that_it_would_have_succeeded_and_changes_nothing(world):
    having = [name for name in OPERATIONS if "DryRun" in MODEL.operations[name].input.members]
    assert len(having) >= 5
    params = {name: EXAMPLES[name](world) | {"DryRun": True} for name in having}
    before = state(world)
    for name in having:
        with pytest.raises(ServiceError) as caught:
            send(world, ROUTES["kinesis", name], json.dumps(in_json(params[name])).encode(), json11)
        assert caught.value.code == "DryRunOperationException", name
    assert state(world) == before


@pytest.mark.parametrize("part", range(2))
def test_every_broken_call_is_refused_and_changes_nothing(world, part):
    failed, count = [], 0
    world.settle()
    examples = {name: EXAMPLES[name](world) for name in sorted(OPERATIONS)[part::2]}
    before = state(world)
    for name, example in examples.items():
        route = ROUTES["kinesis", name]
        allowed = ANYWHERE | set(route.operation.errors)
        for broken in broken_calls(route.operation, example):
            count += 1
            body = json.dumps(in_json(broken.params)).encode()
            try:
                send(world, route, body, json11)
            except ServiceError as error:
                said = str(error.message)
                if error.code not in broken.code.split("|") or broken.says not in said:
                    failed.append(f"{name}: {broken.why}: {error.code} {said[:200]}")
                elif error.code not in allowed:
                    failed.append(f"{name}: {broken.why}: {error.code} is not in the model")
            else:
                failed.append(f"{name}: {broken.why}: accepted")
    failed += [f"some call changed {label}" for label, rows in state(world).items() if rows != before[label]]
    assert not failed, "\n".join(failed)
    assert count > 400
