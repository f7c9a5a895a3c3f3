"""`make demo`: a real log through Tidegate and back, with the unmodified AWS CLI and boto3.

Starts from a running `make up` (its endpoint and key come from the environment or the data directory) or starts one
for the demo. Makes a stream of four shards, puts every line of a log of this machine, reads all shards back, and
compares byte for byte, order kept per partition key. The stream stays, to look at in the console.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
from botocore.config import Config as BotoConfig
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

ROOT = Path(__file__).resolve().parents[2]
CLI = ROOT / ".interop" / "cli" / "bin" / "aws"
LOGS = (
    "/var/log/dpkg.log",
    "/var/log/pacman.log",
    "/var/log/dnf.rpm.log",
    "/var/log/install.log",  # package managers
    "/var/lib/dpkg/status",
    "/var/log/syslog",
    "/var/log/messages",
)
LINES_MIN = 10_000
BATCH_RECORDS = 500
BATCH_BYTES = 4 * 1024 * 1024
KEY_CHARACTERS = 32
START_S = 60

out = Console()


def find_logs() -> list[Path]:
    """The first log of this machine with 10,000 real lines; where there is none, pip's lists of installed files."""
    for path in map(Path, LOGS):
        if path.is_file() and os.access(path, os.R_OK) and path.read_bytes().count(b"\n") >= LINES_MIN:
            return [path]
    lists = sorted(ROOT.glob(".venv/lib/python*/site-packages/*/RECORD"))
    if sum(path.read_bytes().count(b"\n") for path in lists) >= LINES_MIN:
        return lists
    raise SystemExit(f"No log of {LINES_MIN:,} lines found here; name one: make demo LOG=/path/to/file")


def lines_of(paths: list[Path]) -> list[tuple[str, bytes]]:
    """(partition key, line) for every line, empty ones included. The key groups lines as the log itself does."""
    return [(key_of(line), line) for path in paths for line in path.read_bytes().splitlines()]


def key_of(line: bytes) -> str:
    """The word that says what the line is about: the fourth of a package log, else the first; never empty."""
    words = line.decode("utf-8", "replace").split()
    word = words[3] if len(words) > 3 else words[0] if words else "-"
    return word[:KEY_CHARACTERS]


