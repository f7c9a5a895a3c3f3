"""Files kept encrypted, and read at any place."""

import io
import os
import random

import pytest

from apps.encryption.sealed_file import (
    CHUNK_BYTES,
    HEADER_BYTES,
    MAGIC,
    SEALED_BYTES,
    SealedWriter,
    open_sealed,
    size_of,
)

SECRET = b"word-that-nobody-may-find\n"


@pytest.fixture
def master(tmp_path):
    path = tmp_path / "keys" / "master.key"
    path.parent.mkdir()
    path.write_bytes(os.urandom(32))
    return path


@pytest.fixture
def sealed(tmp_path, master):
    def write(content, *, finish=True, piece=1_000_003):
        path = tmp_path / "file"
        with path.open("wb") as file:
            writer = SealedWriter(file, master)
            for at in range(0, len(content), piece):
                writer.write(content[at : at + piece])
            if finish:
                writer.close()
        return path

    return write


@pytest.mark.parametrize(
    "size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 3 * CHUNK_BYTES + 7]
)
def test_what_was_written_is_read(sealed, master, size):
    content = random.Random(size).randbytes(size)
    path = sealed(content, piece=70_001)
    assert size_of(path) == size
    with open_sealed(path, master) as file:
        assert file.read() == content
        assert file.read(1) == b""
        file.seek(size // 2)
        assert (file.tell(), file.read(100)) == (size // 2, content[size // 2 :][:100])
        assert file.seek(0, io.SEEK_END) == size


def test_lines_from_any_place(sealed, master):
    lines = [b"%d " % number + SECRET for number in range(20_000)]
    path = sealed(b"".join(lines))
    assert SECRET.strip() not in path.read_bytes()
    with open_sealed(path, master) as file:
        assert list(file) == lines
        at = sum(map(len, lines[:12_345]))
        file.seek(at)
        assert file.readline(1_000) == lines[12_345]
        assert file.tell() == at + len(lines[12_345])


def test_a_plain_file_of_an_earlier_version_is_read_as_it_is(tmp_path, master):
    path = tmp_path / "plain"
    path.write_bytes(b"a\nb\n")
    assert size_of(path) == 4
    with open_sealed(path, master) as file:
        assert file.readlines() == [b"a\n", b"b\n"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: HEADER_BYTES + 10] + b"\x00" + data[HEADER_BYTES + 11 :],
        lambda data: data[: HEADER_BYTES + SEALED_BYTES],  # the last chunk cut off
        lambda data: data[:-1],
        lambda data: data[:HEADER_BYTES] + data[HEADER_BYTES + SEALED_BYTES :],  # the first chunk cut out
        lambda data: MAGIC + bytes(12) + data[len(MAGIC) + 12 :],
    ],
)
def test_a_changed_file_does_not_open(sealed, master, damage):
    path = sealed(bytes(range(256)) * 700)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(OSError, match=r"bytes were changed|does not open"), open_sealed(path, master) as file:
        file.read()


def test_a_file_that_was_not_finished_does_not_open(sealed, master):
    path = sealed(b"x" * (CHUNK_BYTES + 5), finish=False)
    with pytest.raises(OSError, match="bytes were changed"), open_sealed(path, master) as file:
        file.read()


def test_another_master_key_opens_nothing(sealed, tmp_path):
    path = sealed(b"x")
    other = tmp_path / "other.key"
    other.write_bytes(os.urandom(32))
    with pytest.raises(OSError, match="master key"):
        open_sealed(path, other)
