"""A strict search service: its bulk API, with documents kept by index and id, and refusals on demand."""

from __future__ import annotations

import base64
import json
import ssl
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.support.receiver import Receiver, Reply, Request

Refusal = tuple[int, str, str]
"""Status, type and reason of a document's error."""


class SearchReceiver(Receiver):
    """documents: by index, then id. versions: how often each (index, id) was written. refuse: what becomes of a document
    instead, by index and document. types: like Elasticsearch before 7, else `_type` is an error, as in OpenSearch 2.
    user: "name:password" that must be given. ids: False like a time series collection of Serverless.
    """

    def __init__(
        self, *, types: bool = False, user: str = "", port: int = 0, tls: ssl.SSLContext | None = None
    ) -> None:
        super().__init__(port=port, tls=tls)
        self.types, self.user = types, user
        self.ids = True
        self.documents: dict[str, dict[str, Any]] = {}
        self.versions: Counter[tuple[str, str]] = Counter()
        self.type_names: set[str | None] = set()
        self.refuse: Callable[[str, Any], Refusal | None] = lambda _index, _document: None
        self.bytes_max = 10 * 1024 * 1024
        self.bulks: list[int] = []
        self._made = 0

    def all(self) -> list[Any]:
        """Every document, of all indexes."""
        return [document for index in self.documents.values() for document in index.values()]

    def handle(self, request: Request) -> Reply:
        """POST /_bulk."""
        if self.user and request.headers.get("authorization") != _basic(self.user):
            return _error(401, "security_exception", "missing authentication credentials")
        if request.method != "POST" or request.path != "/_bulk":
            return _error(404, "invalid_path", request.path)
        if request.headers.get("content-type") not in {"application/x-ndjson", "application/json"}:
            return _error(406, "media_type_header_exception", "Content-Type")
        if len(request.body) > self.bytes_max:
            return Reply(413, b"", {"Content-Length": "0"})
        if not request.body.endswith(b"\n"):
            return _error(400, "illegal_argument_exception", "The bulk request must be terminated by a newline [\\n]")
        lines = request.body.split(b"\n")[:-1]
        actions = [json.loads(line) for line in lines[::2]]
        for number, action in enumerate(actions):
            unknown = set(action.get("index", {"?": 0})) - {"_index", "_id", *(["_type"] if self.types else [])}
            if set(action) != {"index"} or unknown:
                why = f"Action/metadata line [{2 * number + 1}] contains an unknown parameter [{', '.join(unknown)}]"
                return _error(400, "illegal_argument_exception", why)
        self.bulks.append(len(actions))
        items = [
            {"index": self._index(action["index"], line)} for action, line in zip(actions, lines[1::2], strict=True)
        ]
        errors = any("error" in item["index"] for item in items)
        return Reply.json(200, json.dumps({"took": 1, "errors": errors, "items": items}).encode())

    def _index(self, action: dict[str, str], line: bytes) -> dict[str, Any]:
        index, name = action["_index"], action.get("_id")
        self.type_names.add(action.get("_type"))
        if name is not None and not self.ids:
            why = "Document ID is not supported in create/index operation request"
            return _refused(index, name, 400, "illegal_argument_exception", why)
        if name is None:
            self._made += 1
            name = f"made-{self._made}"
        try:
            document = json.loads(line)
        except ValueError:
            return _refused(index, name, 400, "mapper_parsing_exception", "failed to parse")
        refusal = self.refuse(index, document)
        if refusal is not None:
            return _refused(index, name, *refusal)
        existed = name in self.documents.setdefault(index, {})
        self.documents[index][name] = document
        self.versions[index, name] += 1
        return {"_index": index, "_id": name, "status": 200 if existed else 201}


def _basic(user: str) -> str:
    return f"Basic {base64.b64encode(user.encode()).decode()}"


def _refused(index: str, name: str, status: int, kind: str, reason: str) -> dict[str, Any]:
    return {"_index": index, "_id": name, "status": status, "error": {"type": kind, "reason": reason}}


def _error(status: int, kind: str, reason: str) -> Reply:
    body = {"error": {"type": kind, "reason": reason}, "status": status}
    return Reply.json(status, json.dumps(body).encode())
