"""Who asked for a job and who stopped it stands in the audit trail, with the stream it belongs to."""

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from apps.access.models import AuditEntry
from tests.console.conftest import make_stream, text_of
from tests.support.delivery_rows import make_delivery

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("served", "stream")]


def entry(operation: str) -> AuditEntry:
    found = AuditEntry.objects.get(operation=operation)
    assert found.person
    assert found.session
    return found


def test_an_import_and_its_cancelling(client):
    file = SimpleUploadedFile("lines.log", b"one\n")
    given = {"target": "orders", "key": "text", "key_text": "customer-7", "key_field": "1", "file": file}
    job = client.post("/t/first/ingestion/import", given)["Location"]
    started = entry("StartImport")
    assert started.resource.endswith(":stream/orders")
    assert (started.before, json.loads(started.after)["file"]) == (None, "lines.log")
    assert "customer-7" not in started.after
    client.post(f"{job}/cancel")
    client.post(f"{job}/cancel")  # had ended: changes nothing, and says nothing
    ended = entry("CancelJob")
    assert (json.loads(ended.before)["status"], json.loads(ended.after)["status"]) == ("WAITING", "CANCELLED")
    assert "CancelJob" in text_of(client.get("/t/first/streams/orders/activity"))


def test_a_replay(client, team, served):
    make_stream(served, team, "copy")
    given = {"source": "orders", "target": "copy", "from_time": "2026-11-20T08:00", "to_time": ""}
    client.post("/t/first/ingestion/replay", given)
    told = json.loads(entry("StartReplay").after)
    assert (told["source"], told["target"]) == ("orders", "copy")


def test_a_refused_job_leaves_nothing(client):
    given = {"source": "orders", "target": "orders", "from_time": "2026-11-20T08:00", "to_time": ""}
    assert client.post("/t/first/ingestion/replay", given).status_code == 422
    assert not AuditEntry.objects.filter(operation="StartReplay").exists()


def test_demo_data_and_redrives(client, team):
    row = make_delivery(team)
    at = f"/t/first/delivery/{row.name}"
    client.post(f"{at}/demo", {"rate": "50", "total": "1000"})
    assert json.loads(entry("StartDemoData").after)["total"] == 1000
    client.post(f"{at}/redrive", {"error_type": "processing-failed"})
    redrive = entry("StartRedrive")
    assert redrive.resource == str(row.arn)
    client.post(f"{at}/jobs/{json.loads(redrive.after)['job']}/cancel")
    assert json.loads(entry("CancelJob").after)["kind"] == "redrive"
