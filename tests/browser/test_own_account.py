"""An authenticator app, recovery codes and a passkey in a real browser, every page on the way under axe's eyes."""

import pytest

from tests.browser import axe, chromium, own_account

pytestmark = [pytest.mark.browser, pytest.mark.system]

EMAIL = "lena@acme.example"
SEEN = ["confirm", "app", "recovery-codes", "passkey", "profile-second-step", "step-remove", "second-step"]


def test_second_steps_from_the_first_to_signing_in_with_a_passkey_alone(browser, running):
    own_account.make(running, EMAIL)
    context = browser.new_context()
    page = context.new_page()
    problems, seen = [], []
    page.on("pageerror", lambda error: problems.append(str(error)))
    for name in own_account.walk(page, running.endpoint, EMAIL):
        seen.append(name)
        axe.load(page)
        for width in chromium.WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            for theme in chromium.THEMES:
                page.emulate_media(color_scheme=theme, reduced_motion="reduce")
                problems += [f"{name} {width} {theme}: {text}" for text in axe.violations(page, theme)]
            if page.evaluate("document.documentElement.scrollWidth - innerWidth") > 0:
                problems.append(f"{name} {width}: scrolls sideways")
        page.set_viewport_size({"width": 1440, "height": 900})
    context.close()
    own_account.end(running, EMAIL)
    assert problems == []
    assert seen == SEEN
