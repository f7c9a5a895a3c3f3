"""Keys of channels' objects."""

import re

import pytest

from apps.delivery.channel_keys import DEFAULT_TEMPLATE, check_template, object_key

AT_MS = 1_783_953_067_331  # 2026-07-13T14:31:07.331Z


def key(template: str, seed: str = "lane/1/2", extension: str = ".gz") -> str:
    return object_key(template, "orders", "0a1b", AT_MS, seed, extension)


def test_the_default_template() -> None:
    check_template(DEFAULT_TEMPLATE, compressed=True)
    unique = r"[0-9a-f]{8}-[0-9a-f-]{27}"
    assert re.fullmatch(rf"data/orders/2026/07/13/14/0a1b-31-{unique}\.gz", key(DEFAULT_TEMPLATE))


def test_two_batches_of_one_minute_have_two_keys_and_a_repeat_has_the_same() -> None:
    for template in (DEFAULT_TEMPLATE, "x", "x!{extension}"):
        assert key(template) == key(template)
        assert key(template) != key(template, "lane/2/3")
    assert key("all/!{channel-name}").startswith("all/orders-")


@pytest.mark.parametrize(
    "template", ["!{nothing}", "a{b", "a}b", "a!{yyyy", "/a", "a/../b", "!{extension}!{extension}", "a/./b"]
)
def test_templates_that_are_refused(template: str) -> None:
    with pytest.raises(ValueError, match=r"OutputKeyTemplate|The key"):
        check_template(template, compressed=False)


def test_compressed_objects_need_their_extension() -> None:
    check_template("a", compressed=False)
    with pytest.raises(ValueError, match="extension"):
        check_template("a", compressed=True)
