"""The import contracts of pyproject.toml hold."""

import subprocess
import sys
from pathlib import Path

from tests.tidy.tree import ROOT


def test_imports_go_down_only():
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
