"""Mail: into the data directory or to a mail server, and never a page that fails with it."""

import smtplib
import socket
import threading
from concurrent.futures import Future

import pytest
from django.conf import settings as django_settings
from django.core import mail as django_mail
from django.core.mail import EmailMessage

from apps.base.config import Config
from console import mail

TEMPLATE = "account/email/password_reset_key_message.txt"
CONTEXT = {"email": "ann@example.test", "password_reset_url": "http://localhost:4567/x"}


class MailServer:
    """One talk of SMTP, as a script: the lines that clients send are kept."""

    def __init__(self, says, answers):
        self.said = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._says, self._answers = says, answers
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        try:
            talking, _ = self._listening.accept()
        except OSError:
            return  # closed, and nobody had come
        with talking, talking.makefile("rwb") as lines:
            self._say(lines, "220 here")
            for line in lines:
                self.said.append(line.decode().rstrip())
                word = self.said[-1].split(" ")[0].upper()
                if word == "EHLO":
                    self._say(lines, "250-here", *(f"250-{one}" for one in self._says), "250 HELP")
                elif word == "." or word in self._answers:
                    self._say(lines, self._answers.get(word, "250 kept"))
                elif word in {"MAIL", "RCPT", "RSET", "QUIT"}:
                    self._say(lines, "250 fine")
                elif word == "DATA":
                    self._say(lines, "354 go on")

    def _say(self, lines, *texts):
        lines.write("".join(f"{text}\r\n" for text in texts).encode())
        lines.flush()

    def close(self):
        self._listening.close()


@pytest.fixture
def smtp(settings):
    servers = []

    def start(says=(), answers=None, url="smtp://127.0.0.1:{port}"):
        server = MailServer(says, answers or {})
        servers.append(server)
        config = Config.from_environment({"TIDEGATE_MAIL_URL": url.format(port=server.port)})
        settings.CONFIG = config
        settings.EMAIL_BACKEND = "console.mail.Smtp"
        settings.EMAIL_HOST, settings.EMAIL_PORT = config.mail_server.host, config.mail_server.port
        settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = config.mail_server.user, config.mail_server.password
        settings.EMAIL_TIMEOUT = 5
        return server

    yield start
    for server in servers:
        server.close()


def send():
    return mail.send("ann@example.test", "Hello\nthere", TEMPLATE, CONTEXT)


def test_a_mail_is_one_text_to_one_person():
    assert send() is True
    (sent,) = django_mail.outbox
    assert (sent.to, sent.subject, sent.from_email) == (
        ["ann@example.test"],
        "Hello there",
        "Tidegate <tidegate@localhost>",
    )
    assert "http://localhost:4567/x" in sent.body


def test_a_mail_server_takes_it(smtp):
    server = smtp()
    assert send() is True
    assert any(line.upper().startswith("RCPT TO:<ANN@EXAMPLE.TEST>") for line in server.said)
    assert "Subject: Hello there" in server.said


def test_a_mail_server_that_refuses_is_told_of_and_breaks_nothing(smtp):
    smtp(answers={"RCPT": "550 no such person"})
    assert send() is False


def test_nobody_there_is_no_error_either(smtp):
    smtp().close()
    django_settings.EMAIL_PORT = 1
    assert send() is False


def test_a_password_is_not_sent_in_the_clear(smtp, monkeypatch):
    server = smtp(says=("AUTH PLAIN",), url="smtp://ops:hidden-word@127.0.0.1:{port}", answers={"AUTH": "235 welcome"})
    monkeypatch.setattr("apps.base.mail_url.MailServer.is_here", False)
    assert send() is False
    assert not any(line.startswith("AUTH") for line in server.said)


def test_to_this_machine_it_may(smtp):
    server = smtp(says=("AUTH PLAIN",), url="smtp://ops:hidden-word@127.0.0.1:{port}", answers={"AUTH": "235 welcome"})
    assert send() is True
    assert any(line.startswith("AUTH PLAIN") for line in server.said)


def test_encryption_is_used_where_it_is_offered(smtp):
    server = smtp(says=("STARTTLS",), answers={"STARTTLS": "454 not now"})
    talking = mail.Encrypting("127.0.0.1", server.port, timeout=5)
    with pytest.raises(smtplib.SMTPException):
        talking.sendmail("a@x.test", ["b@x.test"], "x")
    talking.close()
    assert "STARTTLS" in server.said


def test_too_many_that_wait_are_refused(monkeypatch):
    monkeypatch.setattr(mail, "_waiting", {Future() for _ in range(mail.WAITING_MAX)})
    assert mail.post(EmailMessage("x", "y", to=["ann@example.test"])) is None
    assert send() is False


def test_a_name_writes_no_paragraphs_of_its_own(db):
    given = {"old": "ann@example.test", "new": "Pay here\n\nhttps://evil.test", "email": "ann@example.test"}
    body = mail.written("ann@example.test", "News", "people/mail_address_changed.txt", given).body
    assert "Pay here https://evil.test" in body
