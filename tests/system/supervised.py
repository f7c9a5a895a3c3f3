"""A supervisor over programs given as JSON: `python -m tests.system.supervised JSON`. Healthy: a file exists."""

import json
import os
import sys
from pathlib import Path

from workers.supervisor import GaveUp, Program, Supervisor


def main() -> None:
    programs = []
    for given in json.loads(sys.argv[1]):
        mark = Path(given["healthy"])
        programs.append(
            Program(
                given["name"], [sys.executable, "-c", given["code"]], mark.exists, given.get("stop_s", 5.0),
                tuple(given.get("needs", ())), lambda mark=mark: mark.unlink(missing_ok=True),
            )
        )  # fmt: skip
    supervisor = Supervisor(programs, os.environ)
    try:
        supervisor.run(lambda: supervisor.say("all healthy") or True)
    except GaveUp as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
