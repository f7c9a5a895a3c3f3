"""`python -m workers.beat`: Celery beat without what it does not need. It only sends names of ticks, so it loads neither
Django nor the tasks (`celery -A workers.app beat` does the same with three times the memory)."""

from __future__ import annotations

from workers.app import app


def main() -> None:
    """Until SIGTERM."""
    app.conf.include = ()
    app.Beat(loglevel="WARNING", quiet=True, redirect_stdouts=False).run()


if __name__ == "__main__":
    main()
