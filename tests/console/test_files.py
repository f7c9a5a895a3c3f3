"""What is served besides pages: vendored files are what their list says, icons are all drawn, nothing is inline."""

import hashlib
import re

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders

from console.management.commands.icons import SPRITE, used

ROOT = settings.BASE_DIR
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))


def test_every_vendored_file_is_in_the_list_and_unchanged():
    folder = ROOT / "static/vendor"
    listed = dict(reversed(line.split("  ")) for line in (folder / "SHA256SUMS").read_text().splitlines())
    there = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*/*")
    }
    assert listed == there
    for name in {path.parent.name for path in folder.glob("*/*")}:
        assert (folder / name / "LICENSE").exists(), name


def test_every_icon_in_use_is_in_the_sprite_and_no_other():
    assert set(re.findall(r'<symbol id="([^"]+)"', (ROOT / SPRITE).read_text())) == used()


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT / "templates")))
def test_templates_hold_nothing_inline_and_nothing_from_elsewhere(path):
    text = path.read_text()
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|hx-on|hx-vals='js:|javascript:", text)
    assert not re.search(r"<script(?![^>]*\ssrc=)", text)
    assert not re.search(r'(?:src|href)="(?:https?:)?//', text)
    assert not re.search(r"\|safe\b|autoescape off", text)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT / "templates")))
def test_named_static_files_are_there(path):
    for name in re.findall(r'{% static "([^"]+)" %}', path.read_text()):
        assert finders.find(name), name


def test_our_own_scripts_and_styles_fetch_nothing_from_elsewhere():
    for path in [*(ROOT / "static/js").glob("*.js"), *(ROOT / "static/css").glob("*.css")]:
        text = path.read_text()
        assert not re.search(r"https?://|\beval\(|new Function|@import", text), path
    own = sum(len(path.read_bytes()) for path in (ROOT / "static/js").glob("*.js"))
    assert own < 100_000


def test_collected_files_carry_their_hash_in_their_names(tmp_path, settings):
    from django.contrib.staticfiles.storage import staticfiles_storage
    from django.core.management import call_command

    settings.STATIC_ROOT = tmp_path
    call_command("collectstatic", interactive=False, verbosity=0)
    css = staticfiles_storage.url("css/app.css")
    assert re.fullmatch(r"/static/css/app\.[0-9a-f]{12}\.css", css)
    assert re.search(r"geist/geist\.[0-9a-f]{12}\.woff2", (tmp_path / css.removeprefix("/static/")).read_text())
    script = (tmp_path / staticfiles_storage.url("js/records.js").removeprefix("/static/")).read_text()
    assert re.search(r'from "\./app\.[0-9a-f]{12}\.js"', script)
