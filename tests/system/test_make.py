"""The Makefile's own sentences."""

import shutil
import subprocess

import pytest

from tests.support.processes import ROOT, environment

pytestmark = pytest.mark.system


@pytest.fixture
def folder(tmp_path):
    for name in ("Makefile", "requirements.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def make(folder, *words):
    return subprocess.run(
        ["make", "--no-print-directory", *words], cwd=folder, env=environment(), capture_output=True, text=True
    )


def test_no_python_is_new_enough(folder):
    old = folder / "old-python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = make(folder, "setup", f"PYTHON={old}")
    assert done.returncode != 0
    assert "Tidegate needs Python 3.11 or newer; install it, or name it" in done.stderr
    assert not (folder / ".venv").exists()


def test_what_is_installed_is_left_alone(folder):
    """A second run does nothing at all."""
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\nexit 0\n")
    python.chmod(0o755)
    shutil.copy(folder / "requirements.txt", folder / ".venv" / "installed.txt")
    done = make(folder, "setup")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_help_is_the_default(folder):
    done = make(folder)
    assert "make up " in done.stdout
    assert done.stdout == make(folder, "help").stdout
