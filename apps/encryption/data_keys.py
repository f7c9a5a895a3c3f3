"""The data keys of streams, as one process holds them: in memory only, for as long as their KMS key may be used.

A stream's records are encrypted with a data key of its own, which its KMS key has wrapped. Data keys are numbered rows
(StreamDataKey); a stored batch carries the number. This is the record log's keyring, and gives writers their key.

Whether a KMS key may be used is asked anew every CONFIRM_AFTER_MS while it is used, behind the requests' backs; what
was last heard more than TRUSTED_MS ago is not trusted any more, and a request then waits for the answer. So a key that
is disabled closes what it covers, for writers and readers of every process, within TRUSTED_MS; and one that is enabled
again opens it within CONFIRM_AFTER_MS. A key service that does not answer at all closes nothing until SILENCE_MS.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from apps.accounts.bridge import in_thread
from apps.base.clock import Clock
from apps.base.errors import InternalFailure, ServiceError
from apps.base.units import DAY_MS, MINUTE_MS
from apps.encryption.errors import KeyServiceSilent, as_kinesis_says
from apps.encryption.management import Context, KeyManagement
from apps.encryption.models import StreamDataKey
from apps.recordlog.interface import DataKey, KeyUnavailable

T = TypeVar("T")

log = structlog.get_logger(__name__)

CONFIRM_AFTER_MS = 2_000
TRUSTED_MS = 4_000
"""AWS promises nothing here. The README promises five seconds, and the question to the key service takes time, too."""

SILENCE_MS = 5 * MINUTE_MS
"""As long as AWS's own services keep a data key in memory."""

DATA_KEY_MS = DAY_MS
DATA_KEY_APPENDS = 1 << 24
DATA_KEY_BYTES = 256 << 30
"""A data key is given up for writing after any of these, the latter two counted by each process for itself: far below
the 2**32 messages that NIST SP 800-38D allows a key with random nonces, in 64 processes together too."""

OPENED_MAX = 10_000
"""Data keys in memory; the one opened longest ago goes first."""

KEPT_MS = 400 * DAY_MS
"""A data key older than this covers nothing that the longest retention still keeps."""


@dataclass(frozen=True, slots=True)
class EncryptedStream:
    """What the data plane must know to encrypt: the stream, and the KMS key that covers what is written now.
    by_default_key: it was named as alias/aws/kinesis."""

    stream_key: int
    stream_arn: str
    account_id: str
    key_arn: str
    by_default_key: bool = False

    @property
    def context(self) -> Context:
        """AWS's encryption context of the service that the stream is of."""
        return context_of(self.stream_arn)


def context_of(stream_arn: str) -> Context:
    """AWS's encryption context of Kinesis, and of Firehose where it is a delivery stream's ARN."""
    service = "firehose" if ":firehose:" in stream_arn else "kinesis"
    return {f"aws:{service}:arn": stream_arn}


@dataclass(frozen=True, slots=True)
class Opened:
    """A data key in memory, and the KMS key that allows it."""

    key: DataKey
    account_id: str
    key_arn: str
    created_at_ms: int


@dataclass(slots=True)
class Use:
    """A data key that this process writes with."""

    opened: Opened
    appends: int = 0
    size_bytes: int = 0

    def spent(self, now_ms: int) -> bool:
        """True once another is to be taken."""
        return (
            self.appends >= DATA_KEY_APPENDS
            or self.size_bytes >= DATA_KEY_BYTES
            or now_ms - self.opened.created_at_ms >= DATA_KEY_MS
        )


@dataclass(slots=True)
class Answer:
    """What was last heard of a KMS key. heard_ms: when it last answered; asked_ms: when it was last asked, answer or
    not; error: why it may not be used."""

    heard_ms: int
    asked_ms: int
    error: ServiceError | None = None


KmsKey = tuple[str, str]
"""(account id, ARN)."""


