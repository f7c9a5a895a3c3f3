"""One demo for all test processes of a run: the first that wants it makes it, the others look on, and it ends when nobody
looks any more. Making it takes longer than most of what is looked at."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from playwright.sync_api import Browser

from tests.browser import chromium, demo_data, demo_deliveries
from tests.browser.screenshots import start_import
from tests.support.processes import Up, eventually, up
from tests.support.s3 import S3Server, client_of

NOBODY_LOOKS_WITHIN_S = 1_800.0
"""Who made it waits so long at most for the others; they are as busy as itself."""


@dataclass(frozen=True)
class Demo:
    """A running Tidegate with data in it. pages: addresses of what was put; cookies: by person, what a signed-in browser keeps."""

    running: Up
    s3: S3Server
    pages: dict[str, str]
    cookies: dict[str, Any]


@dataclass(frozen=True)
class Elsewhere:
    """In the place of the Popen of a process that another process started."""

    pid: int


class S3Elsewhere(S3Server):
    """An S3 server in another process."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint, self.port = endpoint, int(endpoint.rpartition(":")[2])
        self.client = client_of(endpoint)


@contextmanager
def shared_demo(folder: Path, browser: Browser) -> Iterator[Demo]:
    """folder: one for the whole run."""
    facts, mine = folder / "demo.json", folder / f"looks-{os.getpid()}"
    with _alone(folder):
        made = None if facts.exists() else _making(folder, browser)
        demo = made.__enter__() if made else _from(json.loads(facts.read_text()))
        if made:
            facts.write_text(json.dumps(_facts_of(demo)))
        mine.touch()
    try:
        yield demo
    finally:
        with _alone(folder):
            mine.unlink()
        if made:
            eventually(lambda: _forgotten(folder, facts), NOBODY_LOOKS_WITHIN_S, "nobody looks any more")
            made.__exit__(None, None, None)
        else:
            demo.s3.client.close()


def _forgotten(folder: Path, facts: Path) -> bool:
    """If nobody looks: nobody will find it any more."""
    with _alone(folder):
        looking = [
            path for path in folder.glob("looks-*") if Path(f"/proc/{path.name.removeprefix('looks-')}").exists()
        ]
        if not looking:
            facts.unlink()
        return not looking


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _making(folder: Path, browser: Browser) -> Iterator[Demo]:
    data = folder / f"console-{os.getpid()}" / "data"
    data.parent.mkdir()
    with (
        demo_deliveries.s3_server() as s3,
        up(data, **demo_data.SETTINGS, **demo_deliveries.settings_for(s3)) as running,
    ):
        metrics = demo_data.seed(running)
        try:
            # Beside the thread that writes the metrics.
            made = Demo(running, s3, demo_data.pages(running), _signed_in(browser, running))
            eventually(metrics.caught_up, what="an hour of metrics")
            yield made
        finally:
            metrics.stop()


def _signed_in(browser: Browser, running: Up) -> dict[str, Any]:
    """And an import that has run, for the pages of jobs."""
    kept: dict[str, Any] = {}
    for email in (demo_data.EMAIL, demo_data.VIEWER_EMAIL):
        context = browser.new_context()
        page = context.new_page()
        chromium.sign_in(page, running.endpoint, email, demo_data.PASSWORD)
        if email == demo_data.EMAIL:
            start_import(page, running.endpoint)
        kept[email] = context.storage_state()
        context.close()
    return kept


def _facts_of(demo: Demo) -> dict[str, Any]:
    running = demo.running
    return {
        "pid": running.process.pid, "port": running.port, "data_dir": str(running.data_dir), "log": str(running.log),
        "s3": demo.s3.endpoint, "pages": demo.pages, "cookies": demo.cookies,
    }  # fmt: skip


def _from(facts: dict[str, Any]) -> Demo:
    process = cast("Any", Elsewhere(facts["pid"]))
    running = Up(process, facts["port"], Path(facts["data_dir"]), Path(facts["log"]))
    return Demo(running, S3Elsewhere(facts["s3"]), facts["pages"], facts["cookies"])
