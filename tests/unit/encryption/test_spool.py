"""Temporary files of uploads: what was written is read anywhere, and none of it stands on the disk."""

import io
import random
import sys
from pathlib import Path

import pytest
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler

from apps.encryption.spool import spool
from console.asgi import django_application
from console.uploads import EncryptedUpload, Handler

SECRET = b"word-that-nobody-may-find\n"
LARGE = SECRET * 200_000


def on_disk(word):
    """Whether a file that this process has open, be it without a name, holds a word."""
    for name in Path("/proc/self/fd").iterdir():
        try:
            held = str(name.readlink())
            ours = held.startswith("/") and not held.startswith(("/dev", "/proc", "/sys"))
            if ours and word in name.read_bytes():
                return True
        except OSError:  # closed meanwhile, or a folder
            continue
    return False


@pytest.mark.parametrize("limit", [1, 100_000, 10_000_000])
def test_what_was_written_is_read_anywhere(tmp_path, limit):
    chance = random.Random(limit)
    content = chance.randbytes(400_000)
    with spool(tmp_path, limit) as file:
        at = 0
        while at < len(content):
            size = chance.randrange(1, 70_000)
            file.write(content[at : at + size])
            at += size
        for _ in range(200):
            at = chance.randrange(len(content) + 100)
            size = chance.choice([0, 1, 15, 16, 17, 4_096, 100_000])
            assert file.seek(at) == at
            assert file.read(size) == content[at : at + size]
        file.seek(0, io.SEEK_END)
        file.write(b"more")
        file.seek(0)
        assert file.read() == content + b"more"
        assert list(tmp_path.iterdir()) == [], "it has no name"


def test_bytes_are_only_added(tmp_path):
    with spool(tmp_path, 1) as file:
        file.write(bytes(1_000_000))
        file.flush()
        file.raw.seek(16)
        with pytest.raises(io.UnsupportedOperation):
            file.raw.write(b"other")


def test_two_spools_have_two_keys(tmp_path):
    stored = []
    for _ in range(2):
        with spool(tmp_path, 1) as file:
            file.write(bytes(100))
            file.flush()
            held = file.raw._file
            held.seek(0)
            stored.append(held.read())
    assert stored[0] != stored[1]
    assert bytes(16) not in stored[0]


def messages(*pieces, end=True):
    """What a server hands over."""
    sent = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    sent.append({"type": "http.request"} if end else {"type": "http.disconnect"})

    async def receive():
        return sent.pop(0)

    return receive


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
async def test_a_body_that_waits_is_not_readable_on_the_disk():
    body = await Handler().read_body(messages(LARGE[:100], LARGE[100:]))
    assert body.read() == LARGE
    assert not on_disk(SECRET)
    body.close()
    plain = await ASGIHandler().read_body(messages(LARGE))
    assert on_disk(SECRET), "this is how Django would keep it"
    plain.close()
    assert isinstance(django_application(), Handler)


async def test_a_body_that_does_not_come_is_given_up():
    with pytest.raises(RequestAborted):
        await Handler().read_body(messages(LARGE, end=False))


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_file_of_a_form_is_not_readable_on_the_disk(settings):
    assert settings.FILE_UPLOAD_HANDLERS == ["console.uploads.EncryptedUpload"]
    handler = EncryptedUpload()
    handler.new_file("file", "lines.log", "text/plain", len(LARGE))
    for at in range(0, len(LARGE), 65_536):
        handler.receive_data_chunk(LARGE[at : at + 65_536], at)
    file = handler.file_complete(len(LARGE))
    assert (file.size, file.name) == (len(LARGE), "lines.log")
    assert file.read() == LARGE
    assert not on_disk(SECRET)
    file.close()
