"""A supervisor over programs given as JSON: `python -m tests.system.supervised JSON`.

A program is healthy when its file exists; once that was noticed, `<file>-noticed` exists too. The pauses before a dead
program starts again are a tenth of the product's. It hangs while the file `hangs` exists, for 0.3 s at most. With `copy` it is
a copy of the supervisor.
"""

import json
import os
import sys
from functools import partial
from pathlib import Path

from workers import supervisor
from workers.supervisor import Program

STOP_S = 60.0


def noticed(mark: Path) -> Path:
    return mark.with_name(f"{mark.name}-noticed")


def healthy(mark: Path) -> bool:
    if not mark.exists():
        return False
    noticed(mark).touch()
    return True


def forget(mark: Path) -> None:
    mark.unlink(missing_ok=True)
    noticed(mark).unlink(missing_ok=True)


def main() -> None:
    programs = []
    for given in json.loads(sys.argv[1]):
        mark = Path(given["healthy"])
        programs.append(
            Program(
                given["name"], [sys.executable, "-c", given["code"]], partial(healthy, mark), given.get("stop_s", STOP_S),
                tuple(given.get("needs", ())), partial(forget, mark), hangs=Path(given.get("hangs", "/nowhere")).exists,
                run=partial(exec, given["code"], {}) if given.get("copy") else None, title=given["name"],
            )
        )  # fmt: skip
    supervisor.PAUSES_S = tuple(pause_s / 10 for pause_s in supervisor.PAUSES_S)
    supervisor.HUNG_S, supervisor.HUNG_LOOK_EVERY_S = 0.3, 0.05
    running = supervisor.Supervisor(programs, os.environ)
    try:
        running.run(lambda: running.say("all healthy") or True)
    except supervisor.GaveUp as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
