"""Draw the icon sprite anew from a folder of Lucide icons: only the icons that the templates and pages name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

SPRITE = "static/vendor/lucide/icons.svg"
_IN_TEMPLATES = re.compile(r'{% icon "([a-z0-9-]+)"')
_BODY = re.compile(r"<svg[^>]*>(.*)</svg>", re.DOTALL)


class Command(BaseCommand):
    """`manage.py icons <folder of svg files>`: for maintainers, after using a new icon."""

    help = __doc__
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """The folder: lucide-static's `icons`."""
        parser.add_argument("folder", type=Path)

    def handle(self, *_: Any, folder: Path, **__: Any) -> None:
        """Write the sprite."""
        symbols = []
        for name in sorted(used()):
            found = _BODY.search((folder / f"{name}.svg").read_text())
            assert found, name
            inner = "".join(line.strip() for line in found[1].splitlines())
            symbols.append(f'<symbol id="{name}" viewBox="0 0 24 24">{inner}</symbol>')
        sprite = settings.BASE_DIR / SPRITE
        sprite.write_text(f'<svg xmlns="http://www.w3.org/2000/svg">{"".join(symbols)}</svg>\n')
        self.stdout.write(f"{len(symbols)} icons in {SPRITE}")


def used() -> set[str]:
    """Names of the icons in use: in {% icon "…" %} and, where Python chooses one, in console/pages/icons.py."""
    from console.pages.icons import CHOSEN

    names = set(CHOSEN)
    for template in (settings.BASE_DIR / "templates").rglob("*.html"):
        names.update(_IN_TEMPLATES.findall(template.read_text()))
    return names
