"""The samples of code that the console shows."""

import subprocess
import sys

import pytest

from apps.delivery.models import DeliveryStream, SourceType
from console.pages import samples
from console.pages.delivery import samples as delivery_samples

KINESIS = samples.produce("orders"), b'{"event": "order.placed"}'
FIREHOSE = (
    delivery_samples.produce(DeliveryStream(name="clicks", source_type=SourceType.DIRECT_PUT)),
    b'{"TICKER_SYMBOL": "QXZ", "PRICE": 84.51}\n',
)


@pytest.mark.parametrize("base64_first", [False, True], ids=["version 1", "version 2"])
@pytest.mark.parametrize(("shown", "data"), [KINESIS, FIREHOSE], ids=["data streams", "delivery streams"])
def test_both_versions_of_the_cli_put_the_data_as_it_is_read(shown, data, base64_first):
    """Version 1 takes what is given as data for the data, version 2 for base64; both read fileb as bytes."""
    (command,) = (sample.text for sample in shown if sample.key == "cli")
    assert "--cli-binary-format" not in command  # version 1 has no such option
    read = (
        "import base64, sys; given = sys.argv[-1].removeprefix('Data@=')\n"
        "data = open(given.removeprefix('fileb://'), 'rb').read() if given.startswith('fileb://')"
        f" else {'base64.b64decode(given)' if base64_first else 'given.encode()'}\n"
        "sys.stdout.buffer.write(data)"
    )
    script = f'aws() {{ {sys.executable} -c "$READ" "$@"; }}\n{command}'
    done = subprocess.run(["sh", "-c", script], env={"READ": read}, capture_output=True)
    assert done.stdout == data, done.stderr
