"""Idempotency-Key on creation: the same request with the same key is done once, and answered the same for a day.

What was refused made nothing, and is not kept: the key may be used again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from django.db import IntegrityError, transaction
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response

from apps.accounts.secrets import decrypt, encrypt
from apps.base.units import DAY_MS
from console import calls
from console.api.problems import Conflict, KeyReused
from console.api.request import ApiRequest
from console.models import IdempotentAnswer

HEADER = "Idempotency-Key"
KEY_CHARS_MAX = 200
KEPT_MS = DAY_MS
FORGOTTEN_AT_ONCE = 100


def once(request: ApiRequest, run: Callable[[], Response]) -> Response:
    """run's answer, or the one that the same request got before. Raises KeyReused, Conflict while the first is on its way
    (or was cut off: its outcome is unknown), ValidationError for a key that is too long."""
    key = request.headers.get(HEADER, "")
    if not key:
        return run()
    if len(key) > KEY_CHARS_MAX or not key.isprintable():
        raise ValidationError({HEADER: f"At most {KEY_CHARS_MAX} printable characters."})
    row, known = _reserved(request, key)
    if known:
        return _repeated(request, row)
    try:
        response = run()
    except BaseException:
        row.delete()
        raise
    response.add_post_render_callback(lambda rendered: _keep(row, rendered))
    return response


def _reserved(request: ApiRequest, key: str) -> tuple[IdempotentAnswer, bool]:
    """This key's row, and whether it was there before."""
    now_ms, team = calls.now_ms(), request.team
    old = IdempotentAnswer.objects.filter(at_ms__lt=now_ms - KEPT_MS).values("pk")[:FORGOTTEN_AT_ONCE]
    IdempotentAnswer.objects.filter(pk__in=list(old.values_list("pk", flat=True))).delete()
    digest, name = _digest(request), _name(request, key)
    try:
        with transaction.atomic():
            made = IdempotentAnswer.objects.create(team=team, key=name, request_sha256=digest, at_ms=now_ms)
    except IntegrityError:
        found = IdempotentAnswer.objects.filter(team=team, key=name).first()
        if found is None:
            raise Conflict("The first request with this key was refused a moment ago. Try again.") from None
        return found, True
    return made, False


def _name(request: ApiRequest, key: str) -> str:
    """What the row is called: each member has keys of their own, so that nobody uses up another's."""
    return hashlib.sha256(f"{request.membership.pk}\0{key}".encode()).hexdigest()


def _digest(request: ApiRequest) -> str:
    """Who, what and where: a key of one token says nothing about another's request."""
    head = "\0".join((request.auth.public_id, request.method or "", request.get_full_path(), ""))
    return hashlib.sha256(head.encode() + request._request.body).hexdigest()  # noqa: SLF001 - read by view.py


def _repeated(request: ApiRequest, row: IdempotentAnswer) -> Response:
    if row.request_sha256 != _digest(request):
        raise KeyReused
    if row.status is None:
        raise Conflict("The first request with this key has no answer yet, or was cut off. Look before you repeat it.")
    body = decrypt(row.body_encrypted, f"answer-{row.pk}")
    return _Kept(body.encode(), row)


class _Kept(Response):
    """An answer as it was told, byte for byte."""

    def __init__(self, body: bytes, row: IdempotentAnswer) -> None:
        headers = {"Idempotent-Replayed": "true"} | ({"Location": row.location} if row.location else {})
        super().__init__(None, row.status, headers=headers)
        self._body = body

    @property
    def rendered_content(self) -> bytes:  # type: ignore[override]  # Django takes both
        """What was kept."""
        self["Content-Type"] = "application/json"
        return self._body


def _keep(row: IdempotentAnswer, response: Any) -> None:
    """Encrypted: the answer that makes a token or a key holds its secret."""
    row.status, row.location = response.status_code, response.headers.get("Location", "")
    row.body_encrypted = encrypt(response.content.decode(), f"answer-{row.pk}")
    row.save(update_fields=["status", "location", "body_encrypted"])
