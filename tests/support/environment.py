"""What the processes that tests start find in their environment."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def environment(**settings: str) -> dict[str, str]:
    """This process's, without what tests set for themselves, and what the make that runs them says to makes it runs.
    Tests make more control calls a second than AWS allows."""
    ours = {"REDIS_URL", "RECORD_LOG_URL", "DJANGO_SETTINGS_MODULE", "DATABASE_URL", "MAKEFLAGS", "MFLAGS", "MAKELEVEL"}
    ours.add("PYTHONDONTWRITEBYTECODE")  # a process that compiles the product anew starts a second later
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TIDEGATE_") and name not in ours}
    return kept | {"TIDEGATE_CONTROL_RATES": "off"} | settings
