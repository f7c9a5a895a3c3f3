"""The cryptography of local KMS keys."""

import os
from uuid import uuid4

import pytest

from apps.encryption import wrapping
from apps.encryption.errors import InvalidCiphertextException
from apps.encryption.sealed_text import open_text, seal_text
from apps.encryption.wrapping import MaterialUnreadable

ID, OTHER = uuid4(), uuid4()


@pytest.fixture
def master(tmp_path):
    path = tmp_path / "master.key"
    path.write_bytes(os.urandom(32))
    return path


@pytest.fixture
def cipher(master):
    return wrapping.open_material(master, ID, 1, wrapping.new_material(master, ID, 1))


def test_material_opens_only_in_its_own_place(master, tmp_path):
    stored = wrapping.new_material(master, ID, 1)
    wrapping.open_material(master, ID, 1, stored)
    elsewhere = tmp_path / "other.key"
    elsewhere.write_bytes(os.urandom(32))
    for path, key_id, version, data in (
        (elsewhere, ID, 1, stored), (master, OTHER, 1, stored), (master, ID, 2, stored),
        (master, ID, 1, stored[:-1]), (master, ID, 1, b"\x02" + stored[1:]),
    ):  # fmt: skip
        with pytest.raises(MaterialUnreadable):
            wrapping.open_material(path, key_id, version, data)


def test_a_blob_opens_with_its_context_in_any_order(cipher):
    blob = wrapping.seal(cipher, ID, 1, b"secret", {"a": "1", "b": "2"})
    parsed = wrapping.parse(blob)
    assert (parsed.key_id, parsed.version) == (ID, 1)
    assert wrapping.unseal(cipher, parsed, {"b": "2", "a": "1"}) == b"secret"
    assert b"secret" not in blob
    assert wrapping.seal(cipher, ID, 1, b"secret", {}) != wrapping.seal(cipher, ID, 1, b"secret", {})


@pytest.mark.parametrize("context", [{}, {"a": "2"}, {"a": "1", "b": ""}, {"a1": ""}])
def test_not_with_another_context(cipher, context):
    parsed = wrapping.parse(wrapping.seal(cipher, ID, 1, b"secret", {"a": "1"}))
    with pytest.raises(InvalidCiphertextException):
        wrapping.unseal(cipher, parsed, context)


def test_not_with_any_bit_changed(cipher):
    blob = wrapping.seal(cipher, ID, 1, b"s", {})
    for at in range(len(blob)):
        changed = blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :]
        with pytest.raises(InvalidCiphertextException):
            wrapping.unseal(cipher, wrapping.parse(changed), {})


@pytest.mark.parametrize("blob", [b"", b"\x01", b"\x02" * 80, b"\x01" * 48])
def test_what_is_no_blob(blob):
    with pytest.raises(InvalidCiphertextException):
        wrapping.parse(blob)


def test_texts(master):
    stored = seal_text(master, "ключ")
    assert open_text(master, stored) == "ключ"
    assert stored != seal_text(master, "ключ")
