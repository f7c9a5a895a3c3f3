"""What a slice of background work answers."""

from __future__ import annotations

from enum import Enum, auto


class Progress(Enum):
    """MORE: there is work left, wake the key again. DONE: nothing until something makes the key due."""

    MORE = auto()
    DONE = auto()
