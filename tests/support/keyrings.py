"""A keyring of a test's own: keys by number, which can be taken away and given back."""

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from apps.recordlog.interface import DataKey, KeyUnavailable


class Disabled(Exception):
    """What a caller would be told."""


class TestKeyring:
    """See Keyring. A key is ready after it was opened once; disable() closes it at once."""

    __test__ = False

    def __init__(self) -> None:
        self.keys: dict[int, DataKey] = {}
        self.opened: list[int] = []
        self._ready: set[int] = set()
        self._disabled: set[int] = set()

    def key(self, number: int) -> DataKey:
        """The key of that number, made now if there is none."""
        if number not in self.keys:
            self.keys[number] = DataKey(number, AESGCM(AESGCM.generate_key(256)))
        return self.keys[number]

    def disable(self, *numbers: int) -> None:
        self._disabled.update(numbers)

    def enable(self, *numbers: int) -> None:
        self._disabled.difference_update(numbers)

    def ready(self, number: int) -> DataKey | None:
        return self.keys[number] if number in self._ready and number not in self._disabled else None

    async def open(self, number: int) -> DataKey:
        self.opened.append(number)
        if number not in self.keys or number in self._disabled:
            raise KeyUnavailable(Disabled(f"key {number}"))
        self._ready.add(number)
        return self.keys[number]