@dataclass(slots=True)
class Flights:
    """Questions under way: whoever asks the same meanwhile waits for the same answer."""

    tasks: dict[Any, asyncio.Task[Any]] = field(default_factory=dict)

    async def share(self, key: Any, ask: Callable[[], Awaitable[T]]) -> T:
        """The answer to ask(), or to the one that was asked for the same key and is not answered yet."""
        return await asyncio.shield(self.begin(key, ask))

    def begin(self, key: Any, ask: Callable[[], Awaitable[T]]) -> asyncio.Task[T]:
        """The same, without waiting."""
        task = self.tasks.get(key)
        if task is None:

            async def fly() -> T:
                try:
                    return await ask()
                finally:
                    del self.tasks[key]

            task = self.tasks[key] = asyncio.get_running_loop().create_task(fly(), name="data keys")
            task.add_done_callback(_heard)
        return task


def _heard(task: asyncio.Task[Any]) -> None:
    """An error is the waiters' business; nobody may be waiting."""
    if not task.cancelled():
        task.exception()


class DataKeys:
    """See the module's docstring. One per process, on the runtime's loop; ready() in any thread."""

    def __init__(self, management: KeyManagement, clock: Clock) -> None:
        self.management = management
        self._clock = clock
        self._opened: dict[int, Opened] = {}
        self._uses: dict[int, Use] = {}
        self._answers: dict[KmsKey, Answer] = {}
        self._flights = Flights()
        self._loop: asyncio.AbstractEventLoop | None = None

    # For the record log

    def ready(self, number: int) -> DataKey | None:
        """See Keyring.ready."""
        opened = self._opened.get(number)
        if opened is None or not self._trusted((opened.account_id, opened.key_arn)):
            return None
        return opened.key

    async def open(self, number: int) -> DataKey:
        """See Keyring.open."""
        try:
            return (await self._open(number)).key
        except ServiceError as error:
            raise KeyUnavailable(error) from error

    # For writers

    async def for_append(self, stream: EncryptedStream, size_bytes: int) -> DataKey:
        """The key for records of that many bytes that are appended now. Raises ServiceError, as Kinesis says it."""
        use = self._uses.get(stream.stream_key)
        if use is None or use.opened.key_arn != stream.key_arn or use.spent(self._clock.now_ms()):
            use = await self._flights.share(("use", stream.stream_key, stream.key_arn), lambda: self._next_use(stream))
        if not self._trusted((use.opened.account_id, use.opened.key_arn)):
            await self._allow(use.opened)
        use.appends += 1
        use.size_bytes += size_bytes
        return use.opened.key

    def forget(self, stream_key: int) -> None:
        """Another KMS key covers the stream now, or none."""
        self._uses.pop(stream_key, None)

    async def close(self) -> None:
        """Ask nothing more, and forget all keys."""
        for task in list(self._flights.tasks.values()):
            task.cancel()
        self._opened.clear()
        self._uses.clear()
        self._answers.clear()
        await self.management.close()

    async def _next_use(self, stream: EncryptedStream) -> Use:
        """The stream's newest data key, made by whichever process, or a new one."""
        before = self._uses.get(stream.stream_key)
        spent = 0 if before is None else before.opened.key.number
        if before is not None and before.opened.key_arn != stream.key_arn:
            spent = 0
        oldest_ms = self._clock.now_ms() - DATA_KEY_MS
        number = await in_thread(_newest, stream, spent, oldest_ms)
        if number is None:
            number = await self._make(stream)
        use = self._uses[stream.stream_key] = Use(await self._open(number))
        while len(self._uses) > OPENED_MAX:
            del self._uses[next(iter(self._uses))]
        return use

    async def _make(self, stream: EncryptedStream) -> int:
        _, wrapped = await self._ask(
            self.management.generate_data_key(stream.account_id, stream.key_arn, stream.context)
        )
        return await in_thread(keep, stream, wrapped, self._clock.now_ms())

    # Both

    async def _open(self, number: int) -> Opened:
        opened = self._opened.get(number)
        if opened is None:
            opened = await self._flights.share(("open", number), lambda: self._load(number))
        await self._allow(opened)
        return opened

    async def _load(self, number: int) -> Opened:
        row = await in_thread(_row, number)
        if row is None:
            log.error("data_key_missing", number=number)  # `manage.py fsck` counts the batches
            raise InternalFailure
        await self._allow_kms_key((row.account_id, row.key_arn))
        plaintext = await self._ask(
            self.management.decrypt_data_key(
                row.account_id, row.key_arn, bytes(row.wrapped), context_of(row.stream_arn)
            )
        )
        opened = Opened(DataKey(number, AESGCM(plaintext)), row.account_id, row.key_arn, row.created_at_ms)
        self._opened[number] = opened
        while len(self._opened) > OPENED_MAX:
            del self._opened[next(iter(self._opened))]
        return opened

    def _trusted(self, key: KmsKey) -> bool:
        """May the KMS key be used, by what was heard of it lately? Has it asked anew in time."""
        answer = self._answers.get(key)
        if answer is None or answer.error is not None:
            return False
        age_ms = abs(self._clock.now_ms() - answer.asked_ms)
        if age_ms > TRUSTED_MS:
            return False
        if age_ms > CONFIRM_AFTER_MS and ("allow", key) not in self._flights.tasks and self._loop is not None:
            self._loop.call_soon_threadsafe(self._confirm, key)
        return True

    def _confirm(self, key: KmsKey) -> None:
        self._flights.begin(("allow", key), lambda: self._hear(key))

    async def _allow(self, opened: Opened) -> None:
        await self._allow_kms_key((opened.account_id, opened.key_arn))

    async def _allow_kms_key(self, key: KmsKey) -> None:
        """Raises ServiceError, as Kinesis says it, unless the KMS key may be used."""
        self._loop = asyncio.get_running_loop()
        answer = self._answers.get(key)
        if answer is None or abs(self._clock.now_ms() - answer.asked_ms) > CONFIRM_AFTER_MS:
            await self._flights.share(("allow", key), lambda: self._hear(key))
            answer = self._answers[key]
        if answer.error is not None:
            raise _again(answer.error)

    async def _hear(self, key: KmsKey) -> None:
        """Ask the key service about a key, and note what it says."""
        asked_ms = self._clock.now_ms()
        before = self._answers.get(key)
        error: ServiceError | None = None
        try:
            (await self.management.describe(*key)).check()
        except KeyServiceSilent as silent:
            log.warning("key_service_silent", key=key[1], error=silent.message)
            if before is not None and 0 <= asked_ms - before.heard_ms <= SILENCE_MS:
                before.asked_ms = asked_ms
                return
            error = as_kinesis_says(silent)
        except ServiceError as refused:
            error = as_kinesis_says(refused)
        except Exception as broken:  # noqa: BLE001 - the control database is away: as with a silent key service
            log.warning("key_not_confirmed", key=key[1], error=repr(broken))
            if before is not None and 0 <= asked_ms - before.heard_ms <= SILENCE_MS:
                before.asked_ms = asked_ms
                return
            error = InternalFailure()
        if error is not None and (before is None or before.error is None):
            log.info("key_closed", key=key[1], code=error.code)
        self._answers[key] = Answer(asked_ms, asked_ms, error)

    @staticmethod
    async def _ask(question: Awaitable[T]) -> T:
        try:
            return await question
        except ServiceError as error:
            raise as_kinesis_says(error) from error


