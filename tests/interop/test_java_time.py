"""Patterns of time in object prefixes, letter by letter, against Java's own DateTimeFormatter."""

import shutil
import subprocess
import warnings

import pytest

from apps.delivery.java_time import format_time
from tests.interop.test_clients import ROOT

PROGRAM = ROOT / "tests" / "interop" / "java" / "Patterns.java"
LETTERS = "GuyDMLdQqYwWEecahKkHmsSAnNVzOxXZgp"  # F means something else since Java 19
REFUSED_HERE = ("zzzz", "B", "v")
"""What needs tables of names; Java writes them, AWS's customers hardly."""
PATTERNS = [
    *(letter * count for letter in LETTERS for count in range(1, 7) if letter * count not in REFUSED_HERE),
    "yyyy/MM/dd/HH", "'year='yyyy'/month='MM", "yyyy-MM-dd'T'HH:mm:ss.SSSXXX", "'it''s'", "''", "yyyy'", "[yyyy", "yyyy]", "ppppH",
    "EEEE, d MMMM uuuu", "h:mm a", "y" * 19, "y" * 20, "A" * 10, "#", "YYYY-'w'ww", "{", "b", "pd", "ppd", "p-",
]  # fmt: skip
MOMENTS = [
    1_795_163_467_123,
    1_709_251_199_999,
    1_704_067_200_000,
    1_735_689_599_000,
    1_798_761_600_000,
    1_483_228_800_000,
]
ZONES = ["UTC", "Asia/Tokyo", "America/Los_Angeles", "Asia/Kolkata", "America/St_Johns", "Europe/London"]

pytestmark = pytest.mark.interop


def ours(pattern, at_ms, zone):
    try:
        return format_time(pattern, at_ms, zone)
    except ValueError:
        return "refused"


def test_as_java_writes_them():
    java = shutil.which("java")
    if java is None:
        why = "patterns of time are not compared with Java: needs Java 17"
        warnings.warn(why, stacklevel=1)
        pytest.skip(why)
    asked = [(at_ms, zone, pattern) for at_ms in MOMENTS for zone in ZONES for pattern in PATTERNS]
    lines = "".join(f"{at_ms}\t{zone}\t{pattern}\n" for at_ms, zone, pattern in asked)
    done = subprocess.run([java, str(PROGRAM)], input=lines, capture_output=True, text=True, timeout=180, check=True)
    written = done.stdout.split("\n")[:-1]
    different = [
        (*one, java_s, mine)
        for one, java_s in zip(asked, written, strict=True)
        if (mine := ours(one[2], one[0], one[1])) != java_s
    ]
    assert different == []
