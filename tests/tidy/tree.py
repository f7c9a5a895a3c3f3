"""The files of the repository that are ours to keep tidy."""

from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("apps", "console", "workers", "tests", "templates", "static", ".ci")
NOT_OURS = {"vendor", "node_modules", "__pycache__", "migrations"}
TEXT = {
    ".py",
    ".md",
    ".toml",
    ".txt",
    ".html",
    ".css",
    ".js",
    ".mjs",
    ".json",
    ".yml",
    ".yaml",
    ".cfg",
    ".ini",
    ".svg",
    "",
}


@cache
def files(*suffixes: str, folders: tuple[str, ...] = FOLDERS) -> tuple[Path, ...]:
    """Our files with one of the suffixes, generated and foreign ones left out."""
    found = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    if folders == FOLDERS:
        found += [path for path in ROOT.iterdir() if path.is_file() and path.name != ".git"]
    return tuple(
        sorted(
            path
            for path in found
            if path.suffix in suffixes and not NOT_OURS.intersection(path.relative_to(ROOT).parts)
        )
    )


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def text(path: Path) -> str:
    return path.read_text()
