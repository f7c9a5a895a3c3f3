"""Django's checks of settings, models and addresses. Commands do not repeat them at every start: nothing of ours changes there."""

from django.conf import settings
from django.core.checks import run_checks

from tests.tidy.tree import ROOT, text


def test_django_finds_nothing_amiss():
    found = [one for one in run_checks(include_deployment_checks=True) if not one.is_silenced()]
    assert found == [], settings.SETTINGS_MODULE


def test_no_command_of_ours_repeats_them():
    for path in (ROOT / "console/management/commands").glob("*.py"):
        if "class Command(" in text(path):
            assert "requires_system_checks: list[str] = []" in text(path), path.name
