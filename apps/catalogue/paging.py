"""Pages of lists, and members that are refused: what all of the catalogue's operations share."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db import IntegrityError, transaction

from apps.base.errors import ServiceError
from apps.catalogue.errors import EntityNotFoundException, InvalidInputException
from apps.runtime import Call

Json = dict[str, Any]

PAGE_MAX = 100
"""AWS's largest MaxResults, and what it takes without one."""


def page(params: Json) -> tuple[str, int]:
    """Where a list goes on ("" at its start), and how many there are on a page. Raises InvalidInputException."""
    return place_of(params), min(params.get("MaxResults") or PAGE_MAX, PAGE_MAX)


def place_of(params: Json) -> str:
    """The place that a NextToken names."""
    token = params.get("NextToken") or ""
    try:
        place = base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (ValueError, binascii.Error):
        place = "\0"
    if "\0" in place:
        raise InvalidInputException("Invalid next token.")
    return place


def token_after(name: str) -> str:
    """A NextToken for what comes after a name."""
    return base64.urlsafe_b64encode(name.encode()).decode()


def of_own_catalogue(call: Call, params: Json) -> None:
    """Raise unless CatalogId is the caller's account, or absent."""
    wanted = params.get("CatalogId")
    if wanted and wanted != call.principal.account_id:
        raise EntityNotFoundException(f"Catalog {wanted} not found.")


def refuse(params: Mapping[str, Any], names: Iterable[str]) -> None:
    """Raise InvalidInputException for members that Tidegate does not have: they are not stored and ignored."""
    for name in names:
        if params.get(name):
            raise InvalidInputException(f"{name} is not supported by Tidegate's catalogue.")


@contextmanager
def made_once(exists: ServiceError) -> Iterator[None]:
    """Around the making of rows with a unique name: who comes second at the same moment gets the error, too."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError:
        raise exists from None
