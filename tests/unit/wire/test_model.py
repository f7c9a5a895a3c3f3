import subprocess
import sys

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel

from apps.wire.model import Shape, _Shapes, load

KINESIS = load("kinesis")
THEIRS = ServiceModel(Loader().load_service_model("kinesis", "service-2"))


def test_names_of_the_service():
    assert (KINESIS.name, KINESIS.target_prefix, KINESIS.signing_name) == ("kinesis", "Kinesis_20131202", "kinesis")
    assert load("kinesis") is KINESIS


def test_every_operation_of_botocore_is_there():
    assert set(KINESIS.operations) == set(THEIRS.operation_names)
    assert len(KINESIS.operations) == 57


def same(ours: Shape, theirs, seen=()):
    assert (ours.name, ours.type) == (theirs.name, theirs.type_name)
    assert (ours.minimum, ours.maximum, ours.pattern) == (
        theirs.metadata.get("min"),
        theirs.metadata.get("max"),
        theirs._shape_model.get("pattern"),
    )
    if ours.type == "structure":
        assert list(ours.members) == list(theirs.members)
        assert ours.required == set(theirs.required_members)
        for name, member in theirs.members.items():
            same(ours.members[name], member)
    elif ours.type == "list":
        same(ours.member, theirs.member)
    elif ours.type == "map":
        same(ours.key, theirs.key)
        same(ours.value, theirs.value)
    elif ours.type == "string":
        assert list(ours.enum) == theirs.enum


@pytest.mark.parametrize("name", sorted(KINESIS.operations))
def test_shapes_are_those_of_botocore(name):
    ours, theirs = KINESIS.operations[name], THEIRS.operation_model(name)
    same(ours.input, theirs.input_shape)
    assert (ours.output is None) == (theirs.output_shape is None)
    if ours.output is not None:
        same(ours.output, theirs.output_shape)
    assert list(ours.errors) == [shape.name for shape in theirs.error_shapes]
    assert ours.is_event_stream == theirs.has_event_stream_output


def test_the_newest_members():
    put = KINESIS.operations["PutRecord"].input
    assert put.members["Data"].maximum == 10_485_760
    assert put.required == {"Data"}
    assert {"StreamId", "DryRun", "StreamARN"} <= set(put.members)
    assert put.has_blobs
    assert not put.has_timestamps
    assert KINESIS.operations["GetRecords"].output.has_timestamps


def test_operations_without_an_answer():
    silent = {name for name, operation in KINESIS.operations.items() if operation.output is None}
    assert {
        "CreateStream",
        "DeleteStream",
        "AddTagsToStream",
        "RemoveTagsFromStream",
        "SplitShard",
        "MergeShards",
    } <= silent
    assert "PutRecord" not in silent


def test_the_event_stream():
    events = KINESIS.operations["SubscribeToShard"].events
    assert events is not None
    assert events.is_event_stream
    assert not events.members["SubscribeToShardEvent"].is_error
    assert events.members["ResourceInUseException"].is_error


def test_names_on_the_wire():
    shapes = _Shapes(
        {
            "In": {
                "type": "structure",
                "required": ["Name"],
                "members": {"Name": {"shape": "Text", "locationName": "name"}},
            },
            "Text": {"type": "string"},
        }
    )
    assert list(shapes.get("In").members) == ["name"]
    assert shapes.get("In").required == {"name"}


def test_a_shape_that_contains_itself_is_refused():
    shapes = _Shapes({"A": {"type": "list", "member": {"shape": "A"}}})
    with pytest.raises(ValueError, match="contains itself"):
        shapes.get("A")


def test_a_member_that_leads_back_to_its_structure_is_left_out():
    shapes = _Shapes(
        {
            "Tree": {
                "type": "structure",
                "required": ["Name", "Branches"],
                "members": {"Name": {"shape": "Text"}, "Branches": {"shape": "Trees"}},
            },
            "Trees": {"type": "list", "member": {"shape": "Tree"}},
            "Text": {"type": "string"},
        }
    )
    assert list(shapes.get("Tree").members) == ["Name"]
    assert shapes.get("Tree").required == {"Name"}
    assert shapes.get("Trees").member is shapes.get("Tree")


def test_a_type_that_nobody_knows_is_refused():
    with pytest.raises(ValueError, match="unknown type"):
        _Shapes({"A": {"type": "document"}}).get("A")


def test_the_client_library_is_not_imported():
    code = "import sys, apps.wire.model; print([m for m in ('botocore.session', 'botocore.client', 'boto3') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
