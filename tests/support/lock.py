"""`make lock`: requirements.txt from pyproject.toml, run time and development, without index addresses.

One file for Linux and macOS, x86-64 and arm64, Python 3.11 and newer: pins that pip would choose on one of them only are
added under MARKED.
"""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MARKED = ('async-timeout==5.0.1 ; python_full_version < "3.11.3"  # via redis',)
HEADER = "# Every version that Tidegate runs, tests and checks itself with. Made by `make lock` from pyproject.toml.\n"


def main() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = ROOT / "build" / "requirements.in"
    wanted.parent.mkdir(exist_ok=True)
    names = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    wanted.write_text("\n".join(names) + "\n")
    target = ROOT / "requirements.txt"
    subprocess.run(
        [
            "build/lock/bin/pip-compile", "--quiet", "--upgrade", "--strip-extras", "--allow-unsafe", "--no-header",
            "--no-emit-index-url", "--no-emit-trusted-host", "--no-emit-options", "--annotation-style", "line",
            "--output-file", str(target), str(wanted.relative_to(ROOT)),
        ],
        cwd=ROOT,
        check=True,
    )  # fmt: skip
    lines = [line for line in target.read_text().splitlines() if line and not line.startswith("#")]
    pins = [line.replace("-r build/requirements.in", "pyproject.toml") for line in lines]
    target.write_text(HEADER + "\n".join(sorted([*pins, *MARKED], key=str.lower)) + "\n")


if __name__ == "__main__":
    sys.exit(main())
