"""The reference of the REST API: made on the server from the OpenAPI document, one page per resource."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils.text import slugify

from apps.accounts.permissions import allowed, roles_with
from console.api.document import TAGS
from console.api.problems import TITLES
from console.api.rates import BURST, PER_S
from console.pages import rest_samples
from console.pages.api_operations import Described, described
from console.pages.shell import ANY_MEMBER, TeamRequest, is_fragment, team_page

SEARCH_MAX = 200
FOUND_MAX = 40
"""Operations that a search shows."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A tag of the document with its operations."""

    name: str
    text: str
    operations: tuple[Described, ...]

    @property
    def slug(self) -> str:
        """In the address."""
        return slugify(self.name)


@dataclass(frozen=True, slots=True)
class Shown:
    """An operation as this member sees it. reason: why they may not call it; empty: they may."""

    operation: Described
    reason: str
    is_open: bool = False


@lru_cache(maxsize=1)
def resources() -> tuple[Resource, ...]:
    """All, in the document's order."""
    found = described()
    made = ((name, text, tuple(one for one in found if one.tag == name)) for name, text in TAGS.items())
    return tuple(Resource(name, text, operations) for name, text, operations in made if operations)


@team_page(ANY_MEMBER)
def reference(request: TeamRequest) -> HttpResponse:
    """How to begin, what all operations have in common, and the resources. With a search: what it finds; htmx asks for that
    alone."""
    asked = request.GET.get("q", "")[:SEARCH_MAX].strip()
    context: dict[str, Any] = {"asked": asked, "found": _found(request, asked), "found_max": FOUND_MAX}
    if is_fragment(request):
        return render(request, "reference/found.html", context)
    context |= {
        "resources": resources(),
        "codes": rest_samples.begin(),
        "statuses": [(status, title) for status, title in TITLES.items() if status != 501],
        "per_s": PER_S,
        "burst": BURST,
    }
    return render(request, "reference/index.html", context)


@team_page(ANY_MEMBER)
def resource(request: TeamRequest, slug: str) -> HttpResponse:
    """The operations of one resource; `op` is the one that is open. htmx asks for that one alone, when somebody opens it:
    all of them at once would be thousands of elements."""
    found = next((one for one in resources() if one.slug == slug), None)
    if found is None:
        raise Http404("no such resource")
    opened = request.GET.get("op", "")
    operations = [_shown(request, one, is_open=one.id == opened) for one in found.operations]
    if is_fragment(request):
        one = next((shown for shown in operations if shown.is_open), None)
        if one is None:
            raise Http404("no such operation")
        return render(request, "reference/operation.html", {"shown": one})
    context = {"resource": found, "operations": operations, "resources": resources()}
    return render(request, "reference/resource.html", context)


def _shown(request: TeamRequest, operation: Described, *, is_open: bool = False) -> Shown:
    needs, reason = operation.needs, ""
    if needs and not allowed(request.actions, needs):
        reason = f"Needs {needs}: {', '.join(roles_with(needs))}"
    return Shown(operation, reason, is_open)


def _found(request: TeamRequest, asked: str) -> list[tuple[Resource, Shown]]:
    """The operations with all words in their method, address, words or permission."""
    words = asked.lower().split()
    if not words:
        return []
    every = ((one, operation) for one in resources() for operation in one.operations)
    hits = ((one, operation) for one, operation in every if all(word in operation.haystack for word in words))
    return [(one, _shown(request, operation)) for one, operation in hits][:FOUND_MAX]
