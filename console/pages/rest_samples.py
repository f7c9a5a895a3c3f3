"""Calls of the REST API to copy and run, with curl and with Python: they take the token from TIDEGATE_TOKEN."""

from __future__ import annotations

import json
import shlex
from pprint import pformat
from typing import Any

from console.pages.samples import Sample, endpoint

VARIABLE = "TIDEGATE_TOKEN"
PREFIX = "/api/v1"
JSON = "application/json"
LINE_CHARS = 60
"""A body that is longer stands on lines of its own."""

FILE = "orders.log"
"""What is sent where a body is a file."""


def begin() -> list[Sample]:
    """The first call, from the token on."""
    curl = f"export {VARIABLE}=tgt_…\n" + _curl("GET", f"{PREFIX}/streams", None, "")
    python = f"# {VARIABLE}=tgt_… stands in the environment\n" + _python("GET", f"{PREFIX}/streams", None, "")
    return [Sample("curl", "curl", "bash", curl), Sample("python", "Python", "python", python)]


def call(method: str, path: str, body: Any, body_type: str, *, is_told: bool) -> list[Sample]:
    """One operation. body: of JSON, or None; body_type: empty for none. is_told: its answer is JSON."""
    return [
        Sample("curl", "curl", "bash", _curl(method, path, body, body_type)),
        Sample("python", "Python", "python", _python(method, path, body, body_type, is_told=is_told)),
    ]


def _curl(method: str, path: str, body: Any, body_type: str) -> str:
    verb = "" if method == "GET" else f"-X {method} "
    lines = [f"curl {verb}{shlex.quote(endpoint() + path)}", f'-H "Authorization: Bearer ${VARIABLE}"']
    if body_type:
        lines.append(f"-H {shlex.quote(f'Content-Type: {body_type}')}")
        lines.append(f"-d {shlex.quote(_text(body))}" if body_type == JSON else f"--data-binary @{FILE}")
    return " \\\n  ".join(lines)


def _text(body: Any) -> str:
    short = json.dumps(body, ensure_ascii=False)
    return short if len(short) <= LINE_CHARS else json.dumps(body, ensure_ascii=False, indent=2)


def _python(method: str, path: str, body: Any, body_type: str, *, is_told: bool = True) -> str:
    given = ""
    if body_type == JSON:
        given = f", json={_indented(body)}"
    elif body_type:
        given = f', content=open("{FILE}", "rb"), headers={{"Content-Type": "{body_type}"}}'
    shown = "answer.json()" if is_told else "len(answer.content)" if method == "GET" else "answer.status_code"
    return (
        "import os\nimport httpx\n\n"
        "api = httpx.Client(\n"
        f'    base_url="{endpoint()}{PREFIX}",\n'
        f'    headers={{"Authorization": "Bearer " + os.environ["{VARIABLE}"]}},\n)\n'
        f'answer = api.{method.lower()}("{path.removeprefix(PREFIX)}"{given})\n'
        f"answer.raise_for_status()\nprint({shown})"
    )


def _indented(body: Any) -> str:
    text = pformat(body, sort_dicts=False, width=80)
    return text.replace("\n", "\n    ")
