"""Static files under names that carry their content's hash, so that browsers may keep them for ever."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from django.contrib.staticfiles.storage import ManifestStaticFilesStorage, StaticFilesStorage
from django.core.files.base import ContentFile

JOINED: Final = ("js/chart.js", "js/rows.js")
"""Modules that are sent together with all that they import: six requests less before the first chart is drawn. No page has two
of them: each brings a socket of its own."""

_IMPORT: Final = re.compile(r'^import \{ ([\w, ]+) \} from "\./(\w+\.js)";\n', re.MULTILINE)
_EXPORT: Final = re.compile(r"^export (?=(?:async function|function|class|const) (\w+))", re.MULTILINE)

Paths = dict[str, tuple[Any, str]]


class HashedFiles(ManifestStaticFilesStorage):
    """Rewrites url() in CSS and import in JavaScript modules; plain names until collectstatic has run."""

    support_js_module_import_aggregation = True

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._addresses: dict[str, str] = {}
        """Of names that were asked for: a page asks for some thirty, which stay what they are until collectstatic runs."""

    def url(self, name: str | None, force: bool = False) -> str:
        """The address of a file."""
        if force or not name:
            return super().url(name or "", force)
        known = self._addresses.get(name)
        if known is None:
            known = super().url(name) if self.hashed_files else StaticFilesStorage.url(self, name)
            self._addresses[name] = known
        return known

    def post_process(self, paths: Paths, dry_run: bool = False, **options: Any) -> Iterator[Any]:
        """Django's hook of collectstatic: join modules first."""
        self._addresses.clear()
        for name in JOINED:
            if name in paths and not dry_run:
                text = joined(paths, name)
                self.delete(name)
                self.save(name, ContentFile(text.encode()))
                paths = {**paths, name: (self, name)}
        yield from super().post_process(paths, dry_run, **options)
        self._addresses.clear()


def joined(paths: Paths, name: str) -> str:
    """A module and all that it imports as one, each in a scope of its own, in an order in which each finds the others."""
    folder = name.rpartition("/")[0]
    texts: dict[str, str] = {}

    def add(module: str) -> None:
        if module in texts:
            return
        storage, path = paths[f"{folder}/{module}"]
        with storage.open(path) as file:
            text = file.read().decode()
        for _, wanted in _IMPORT.findall(text):
            add(wanted)
        texts[module] = _scoped(module, text)

    add(name.rpartition("/")[2])
    return "".join(texts.values())


def _scoped(module: str, text: str) -> str:
    body = _IMPORT.sub(lambda found: f"const {{ {found[1]} }} = {_scope(found[2])};\n", text)
    names = ", ".join(_EXPORT.findall(body))
    body = _EXPORT.sub("", body)
    assert not re.search(r"^(import|export)\b", body, re.MULTILINE), f"{module}: an import or export of another kind"
    return f"const {_scope(module)} = (() => {{\n{body}\nreturn {{ {names} }};\n}})();\n"


def _scope(module: str) -> str:
    return f"of_{module.removesuffix('.js')}"
