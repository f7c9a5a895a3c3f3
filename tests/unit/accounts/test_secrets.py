"""Secrets of access keys at rest."""

import pytest

from apps.accounts.secrets import SecretUnreadable, decrypt, encrypt


@pytest.mark.parametrize("secret", ["test", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "пароль \U0001f30a", ""])
def test_a_secret_comes_back(secret: str) -> None:
    assert decrypt(encrypt(secret, "AKID"), "AKID") == secret
    assert decrypt(memoryview(encrypt(secret, "AKID")), "AKID") == secret


def test_the_same_secret_is_never_stored_the_same() -> None:
    assert encrypt("secret", "AKID") != encrypt("secret", "AKID")
    assert b"secret" not in encrypt("secret", "AKID")


def test_a_secret_belongs_to_its_key() -> None:
    with pytest.raises(SecretUnreadable, match="AKIDOTHER"):
        decrypt(encrypt("secret", "AKID"), "AKIDOTHER")


@pytest.mark.parametrize("at", [0, 1, 12, 13, -1])
def test_a_changed_byte_is_noticed(at: int) -> None:
    stored = bytearray(encrypt("secret", "AKID"))
    stored[at] ^= 1
    with pytest.raises(SecretUnreadable):
        decrypt(bytes(stored), "AKID")


@pytest.mark.parametrize("stored", [b"", b"\x01", b"\x01" + bytes(12), b"plain text"])
def test_what_was_never_a_secret_is_refused(stored: bytes) -> None:
    with pytest.raises(SecretUnreadable):
        decrypt(stored, "AKID")
