"""Queues of encrypted streams."""

import pytest

from apps.encryption.data_keys import CONFIRM_AFTER_MS, TRUSTED_MS
from tests.domain.encryption.conftest import key, kms
from tests.domain.queues.conftest import Bench
from tests.support.runtimes import run_due

__all__ = ["key", "kms"]

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_disabled_key_gives_everything_back(bench: Bench, kms, key):
    arn = bench.queue()
    stream = bench.row(arn).stream
    bench("StartStreamEncryption", StreamARN=str(stream.arn), EncryptionType="KMS", KeyId=key)
    run_due(bench.runtime, "lifecycle")
    bench.clock.advance(1_001)  # the data plane looks anew
    bench.put(b"a", b"b")
    assert sorted(record["Data"] for record in bench.receive(arn, VisibilityTimeoutSeconds=0)) == [b"a", b"b"]
    kms("DisableKey", KeyId=key)
    bench.clock.advance(TRUSTED_MS + 1)
    for _ in range(3):
        assert bench.refused("ReceiveQueueRecords", QueueARN=arn)[0] == "KMSDisabledException"
    kms("EnableKey", KeyId=key)
    bench.clock.advance(CONFIRM_AFTER_MS + 1)
    assert [record["ReceiveCount"] for record in bench.receive(arn)] == [2, 2]
