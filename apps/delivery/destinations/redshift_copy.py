"""The COPY statement of a Redshift destination, made of what people wrote down without letting them write SQL.

Table, columns and options are read by their grammar and written anew, so nothing else can come through: no second
statement, no comment, no other source or credentials. Literals are read so that both kinds of server agree where they
end, those that take a backslash as an escape (Redshift, PostgreSQL 8) and those that do not.
"""

from __future__ import annotations

import re
from typing import Any, Final

Json = dict[str, Any]

_URL: Final = re.compile(
    r"jdbc:(?:redshift|postgresql)://(?P<host>[A-Za-z0-9.-]{1,253}):(?P<port>[0-9]{1,5})/(?P<database>[A-Za-z0-9_$-]+)"
)
_NAME: Final = re.compile(r"\s*(?:(?P<plain>[A-Za-z_\u0080-\uffff][\w$]*)|\"(?P<quoted>(?:[^\"]|\"\")+)\")\s*")
_TOKEN: Final = re.compile(
    r"\s*(?:(?P<word>[A-Za-z_][A-Za-z0-9_]*)|(?P<number>[0-9]+(?:\.[0-9]+)?)|(?P<text>'(?:[^']|'')*'))"
)
_ROLE: Final = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]+")

NAME_BYTES_MAX: Final = 127
"""Of an identifier: Redshift's limit."""

TABLE_PARTS_MAX: Final = 3
"""database.schema.table"""

PORT_MAX: Final = 65_535

TEXT, NUMBER, WORD = "text", "number", "word"
"""What may follow an option."""

OPTIONS: Final[dict[str, tuple[frozenset[str], bool]]] = {
    **dict.fromkeys(
        (
            "ACCEPTANYDATE", "BLANKSASNULL", "BZIP2", "CSV", "EMPTYASNULL", "ESCAPE", "EXPLICIT_IDS", "FILLRECORD", "GZIP",
            "IGNOREALLERRORS", "IGNOREBLANKLINES", "LZOP", "ORC", "PARQUET", "REMOVEQUOTES", "ROUNDEC", "TRIMBLANKS",
            "TRUNCATECOLUMNS", "ZSTD",
        ),
        (frozenset(), False),
    ),
    **dict.fromkeys(
        ("AVRO", "DATEFORMAT", "DELIMITER", "FIXEDWIDTH", "JSON", "NULL", "QUOTE", "REGION", "TIMEFORMAT"),
        (frozenset({TEXT}), False),
    ),
    **dict.fromkeys(("ACCEPTINVCHARS",), (frozenset({TEXT}), True)),
    **dict.fromkeys(("COMPROWS", "IGNOREHEADER", "MAXERROR"), (frozenset({NUMBER}), False)),
    **dict.fromkeys(("COMPUPDATE", "STATUPDATE"), (frozenset({WORD}), True)),
    "ENCODING": (frozenset({WORD}), False),
}  # fmt: skip
"""COPY's options that a delivery may have: what may follow each, and whether nothing may. From Redshift's guide; what
names another source, other credentials or a manifest, or loads nothing, is not among them."""

WORDS: Final = {
    "COMPUPDATE": {"ON", "OFF", "TRUE", "FALSE", "PRESET"},
    "STATUPDATE": {"ON", "OFF", "TRUE", "FALSE"},
    "ENCODING": {"UTF8", "UTF16", "UTF16LE", "UTF16BE", "ISO88591"},
}
FORMATS: Final = {"CSV", "FIXEDWIDTH", "AVRO", "JSON", "PARQUET", "ORC"}
"""What may follow FORMAT."""


class CopyRefused(ValueError):
    """The configuration does not make a COPY statement; the text says why and may be shown."""


def address(jdbc_url: str) -> tuple[str, int, str]:
    """(host, port, database) of a ClusterJDBCURL. Raises CopyRefused."""
    found = _URL.fullmatch(jdbc_url)
    if found is None or not 0 < int(found["port"]) <= PORT_MAX:
        raise CopyRefused("ClusterJDBCURL must have the form jdbc:redshift://host:port/database.")
    return found["host"], int(found["port"]), found["database"]


def table(text: str) -> str:
    """A table's name, quoted: each part folded to lower case unless it was quoted already. Raises CopyRefused."""
    parts, rest = [], text
    while True:
        name, rest = _identifier(rest, "DataTableName")
        parts.append(name)
        if not rest.startswith("."):
            break
        rest = rest[1:]
    if rest or len(parts) > TABLE_PARTS_MAX:
        raise CopyRefused("DataTableName must be a table's name, with its schema before it if need be.")
    return ".".join(parts)


