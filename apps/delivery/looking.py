"""What stands in an object that a delivery stream wrote, for people: the beginning of it, unpacked, as text or as rows.

Only objects in the delivery stream's own list (DeliveredObject) are looked into, with the keys they were written with. No
more than a bounded part is read, unpacked or answered, whatever somebody has put there since.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, Final

from apps.base.units import KIB, MIB
from apps.delivery import role_limits
from apps.delivery.destinations.interface import DeliveryFailed
from apps.delivery.models import DeliveredObject
from apps.delivery.object_file import BudgetSpent, ObjectFile
from apps.delivery.s3_client import s3_for
from apps.delivery.targets import target_for
from apps.delivery.unpacking import Readable, Unreadable, packing_of, unpacked

if TYPE_CHECKING:
    from apps.runtime import Runtime

Json = dict[str, Any]

HEAD_BYTES: Final = 64 * KIB
"""Of the content, unpacked."""
ROWS: Final = 50
COLUMNAR_BUDGET_BYTES: Final = 24 * MIB
"""Of a Parquet or ORC object, read to see its first rows."""
CELL_CHARACTERS: Final = 500
PARQUET, ORC = b"PAR1", b"ORC"


@dataclass(frozen=True, slots=True)
class Seen:
    """kind: "text", "rows" (of Parquet or ORC, by column), "binary" (text is then a hex dump), or "" with a problem.

    size_bytes: of the object; cut: there is more than is shown. problem: why nothing can be seen, as a sentence.
    """

    kind: str = ""
    text: str = ""
    columns: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    size_bytes: int = 0
    packing: str = ""
    cut: bool = False
    problem: str = ""


def look(runtime: Runtime, written: DeliveredObject) -> Seen:
    """The beginning of an object. Never raises for what is in it, or for a server that does not answer."""
    try:
        file = opened(runtime, written, budget_bytes=COLUMNAR_BUDGET_BYTES)
        return seen_in(file, written.key, file.content_encoding, file.size_bytes)
    except DeliveryFailed as error:
        return Seen(problem=error.message)
    except BudgetSpent:
        return Seen(
            problem="The object is too large to look into: even its first rows need more of it than is read here."
        )
    except Unreadable as error:
        return Seen(problem=str(error))


def opened(runtime: Runtime, written: DeliveredObject, *, budget_bytes: int | None = None) -> ObjectFile:
    """The object as a file. Raises DeliveryFailed if it may not or cannot be read."""
    target = target_for(runtime, written.delivery_stream, part=written.part)
    role = target.description.get("RoleARN") or ""
    arn = f"arn:aws:s3:::{written.bucket}/{written.key}"
    denied = role_limits.why_not(target.team_id, target.account_id, role, "s3:PutObject", arn)
    if denied:
        raise DeliveryFailed("S3.AccessDenied", denied)
    s3 = s3_for(runtime, target, written.bucket)
    return ObjectFile(s3, written.bucket, written.key, budget_bytes=budget_bytes)


def seen_in(file: IO[bytes] | ObjectFile, key: str, content_encoding: str, size_bytes: int) -> Seen:
    """The beginning of an object that can be read anywhere. Raises Unreadable, BudgetSpent, DeliveryFailed."""
    start = file.read(4)
    file.seek(0)
    if start == PARQUET or start.startswith(ORC):
        return _columnar(file, "Parquet" if start == PARQUET else "ORC", size_bytes)
    packing = packing_of(key, content_encoding)
    head, cut = head_of(file, packing)
    if _is_text(head):
        return Seen("text", head.decode("utf-8", "replace"), size_bytes=size_bytes, packing=packing, cut=cut)
    return Seen("binary", hex_dump(head[: 4 * KIB]), size_bytes=size_bytes, packing=packing, cut=cut)


def head_of(file: Readable, packing: str) -> tuple[bytes, bool]:
    """The first HEAD_BYTES of what is in an object, and whether there is more. Raises Unreadable."""
    head = bytearray()
    for piece in unpacked(file, packing):
        head += piece
        if len(head) > HEAD_BYTES:
            return bytes(head[:HEAD_BYTES]), True
    return bytes(head), False


def hex_dump(data: bytes) -> str:
    """Sixteen bytes a line: place, bytes, and what of them is printable."""
    lines = []
    for at in range(0, len(data), 16):
        some = data[at : at + 16]
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in some)
        lines.append(f"{at:08x}  {some.hex(' '):<47}  {shown}")
    return "\n".join(lines)


def _is_text(head: bytes) -> bool:
    """UTF-8 without control characters but for those of texts; a character may be cut at the end."""
    try:
        text = head[:-3].decode() + head[-3:].decode("utf-8", "ignore")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 7:
            return False
        text = head[: error.start].decode()
    return not any(character < " " and character not in "\t\n\r\f\x1b" for character in text)


def _columnar(file: IO[bytes] | ObjectFile, name: str, size_bytes: int) -> Seen:
    """The first rows of Parquet or ORC. pyarrow says with exceptions of many kinds that a file is none."""
    import pyarrow as pa

    try:
        table, total, columns = _first_rows(file, name)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Unreadable(f"The object is no {name}.") from error
    rows = [[_cell(value) for value in row.values()] for row in table.to_pylist()]
    return Seen("rows", "", columns, rows, size_bytes, name, cut=total > len(rows))


def _first_rows(file: IO[bytes] | ObjectFile, name: str) -> tuple[Any, int, list[str]]:
    if name == "Parquet":
        import pyarrow.parquet as pq

        parquet = pq.ParquetFile(file, pre_buffer=False)
        batch = next(parquet.iter_batches(batch_size=ROWS, use_threads=False), None)
        rows = batch if batch is not None else parquet.schema_arrow.empty_table()
        return rows, parquet.metadata.num_rows, list(parquet.schema_arrow.names)
    from pyarrow import orc

    found = orc.ORCFile(file)
    rows = found.read_stripe(0).slice(0, ROWS) if found.nstripes else found.schema.empty_table()
    return rows, found.nrows, list(found.schema.names)


def _cell(value: Any) -> str:
    text = "" if value is None else value.hex() if isinstance(value, bytes) else str(value)
    return text if len(text) <= CELL_CHARACTERS else f"{text[:CELL_CHARACTERS]}…"