def batches(lines: list[tuple[str, bytes]]) -> Iterator[list[dict[str, object]]]:
    """PutRecords entries, at most 500 and 4 MiB a call."""
    batch: list[dict[str, object]] = []
    size = 0
    for key, line in lines:
        if batch and (len(batch) == BATCH_RECORDS or size + len(line) + len(key) > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append({"PartitionKey": key, "Data": line})
        size += len(line) + len(key)
    if batch:
        yield batch


def put_all(kinesis, stream: str, lines: list[tuple[str, bytes]]) -> tuple[int, int]:
    """Put every line; throttled entries are sent again in their order. Answers (calls, entries sent again)."""
    calls = again = 0
    with bar("put") as progress:
        task = progress.add_task("put", total=len(lines))
        for batch in batches(lines):
            left = batch
            while left:
                answer = kinesis.put_records(StreamName=stream, Records=left)
                calls += 1
                failed = [entry for entry, result in zip(left, answer["Records"], strict=True) if "ErrorCode" in result]
                progress.advance(task, len(left) - len(failed))
                again += len(failed)
                left = failed
                if left:
                    time.sleep(0.1)  # what the SDK's own back-off would do
    return calls, again


def read_all(kinesis, stream: str, expected: int) -> dict[str, list[tuple[str, bytes]]]:
    """Every record of every shard from the start, in the shard's order."""
    shards = [shard["ShardId"] for shard in kinesis.list_shards(StreamName=stream)["Shards"]]
    found: dict[str, list[tuple[str, bytes]]] = {}
    with bar("read") as progress:
        task = progress.add_task("read", total=expected)
        for shard in shards:
            found[shard] = []
            iterator = kinesis.get_shard_iterator(StreamName=stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON")[
                "ShardIterator"
            ]
            while True:
                answer = kinesis.get_records(ShardIterator=iterator, Limit=10_000)
                found[shard] += [(record["PartitionKey"], record["Data"]) for record in answer["Records"]]
                progress.advance(task, len(answer["Records"]))
                iterator = answer["NextShardIterator"]
                if not answer["Records"] and answer["MillisBehindLatest"] == 0:
                    break
    return found


def check(lines: list[tuple[str, bytes]], found: dict[str, list[tuple[str, bytes]]]) -> list[str]:
    """Compare; every problem as a sentence."""
    put: dict[str, list[bytes]] = defaultdict(list)
    for key, line in lines:
        put[key].append(line)
    read: dict[str, list[bytes]] = defaultdict(list)
    homes: dict[str, set[str]] = defaultdict(set)
    for shard, records in found.items():
        for key, data in records:
            read[key].append(data)
            homes[key].add(shard)
    problems = [
        f"key {key!r}: {len(put[key])} lines put, {len(read[key])} read, or in another order"
        for key in put
        if put[key] != read[key]
    ]
    problems += [f"key {key!r} was never put" for key in read if key not in put]
    problems += [f"key {key!r} is on {len(shards)} shards" for key, shards in homes.items() if len(shards) > 1]
    return problems


def bar(word: str) -> Progress:
    """A progress bar with counts and time."""
    return Progress(
        TextColumn(f"{word:>6}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("records"),
        TimeElapsedColumn(),
        console=out,
    )


def cli(endpoint: str, *words: str) -> str:
    """Run the AWS CLI as a person would; its output."""
    command = [str(CLI), "--endpoint-url", endpoint, "kinesis", *words]
    out.print("$ aws " + " ".join(command[1:]), style="dim", soft_wrap=True, highlight=False)
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"the AWS CLI failed: {done.stderr.strip()}")
    return done.stdout


def credentials(given: argparse.Namespace) -> tuple[str, str]:
    """Access key id and secret: from the environment, else what `make up` keeps in the data directory."""
    if os.environ.get("AWS_ACCESS_KEY_ID"):
        return os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
    path = Path(given.data_dir) / "credentials.json"
    if not path.exists():
        raise SystemExit(
            f"No credentials in {path}: name its folder by TIDEGATE_DATA_DIR, "
            "or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        )
    kept = json.loads(path.read_text())
    return kept["access_key_id"], kept["secret_access_key"]


def serves(endpoint: str) -> bool:
    """True if every part of Tidegate serves there."""
    try:
        with urllib.request.urlopen(f"{endpoint}/healthz", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


@contextmanager
def running(endpoint: str) -> Iterator[None]:
    """Use what runs at the endpoint; where nothing does, run `manage.py up` for the time of the demo."""
    if serves(endpoint):
        yield
        return
    out.print(f"Nothing serves at {endpoint}: starting Tidegate for the demo")
    process = subprocess.Popen([sys.executable, str(ROOT / "manage.py"), "up"], cwd=ROOT, start_new_session=True)
    try:
        until = time.monotonic() + START_S
        while not serves(endpoint):
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit("Tidegate did not start; its messages stand above")
            time.sleep(0.1)
        yield
        out.print("Stopping what the demo started; `make up` goes on with the same data.")
    finally:
        process.terminate()
        process.wait(60)


def main() -> None:
    """Run the demo; ends with 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoint", default=f"http://localhost:{os.environ.get('TIDEGATE_PORT', '4567')}")
    parser.add_argument("--data-dir", default=os.environ.get("TIDEGATE_DATA_DIR", str(ROOT / ".tidegate")))
    parser.add_argument("--log", type=Path, help="the file whose lines are put")
    given = parser.parse_args()
    with running(given.endpoint):
        sys.exit(1 if demonstrate(given) else 0)


def demonstrate(given: argparse.Namespace) -> list[str]:
    """Put, read, compare, report; the problems found."""
    key, secret = credentials(given)
    os.environ |= {
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_DEFAULT_REGION": os.environ.get("TIDEGATE_REGION") or "us-east-1",
        "AWS_PAGER": "",
    }
    logs = [given.log] if given.log else find_logs()
    lines = lines_of(logs)
    stream = f"demo-{time.strftime('%H%M%S')}"
    others = f" and {len(logs) - 1} more" if len(logs) > 1 else ""
    size = sum(len(line) for _, line in lines)
    keys = len({key for key, _ in lines})
    out.print(f"{len(lines):,} lines of {logs[0]}{others}, {size:,} bytes, {keys:,} partition keys")
    cli(given.endpoint, "create-stream", "--stream-name", stream, "--shard-count", "4")
    cli(given.endpoint, "wait", "stream-exists", "--stream-name", stream)
    kinesis = boto3.client("kinesis", endpoint_url=given.endpoint, config=BotoConfig(retries={"max_attempts": 10}))
    calls, again = put_all(kinesis, stream, lines)
    found = read_all(kinesis, stream, len(lines))
    problems = check(lines, found)
    report(stream, lines, found, calls, again, problems)
    out.print(
        cli(
            given.endpoint,
            "describe-stream-summary",
            "--stream-name",
            stream,
            "--query",
            "StreamDescriptionSummary.[StreamName,StreamStatus,OpenShardCount]",
            "--output",
            "text",
        ).strip()
    )
    out.print(f"The stream {stream} stays; look at it in the console: {given.endpoint}")
    return problems


def report(stream, lines, found, calls, again, problems) -> None:
    """Say what was checked and what came out."""
    for shard, records in found.items():
        out.print(f"  {shard}: {len(records):,} records")
    digest = hashlib.sha256(b"\n".join(line for _, line in lines)).hexdigest()[:16]
    out.print(f"put: {len(lines):,} records in {calls} PutRecords calls, {again:,} entries sent again after throttling")
    out.print(f"read: {sum(map(len, found.values())):,} records; sha256 of the lines begins {digest}")
    for problem in problems[:10]:
        out.print(problem, style="red")
    verdict = "every line came back byte for byte, in order per partition key, each key on one shard"
    out.print(
        f"checked: {verdict}" if not problems else f"{len(problems)} problems", style="green" if not problems else "red"
    )


if __name__ == "__main__":
    main()