def columns(text: str) -> str:
    """The list of columns, quoted, in parentheses; empty for an empty list. Raises CopyRefused."""
    if not text.strip():
        return ""
    names, rest = [], text
    while True:
        name, rest = _identifier(rest, "DataTableColumns")
        names.append(name)
        if not rest.startswith(","):
            break
        rest = rest[1:]
    if rest:
        raise CopyRefused("DataTableColumns must be a list of column names with commas between them.")
    return f"({', '.join(names)})"


def options(text: str) -> list[str]:
    """The options, each written anew. One semicolon at the end is AWS's custom and dropped. Raises CopyRefused."""
    tokens = _tokens(text.strip().removesuffix(";"))
    told: list[str] = []
    at = 0
    while at < len(tokens):
        said, at = _option(tokens, at)
        told.append(said)
    return told


def literal(text: str) -> str:
    """A text as SQL writes it. Raises CopyRefused for what would need an escape."""
    if "'" in text or "\\" in text or not text.isprintable():
        raise CopyRefused(f"{text!r} has characters that a COPY command cannot carry.")
    return f"'{text}'"


def statement(description: Json, manifest_url: str, *, compressed: bool) -> str:
    """The COPY that loads what the manifest lists. compressed: the objects are gzip. Raises CopyRefused."""
    command = description["CopyCommand"]
    role = description["RoleARN"]
    if _ROLE.fullmatch(role) is None:
        raise CopyRefused("RoleARN is not the ARN of a role.")
    given = options(command.get("CopyOptions") or "")
    if compressed and "GZIP" not in given:
        given.append("GZIP")
    listed = columns(command.get("DataTableColumns") or "")
    words = ["COPY", table(command["DataTableName"]), listed, "FROM", literal(manifest_url)]
    words += ["CREDENTIALS", literal(f"aws_iam_role={role}"), "MANIFEST", *given]
    return " ".join(word for word in words if word)


def _identifier(text: str, member: str) -> tuple[str, str]:
    """(one identifier, quoted; the rest)."""
    found = _NAME.match(text)
    if found is None:
        raise CopyRefused(f"{member} is no list of names: there is none at {text[:40]!r}.")
    name = found["plain"].lower() if found["plain"] else found["quoted"].replace('""', '"')
    if len(name.encode()) > NAME_BYTES_MAX or not name.isprintable():
        raise CopyRefused(f"A name in {member} has more than {NAME_BYTES_MAX} bytes, or control characters.")
    escaped = name.replace('"', '""')
    return f'"{escaped}"', text[found.end() :]


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, at = [], 0
    text = text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            raise CopyRefused(f"CopyOptions cannot be read at {text[at : at + 40]!r}.")
        value = found[found.lastgroup]
        if found.lastgroup == TEXT:
            _ends_for_everybody(value)
        tokens.append((found.lastgroup, value))
        at = found.end()
    return tokens


def _ends_for_everybody(value: str) -> None:
    """A quote after an odd number of backslashes ends the literal for one kind of server and not for the other."""
    if re.search(r"(?<!\\)(?:\\\\)*\\'", value):
        raise CopyRefused("A text in CopyOptions must not have a backslash before a quote.")


def _option(tokens: list[tuple[str, str]], at: int) -> tuple[str, int]:
    """(one option as it is written anew, where the next begins)."""
    kind, value = tokens[at]
    name = value.upper()
    if kind != WORD:
        raise CopyRefused(f"CopyOptions has {value[:40]} where an option's name is expected.")
    if name == "FORMAT":
        return _format(tokens, at + 1)
    if name not in OPTIONS:
        raise CopyRefused(f"{name[:40]} is not an option of COPY that a delivery can have.")
    takes, optional = OPTIONS[name]
    after = at + 1
    if takes and _is(tokens, after, "AS"):
        after += 1
    if takes and after < len(tokens) and tokens[after][0] in takes and _fits(name, tokens[after]):
        written = tokens[after][1].upper() if tokens[after][0] == WORD else tokens[after][1]
        return f"{name} {'AS ' if name in {'NULL', 'QUOTE'} else ''}{written}", after + 1
    if takes and not optional:
        raise CopyRefused(f"The option {name} of COPY needs a value.")
    return name, at + 1


def _format(tokens: list[tuple[str, str]], at: int) -> tuple[str, int]:
    """FORMAT [AS] CSV is CSV said longer."""
    at += _is(tokens, at, "AS")
    if at >= len(tokens) or tokens[at][1].upper() not in FORMATS:
        raise CopyRefused(f"FORMAT must be followed by one of {', '.join(sorted(FORMATS))}.")
    said, after = _option(tokens, at)
    return f"FORMAT AS {said}", after


def _fits(name: str, token: tuple[str, str]) -> bool:
    return token[0] != WORD or token[1].upper() in WORDS[name]


def _is(tokens: list[tuple[str, str]], at: int, word: str) -> bool:
    return at < len(tokens) and tokens[at][0] == WORD and tokens[at][1].upper() == word
