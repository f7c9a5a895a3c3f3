"""AWS SDK for Java v2, unmodified, over CBOR and HTTP/2, with and without TLS. `make interop` fetches it where Maven is."""

from __future__ import annotations

import json
import shutil
import subprocess
import warnings
from pathlib import Path

import pytest

from tests.interop.test_clients import ROOT, running

JARS = ROOT / ".interop" / "java" / "lib"
PROGRAM = ROOT / "tests" / "interop" / "java" / "PutGetSubscribe.java"
JAVA = 17

pytestmark = pytest.mark.interop


@pytest.fixture
def java() -> str:
    """Skips, and says so among the warnings, where Java or the SDK is missing."""
    found = shutil.which("java")
    if found is None or not JARS.is_dir():
        why = f"the AWS SDK for Java is not tested: needs Java {JAVA} and Maven (make interop)"
        warnings.warn(why, stacklevel=1)
        pytest.skip(why)
    return found


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_java_v2_puts_gets_and_subscribes(tmp_path: Path, java: str, scheme: str) -> None:
    with running(tmp_path, scheme) as (endpoint, environment):
        options = []
        if scheme == "https":
            store = tmp_path / "trust.p12"
            keytool = [str(Path(java).with_name("keytool")), "-importcert", "-noprompt", "-alias", "tidegate"]
            keytool += ["-file", environment["AWS_CA_BUNDLE"], "-keystore", str(store), "-storepass", "changeit"]
            subprocess.run(keytool, check=True, capture_output=True)
            options = [f"-Djavax.net.ssl.trustStore={store}", "-Djavax.net.ssl.trustStorePassword=changeit"]
        done = subprocess.run(
            [java, *options, "-cp", f"{JARS}/*", str(PROGRAM), endpoint],
            env=environment, capture_output=True, text=True, timeout=180,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {"put": 210, "read": 210, "pushed": 210}
