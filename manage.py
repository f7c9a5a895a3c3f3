#!/usr/bin/env python3
"""Django's entry. `python manage.py up` starts everything."""

import gc
import os
import sys

NEED_DATA = ("audit", "buckets", "compact", "endpoint", "faults", "fsck", "import_file", "quotas", "replay", "scale")
"""Commands about data that is there: on a mistyped folder they must not find everything in order."""

COLLECT_AFTER = 50_000
"""Objects more than at the last collection. Importing makes hundreds of thousands and hardly any garbage: to look for it after
each 700, as is the default, is an eighth of a start."""


def main() -> None:
    """Check the Python version, then hand over to Django."""
    if sys.version_info < (3, 11):
        sys.exit(
            f"Tidegate needs Python 3.11 or newer; this is {sys.version.split()[0]}. Install a newer one and run again."
        )
    gc.set_threshold(COLLECT_AFTER)
    os.umask(0o077)  # the database, mails and sockets are this user's alone, whatever the data directory's mode
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    from django.core.management import execute_from_command_line

    from apps.base.config import Config, ConfigError
    from apps.base.datadir import StartRefused, check_key, find, prepare
    from apps.base.keys import MasterKeyError

    try:
        check_key(Config.from_environment())
        if sys.argv[1:2] == ["up"]:
            Config.fix_data_dir()
            prepare(Config.from_environment())  # before the settings look for the master key in it
        elif sys.argv[1:2] and sys.argv[1] in NEED_DATA and not {"-h", "--help"}.intersection(sys.argv):
            find(Config.from_environment())  # before the settings make a master key
        execute_from_command_line(sys.argv)
    except (ConfigError, StartRefused, MasterKeyError) as error:
        sys.exit(f"Tidegate cannot run: {error}")


if __name__ == "__main__":
    main()
