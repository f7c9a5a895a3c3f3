"""A real Valkey, and flushers that turn counters into seconds of a fake clock."""

from tests.support.metrics import process, second_process, valkey, valkey_server

__all__ = ["process", "second_process", "valkey", "valkey_server"]
