"""Mail to people: rendered here, sent in the background by few threads, so that no page waits for a mail server for long
or fails with it.

With TIDEGATE_MAIL_URL it goes to that server, encrypted wherever the server can; without, into files of the data directory.
"""

from __future__ import annotations

import smtplib
import ssl
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache
from typing import Any, Final

import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.smtp import EmailBackend
from django.template.loader import render_to_string

log = structlog.get_logger(__name__)

SEND_WAIT_S: Final = 10
"""So long a page waits to be able to say whether a mail is on its way."""

THREADS: Final = 2
WAITING_MAX: Final = 100
"""Mails that wait for their turn; more are refused: the server is away, and those who send are told."""


def send(to: str, subject: str, template: str, context: Mapping[str, Any]) -> bool:
    """Send a mail of one text template; True if the mail server took it within SEND_WAIT_S (without a mail server: if it
    is in the data directory). Never raises: who sends says so on the page, and offers another way where that is safe."""
    sending = post(written(to, subject, template, context))
    try:
        return sending is not None and sending.result(SEND_WAIT_S)
    except TimeoutError:
        return False


def post_text(to: str, subject: str, template: str, context: Mapping[str, Any]) -> None:
    """Send a mail of one text template in the background; whether it arrives, nobody waits to know."""
    post(written(to, subject, template, context))


def written(to: str, subject: str, template: str, context: Mapping[str, Any]) -> EmailMessage:
    """A mail of one text template. Texts in context stand in one line each: whose name has several writes no paragraphs of
    their own into our mail."""
    lines = {name: " ".join(value.split()) if isinstance(value, str) else value for name, value in context.items()}
    body = render_to_string(template, {**lines, "endpoint": settings.CONFIG.public_address})
    return EmailMessage(" ".join(subject.split()), body.strip() + "\n", settings.DEFAULT_FROM_EMAIL, [to])


def post(message: EmailMessage) -> Future[bool] | None:
    """Send in the background: for answers that may not tell by the time they take whether there was a mail at all. None:
    too many wait already."""
    with _lock:
        _waiting.difference_update([one for one in _waiting if one.done()])
        if len(_waiting) >= WAITING_MAX:
            log.error("mail_refused", waiting=len(_waiting))
            return None
        sending = _threads().submit(_deliver, message)
        _waiting.add(sending)
    return sending


def settle() -> None:
    """Wait for everything that was posted in this process."""
    with _lock:
        waiting = set(_waiting)
    wait(waiting)


_lock = threading.Lock()
_waiting: set[Future[bool]] = set()


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="mail")


def _deliver(message: EmailMessage) -> bool:
    try:
        return bool(message.send())
    except Exception as error:  # noqa: BLE001 - whatever a mail server does to us, no page breaks; the log says what it was
        log.warning(
            "mail_failed", error=f"{type(error).__name__}: {error}"[:300], to_domain=message.to[0].rpartition("@")[2]
        )
        return False


class Smtp(EmailBackend):
    """Django's, with the rules below."""

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        """smtps: TLS from the start."""
        return smtplib.SMTP_SSL if self.use_ssl else Encrypting

    def open(self) -> bool | None:
        """As Django's, but a talk that fails before it is a connection is closed at once."""
        try:
            return super().open()
        except Exception:
            begun: smtplib.SMTP | None = self._partial_connection  # type: ignore[has-type]
            if begun is not None:
                begun.close()
            self._partial_connection = None
            raise


class Encrypting(smtplib.SMTP):
    """Encrypts wherever the server can; where it cannot, no password is sent but to this machine."""

    def login(self, user: str, password: str, *, initial_response_ok: bool = True) -> Any:
        """As the base class, once the connection is encrypted. Raises SMTPNotSupportedError."""
        self.ehlo_or_helo_if_needed()
        server = settings.CONFIG.mail_server
        if not isinstance(self.sock, ssl.SSLSocket) and not (server and server.is_here):
            raise smtplib.SMTPNotSupportedError("The mail server offers no STARTTLS, so it gets no password.")
        return super().login(user, password, initial_response_ok=initial_response_ok)

    def ehlo(self, name: str = "") -> tuple[int, bytes]:
        """As the base class; with STARTTLS at once where it is offered."""
        answer = super().ehlo(name)
        if self.has_extn("starttls") and not isinstance(self.sock, ssl.SSLSocket):
            self.starttls(context=ssl.create_default_context())
            return super().ehlo(name)
        return answer