def _again(error: ServiceError) -> ServiceError:
    """Everybody gets an error of his own, so that tracebacks do not grow."""
    return type(error)(error.message)


def keep(stream: EncryptedStream, wrapped: bytes, now_ms: int) -> int:
    """Store a wrapped data key; its number. Those that can cover nothing any more go."""
    StreamDataKey.objects.filter(stream_key=stream.stream_key, created_at_ms__lt=now_ms - KEPT_MS).delete()
    return StreamDataKey.objects.create(
        stream_key=stream.stream_key, stream_arn=stream.stream_arn, account_id=stream.account_id,
        key_arn=stream.key_arn, wrapped=wrapped, created_at_ms=now_ms,
    ).pk  # fmt: skip


def forget_all(stream_key: int) -> None:
    """The stream is deleted: whatever copy of its records there may be, nobody opens it any more."""
    StreamDataKey.objects.filter(stream_key=stream_key).delete()


def _newest(stream: EncryptedStream, above: int, oldest_ms: int) -> int | None:
    rows = StreamDataKey.objects.filter(
        stream_key=stream.stream_key, key_arn=stream.key_arn, pk__gt=above, created_at_ms__gt=oldest_ms
    )
    return rows.order_by("-pk").values_list("pk", flat=True).first()


def _row(number: int) -> StreamDataKey | None:
    return StreamDataKey.objects.filter(pk=number).first()
