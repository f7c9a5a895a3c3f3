"""The documents name what is there."""

import re

from tests.tidy.tree import ROOT, text

TARGET = re.compile(r"^([a-z-]+):.*## ", re.MULTILINE)


def test_the_readme_names_every_make_target():
    targets = TARGET.findall(text(ROOT / "Makefile"))
    readme = text(ROOT / "README.md")
    assert len(targets) >= 12
    assert [target for target in targets if f"`make {target}`" not in readme] == []


def test_architecture_is_short():
    assert text(ROOT / "ARCHITECTURE.md").count("\n") <= 300


def test_architecture_names_only_files_that_exist():
    named = re.findall(r"`((?:apps|console|workers|tests|templates|static)/[\w./]+)`", text(ROOT / "ARCHITECTURE.md"))
    assert len(named) >= 20
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_licence_is_whole():
    licence = text(ROOT / "LICENSE")
    assert "Apache License" in licence
    assert "END OF TERMS AND CONDITIONS" in licence
