"""Config: every setting of Tidegate, typed, read from the environment once per process.

Nothing else reads os.environ. Each field carries its sentence for the README's table in its metadata
(tests/tidy/test_settings.py holds the table complete). Libraries get values, never the Config.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from email.utils import parseaddr
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from apps.base.mail_url import MailServer
from apps.base.mail_url import parse as parse_mail_url

UNIX_SOCKET_PATH_MAX = 100
"""Bytes; the kernel's limit is 107 or 103. A longer data directory gets its sockets in a temporary folder."""


REGION = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
HOST_NAME = re.compile(r"\*|\.?[A-Za-z0-9_-][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\]")
"""As Django's ALLOWED_HOSTS takes it: a name, all under a name, all, or an IPv6 address in brackets."""
EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
KEY_ID_CHARS_MAX = 128
DATABASES = ("postgres://", "postgresql://", "sqlite://")
REDISES = ("redis://", "rediss://", "unix://")


class ConfigError(Exception):
    """A setting is wrong. The text is one sentence that names the variable and says what to do."""


def setting(variable: str, default: Any, help_text: str) -> Any:
    """A field of Config: its environment variable, default, and sentence."""
    return field(default=default, metadata={"variable": variable, "help": help_text})


@dataclass(frozen=True, slots=True)
class Config:
    """The settings. Empty text means "not given"."""

    host: str = setting("TIDEGATE_HOST", "127.0.0.1", "Address to listen on")
    port: int = setting("TIDEGATE_PORT", 4567, "The one port of console, websockets and AWS endpoint")
    data_dir: Path = setting("TIDEGATE_DATA_DIR", Path(".tidegate"), "Where everything that must last is kept")
    region: str = setting("TIDEGATE_REGION", "us-east-1", "Region in ARNs and in signatures")
    account_id: str = setting(
        "TIDEGATE_ACCOUNT_ID", "", "12-digit account id of the first team; generated if not given"
    )
    admin_email: str = setting(
        "TIDEGATE_ADMIN_EMAIL", "", "E-mail of the first person; owner@tidegate.local if not given"
    )
    admin_password: str = setting("TIDEGATE_ADMIN_PASSWORD", "", "Password of the first person; generated if not given")
    access_key_id: str = setting(
        "TIDEGATE_ACCESS_KEY_ID", "", "First access key's id, any printable text; generated if not given"
    )
    secret_access_key: str = setting(
        "TIDEGATE_SECRET_ACCESS_KEY", "", "First access key's secret; generated if not given"
    )
    database_url: str = setting(
        "DATABASE_URL", "", "postgres://… for control data; SQLite in the data directory if not given"
    )
    redis_url: str = setting("REDIS_URL", "", "redis://… for broker and live metrics; a child of its own if not given")
    record_log_url: str = setting("RECORD_LOG_URL", "", "lmdb:<folder>; in the data directory if not given")
    master_key_file: str = setting(
        "TIDEGATE_MASTER_KEY_FILE",
        "",
        "32 bytes that all other keys derive from; made in the data directory if not given",
    )
    public_url: str = setting(
        "TIDEGATE_PUBLIC_URL", "", "Address people and mails use; http(s)://localhost:<port> if not given"
    )
    allowed_hosts: tuple[str, ...] = setting(
        "TIDEGATE_ALLOWED_HOSTS",
        (),
        "Host names the console answers to, comma-separated; local ones and the public address's if not given",
    )
    trusted_proxies: tuple[str, ...] = setting(
        "TIDEGATE_TRUSTED_PROXIES",
        (),
        "Addresses or ranges of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed, comma-separated",
    )
    web_processes: int = setting("TIDEGATE_WEB_PROCESSES", 1, "Web worker processes sharing the port")
    outgoing_private: bool = setting(
        "TIDEGATE_OUTGOING_PRIVATE",
        False,
        "on: webhooks of alarms and budgets may call private and local addresses, and by http",
    )
    metrics_token: str = setting(
        "TIDEGATE_METRICS_TOKEN", "", "Bearer token that reads every team's metrics at /metrics; empty: nobody's"
    )
    mail_url: str = setting(
        "TIDEGATE_MAIL_URL",
        "",
        "smtp://user:password@host:587 or smtps://…, where mail is sent by; if not given, mail is kept in the data directory",
    )
    mail_from: str = setting(
        "TIDEGATE_MAIL_FROM", "", "Sender of mail; Tidegate <tidegate@the public address's host> if not given"
    )
    oidc_issuer: str = setting(
        "TIDEGATE_OIDC_ISSUER", "", "https://… of an OpenID Connect provider that members may sign in with as well"
    )
    oidc_client_id: str = setting("TIDEGATE_OIDC_CLIENT_ID", "", "What that provider calls this Tidegate")
    oidc_client_secret: str = setting("TIDEGATE_OIDC_CLIENT_SECRET", "", "Its client secret")
    oidc_client_secret_file: str = setting(
        "TIDEGATE_OIDC_CLIENT_SECRET_FILE", "", "A file with the client secret, instead of the secret itself"
    )
    oidc_name: str = setting("TIDEGATE_OIDC_NAME", "single sign-on", "What the button says after “Sign in with”")
    throttle: bool = setting("TIDEGATE_THROTTLE", True, "off: shard limits are not enforced (load tests)")
    control_rates: bool = setting(
        "TIDEGATE_CONTROL_RATES",
        True,
        "off: calls per second of the control plane are not limited; nor are they without the throttle",
    )
    tls_certificate: str = setting("TIDEGATE_TLS_CERTIFICATE", "", "PEM file of the certificate chain: serve HTTPS")
    tls_key: str = setting("TIDEGATE_TLS_KEY", "", "PEM file of the certificate's key")
    kms_endpoint: str = setting(
        "TIDEGATE_KMS_ENDPOINT",
        "",
        "http(s)://host of AWS KMS or a service like it that keeps the keys; Tidegate's own if not given",
    )
    kms_region: str = setting("TIDEGATE_KMS_REGION", "", "Region of that service; TIDEGATE_REGION if not given")
    kms_access_key_id: str = setting("TIDEGATE_KMS_ACCESS_KEY_ID", "", "Access key that Tidegate signs with there")
    kms_secret_access_key: str = setting("TIDEGATE_KMS_SECRET_ACCESS_KEY", "", "Its secret")
    kms_default_key: str = setting(
        "TIDEGATE_KMS_DEFAULT_KEY", "", "Key there that alias/aws/kinesis stands for; itself if not given"
    )
    tls: str = setting("TIDEGATE_TLS", "", "self-signed: make a local authority and a certificate, and serve HTTPS")
    private_destinations: str = setting(
        "TIDEGATE_PRIVATE_DESTINATIONS",
        "",
        "allow or refuse: may teams' destinations have private and local addresses, and plain http; if not given, only"
        " while TIDEGATE_HOST is loopback",
    )
    aws_endpoint_url: str = setting(
        "AWS_ENDPOINT_URL", "", "Where S3 and Lambda are that deliveries go to, if not AWS's own; trusted"
    )
    aws_endpoint_url_s3: str = setting("AWS_ENDPOINT_URL_S3", "", "The same for S3 alone")
    aws_endpoint_url_lambda: str = setting("AWS_ENDPOINT_URL_LAMBDA", "", "The same for Lambda alone")
    aws_access_key_id: str = setting(
        "AWS_ACCESS_KEY_ID", "", "Access key for those, used for the first team and for buckets given to other teams"
    )
    aws_secret_access_key: str = setting("AWS_SECRET_ACCESS_KEY", "", "Its secret")
    aws_session_token: str = setting("AWS_SESSION_TOKEN", "", "Its session token, if it has one")
    aws_region: str = setting("AWS_REGION", "", "Region of those; AWS_DEFAULT_REGION if not given")
    aws_default_region: str = setting("AWS_DEFAULT_REGION", "", "Region of those; TIDEGATE_REGION if not given")
    aws_ca_bundle: str = setting(
        "AWS_CA_BUNDLE", "", "PEM file of the authorities that certify those; the system's if not given"
    )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Config:
        """Read every setting. Raises ConfigError naming the variable."""
        source = os.environ if environment is None else environment
        given = {f.name: _parse(f, source[variable_of(f)]) for f in fields(cls) if source.get(variable_of(f))}
        config = cls(**given)
        _check(config)
        return config

    @classmethod
    def fix_data_dir(cls) -> None:
        """Name the data directory by its absolute path from now on: this process and its copies go to another folder."""
        os.environ["TIDEGATE_DATA_DIR"] = str(cls.from_environment().data_path)

    @staticmethod
    def child_environment() -> dict[str, str]:
        """What a child process is started with: this process's own environment."""
        return dict(os.environ)

    @property
    def data_path(self) -> Path:
        """The data directory, absolute."""
        return self.data_dir.expanduser().absolute()

    @property
    def database(self) -> str:
        """URL of the control database."""
        return self.database_url or f"sqlite:///{self.data_path / 'control.sqlite3'}"

    @property
    def record_log(self) -> str:
        """URL of the record log."""
        return self.record_log_url or f"lmdb:{self.data_path / 'log'}"

    @property
    def redis(self) -> str:
        """URL of Redis: the given one, or the child's unix socket."""
        return self.redis_url or f"unix://{self.socket_dir / 'redis.sock'}"

    @property
    def socket_dir(self) -> Path:
        """Folder of unix sockets: the data directory, or a short temporary one if that path is too long."""
        if len(bytes(self.data_path / "redis.sock")) <= UNIX_SOCKET_PATH_MAX:
            return self.data_path
        import hashlib

        name = hashlib.sha256(bytes(self.data_path)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"tidegate-{os.getuid()}-{name}"

    @property
    def serves_tls(self) -> bool:
        """True if the port speaks HTTPS."""
        return bool(self.tls or self.tls_certificate)

    @property
    def people_use_https(self) -> bool:
        """True if the console's own address is https, be it served here or by a proxy before us: cookies are Secure."""
        return self.public_address.startswith("https://")

    @property
    def public_address(self) -> str:
        """The console's address without a final slash."""
        scheme = "https" if self.serves_tls else "http"
        local = self.host in {"127.0.0.1", "0.0.0.0", "::1", "::", "localhost"}  # noqa: S104 - compared with, not bound to
        host = "localhost" if local else f"[{self.host}]" if ":" in self.host else self.host
        return self.public_url.rstrip("/") or f"{scheme}://{host}:{self.port}"

    @property
    def destinations_may_be_private(self) -> bool:
        """May what a team gives as a destination have a private or local address, and be called by http?"""
        if self.private_destinations:
            return self.private_destinations == "allow"
        return self.host == "localhost" or _is_loopback(self.host)

    @property
    def mail_server(self) -> MailServer | None:
        """Where mail is sent by; None: nowhere."""
        return parse_mail_url(self.mail_url) if self.mail_url else None

    @property
    def mail_sender(self) -> str:
        """Name and address in mail's From."""
        return self.mail_from or f"Tidegate <tidegate@{urlsplit(self.public_address).hostname or 'localhost'}>"

    @property
    def oidc_secret(self) -> str:
        """The client secret, from its file if there is one. Raises ConfigError for a file that cannot be read."""
        if not self.oidc_client_secret_file:
            return self.oidc_client_secret
        try:
            return Path(self.oidc_client_secret_file).read_text().strip()
        except (OSError, UnicodeDecodeError):
            raise ConfigError(
                f"TIDEGATE_OIDC_CLIENT_SECRET_FILE is {self.oidc_client_secret_file!r}, which cannot be read; name a file"
                " that this user may read."
            ) from None

    @property
    def s3_endpoint(self) -> str:
        """Where the operator's S3 is; empty: AWS's own."""
        return (self.aws_endpoint_url_s3 or self.aws_endpoint_url).rstrip("/")

    @property
    def lambda_endpoint(self) -> str:
        """Where the operator's Lambda is; empty: AWS's own."""
        return (self.aws_endpoint_url_lambda or self.aws_endpoint_url).rstrip("/")

    @property
    def destination_region(self) -> str:
        """Region that the operator's S3 and Lambda are signed for."""
        return self.aws_region or self.aws_default_region or self.region

    @property
    def master_key_path(self) -> Path:
        """File of the master key."""
        return Path(self.master_key_file) if self.master_key_file else self.data_path / "master.key"

    @property
    def credentials_path(self) -> Path:
        """File that keeps what was generated for the first team."""
        return self.data_path / "credentials.json"


def name_django_settings() -> None:
    """Tell Django where its settings are, unless somebody has: for entries other than manage.py."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")


def variable_of(f: Field[Any]) -> str:
    """The environment variable of a field of Config."""
    return str(f.metadata["variable"])


def _parse(f: Field[Any], text: str) -> Any:
    variable = variable_of(f)
    match f.default:
        case bool():
            if text.lower() not in {"on", "off", "true", "false", "1", "0", "yes", "no"}:
                raise ConfigError(f"{variable} is {text!r}; set it to on or off.")
            return text.lower() in {"on", "true", "1", "yes"}
        case int():
            if not text.isascii() or not text.isdigit():
                raise ConfigError(f"{variable} is {text!r}; set it to a whole number.")
            return int(text)
        case Path():
            return Path(text)
        case tuple():
            return tuple(part.strip() for part in text.split(",") if part.strip())
        case _:
            return text


def _check(config: Config) -> None:
    if not 0 < config.port < 65_536:
        raise ConfigError(f"TIDEGATE_PORT is {config.port}; set it to a port from 1 to 65535.")
    if not 1 <= config.web_processes <= 64:
        raise ConfigError(f"TIDEGATE_WEB_PROCESSES is {config.web_processes}; set it to 1 to 64.")
    if config.account_id and not (
        config.account_id.isascii() and config.account_id.isdigit() and len(config.account_id) == 12
    ):
        raise ConfigError(f"TIDEGATE_ACCOUNT_ID is {config.account_id!r}; set it to 12 digits.")
    if bool(config.tls_certificate) != bool(config.tls_key):
        raise ConfigError("Set both TIDEGATE_TLS_CERTIFICATE and TIDEGATE_TLS_KEY, or neither.")
    if config.tls not in {"", "self-signed"}:
        raise ConfigError(f"TIDEGATE_TLS is {config.tls!r}; the only value is self-signed.")
    if config.tls and config.tls_certificate:
        raise ConfigError("Set TIDEGATE_TLS=self-signed or a certificate of your own, not both.")
    _check_first_team(config)
    _check_addresses(config)
    _check_proxies(config)
    _check_destinations(config)
    _check_mail(config)
    _check_oidc(config)
    if not config.record_log.startswith(("memory:", "lmdb:")) or config.record_log == "lmdb:":
        raise ConfigError(f"RECORD_LOG_URL is {config.record_log_url!r}; set it to lmdb:<folder>.")


def _check_first_team(config: Config) -> None:
    if not REGION.fullmatch(config.region):
        raise ConfigError(f"TIDEGATE_REGION is {config.region!r}; set it to lower-case letters, digits and hyphens.")
    if config.admin_email and not EMAIL.fullmatch(config.admin_email):
        raise ConfigError(f"TIDEGATE_ADMIN_EMAIL is {config.admin_email!r}; set it to an e-mail address.")
    if not (config.access_key_id.isprintable() and config.secret_access_key.isprintable()):
        raise ConfigError("TIDEGATE_ACCESS_KEY_ID and TIDEGATE_SECRET_ACCESS_KEY must be printable text on one line.")
    if len(config.access_key_id) > KEY_ID_CHARS_MAX:
        raise ConfigError(
            f"TIDEGATE_ACCESS_KEY_ID has more than {KEY_ID_CHARS_MAX} characters; set it to a shorter one."
        )


def _check_addresses(config: Config) -> None:
    """The two URLs of servers may hold passwords, so they are not repeated."""
    if config.database_url and not config.database_url.startswith(DATABASES):
        raise ConfigError(
            "DATABASE_URL is of no database that Tidegate knows; set it to postgres://user:password@host/name."
        )
    if config.redis_url and not config.redis_url.startswith(REDISES):
        raise ConfigError("REDIS_URL is no address of a Redis; set it to redis://host:port/0.")
    if config.public_url and not _is_origin(config.public_url):
        raise ConfigError(
            f"TIDEGATE_PUBLIC_URL is {config.public_url!r}; set it to http(s)://host or http(s)://host:port."
        )
    if config.kms_endpoint:
        _check_kms(config)
    for name in config.allowed_hosts:
        if not HOST_NAME.fullmatch(name):
            raise ConfigError(
                f"TIDEGATE_ALLOWED_HOSTS has {name!r}; set it to host names alone, without scheme, port or path."
            )


def _check_proxies(config: Config) -> None:
    for text in config.trusted_proxies:
        try:
            ip_network(text, strict=False)
        except ValueError:
            raise ConfigError(
                f"TIDEGATE_TRUSTED_PROXIES has {text!r}; set it to addresses and ranges like 10.0.0.0/8."
            ) from None


def _check_destinations(config: Config) -> None:
    """The variables are the AWS SDKs' own, so they may be there for another program's sake: what is wrong is said."""
    if config.private_destinations not in {"", "allow", "refuse"}:
        raise ConfigError(
            f"TIDEGATE_PRIVATE_DESTINATIONS is {config.private_destinations!r}; set it to allow or refuse."
        )
    for variable, url in (
        ("AWS_ENDPOINT_URL", config.aws_endpoint_url),
        ("AWS_ENDPOINT_URL_S3", config.aws_endpoint_url_s3),
        ("AWS_ENDPOINT_URL_LAMBDA", config.aws_endpoint_url_lambda),
    ):
        if url and ("@" in url or not _is_origin(url)):
            raise ConfigError(f"{variable} is {url!r}; set it to http(s)://host or http(s)://host:port.")
    if bool(config.aws_access_key_id) != bool(config.aws_secret_access_key):
        raise ConfigError("Set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or neither.")
    for variable, region in (("AWS_REGION", config.aws_region), ("AWS_DEFAULT_REGION", config.aws_default_region)):
        if region and not REGION.fullmatch(region):
            raise ConfigError(f"{variable} is {region!r}; set it to lower-case letters, digits and hyphens.")


def _check_mail(config: Config) -> None:
    """The address may hold a password, so it is not repeated."""
    if config.mail_url:
        try:
            parse_mail_url(config.mail_url)
        except ValueError as error:
            raise ConfigError(
                f"TIDEGATE_MAIL_URL is wrong: {error}; set it to smtp://user:password@host:587 or smtps://…."
            ) from None
    if config.mail_from and (not config.mail_from.isprintable() or not EMAIL.fullmatch(parseaddr(config.mail_from)[1])):
        raise ConfigError(f"TIDEGATE_MAIL_FROM is {config.mail_from!r}; set it to an address, or Name <address>.")


def _check_oidc(config: Config) -> None:
    secret = config.oidc_client_secret or config.oidc_client_secret_file
    given = (config.oidc_issuer, config.oidc_client_id, secret)
    if any(given) and not all(given):
        raise ConfigError(
            "Set TIDEGATE_OIDC_ISSUER, TIDEGATE_OIDC_CLIENT_ID and TIDEGATE_OIDC_CLIENT_SECRET (or _FILE), or none of them."
        )
    if config.oidc_client_secret and config.oidc_client_secret_file:
        raise ConfigError("Set TIDEGATE_OIDC_CLIENT_SECRET or TIDEGATE_OIDC_CLIENT_SECRET_FILE, not both.")
    if not config.oidc_issuer:
        return
    try:
        parts = urlsplit(config.oidc_issuer)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    plain = parts.scheme == "http" and (parts.hostname == "localhost" or _is_loopback(parts.hostname or ""))
    if not (parts.scheme == "https" or plain) or not parts.hostname or "@" in parts.netloc or parts.query:
        raise ConfigError(
            f"TIDEGATE_OIDC_ISSUER is {config.oidc_issuer!r}; set it to the provider's https://… address."
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _check_kms(config: Config) -> None:
    """The endpoint is an origin too: SigV4 signs the root, and nothing of a caller's ever comes into it."""
    if not _is_origin(config.kms_endpoint):
        raise ConfigError(
            f"TIDEGATE_KMS_ENDPOINT is {config.kms_endpoint!r}; set it to http(s)://host or http(s)://host:port."
        )
    if not (config.kms_access_key_id and config.kms_secret_access_key):
        raise ConfigError(
            "TIDEGATE_KMS_ENDPOINT needs TIDEGATE_KMS_ACCESS_KEY_ID and TIDEGATE_KMS_SECRET_ACCESS_KEY; set both."
        )
    if config.kms_region and not REGION.fullmatch(config.kms_region):
        raise ConfigError(
            f"TIDEGATE_KMS_REGION is {config.kms_region!r}; set it to lower-case letters, digits and hyphens."
        )


def _is_origin(url: str) -> bool:
    """Scheme, host and port, nothing more: the console's addresses begin at the root."""
    try:
        parts = urlsplit(url.rstrip("/"))
        _ = parts.port
    except ValueError:
        return False
    return (
        parts.scheme in {"http", "https"}
        and bool(parts.hostname)
        and url.rstrip("/") == f"{parts.scheme}://{parts.netloc}"
    )
