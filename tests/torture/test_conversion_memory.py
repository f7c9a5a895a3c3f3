"""A large buffer is converted in little memory, in a process of its own."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.torture

EXTRA_MAX_MIB = 150

CODE = """
import json, os, resource, tempfile
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.support.settings"
import django
django.setup()
import pyarrow, pyarrow.orc, pyarrow.parquet
from apps.delivery.record import Record
from tests.support.conversion import converting
from apps.delivery.formats import writer_for

COLUMNS = [["id", "bigint"], ["at", "timestamp"], ["text", "string"], ["list", "array<struct<a:int,b:double>>"],
           ["m", "map<string,string>"]]
TAIL = json.dumps({"at": "2024-01-02T03:04:05.678Z", "list": [{"a": 1, "b": 0.5}] * 5, "m": {"k": "v"}})[1:]

def record(number):
    text = f"{number * 2654435761 % 2**64:020d}" * 40
    return Record(f'{{"id":{number},"text":"{text}",{TAIL}'.encode(), 1, number)

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
size = number = 0
with tempfile.TemporaryFile() as file:
    writer = writer_for(file, converting(**OPTIONS), {"columns": COLUMNS}, 1)
    while size < 128 << 20:
        piece = [record(number + one) for one in range(4_000)]
        number += len(piece)
        size += sum(len(one.data) for one in piece)
        assert not writer.write(piece)
    assert not writer.finish()
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""


@pytest.mark.parametrize("options", [{}, {"orc": {}}], ids=["parquet", "orc"])
def test_a_buffer_of_128_mib(options):
    code = f"OPTIONS = {options!r}\n{CODE}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < EXTRA_MAX_MIB
