"""The samples of code that the console shows."""

import subprocess
import sys

import pytest

from console.pages import samples


@pytest.mark.parametrize("base64_first", [False, True], ids=["version 1", "version 2"])
def test_both_versions_of_the_cli_put_the_data_as_it_is_read(base64_first):
    """Version 1 takes what follows --data for the data, version 2 for base64; both read fileb as bytes."""
    (command,) = (sample.text for sample in samples.produce("orders") if sample.key == "cli")
    read = (
        "import base64, sys; given = sys.argv[-1]\n"
        "data = open(given.removeprefix('fileb://'), 'rb').read() if given.startswith('fileb://')"
        f" else {'base64.b64decode(given)' if base64_first else 'given.encode()'}\n"
        "sys.stdout.buffer.write(data)"
    )
    script = f'aws() {{ {sys.executable} -c "$READ" "$@"; }}\n{command}'
    done = subprocess.run(["sh", "-c", script], env={"READ": read}, capture_output=True)
    assert done.stdout == b'{"event": "order.placed"}', done.stderr
