"""What stands in files."""

import contextlib
from pathlib import Path


def found(folder: Path, *words: bytes) -> set[tuple[str, bytes]]:
    """(file, word) for every file in a folder, at any depth, that holds a word anywhere in its bytes."""
    hits = set()
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):  # a socket, or gone meanwhile
            if path.is_file():
                content = path.read_bytes()
                hits |= {(str(path.relative_to(folder)), word) for word in words if word in content}
    return hits
