"""The README's table of settings is complete and true."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from apps.base.config import Config, ConfigError, variable_of
from tests.tidy.tree import ROOT, text

ROW = re.compile(r"^\| `([A-Z0-9_]+)` \| (.*?) \| (.*?) \|$", re.MULTILINE)


def shown(default) -> str:
    """A default as the table writes it."""
    match default:
        case bool():
            return "`on`" if default else "`off`"
        case "" | ():
            return ""
        case _:
            return f"`{default}`"


def test_the_readme_lists_every_setting():
    rows = {
        variable: (default.strip(), sentence) for variable, default, sentence in ROW.findall(text(ROOT / "README.md"))
    }
    wanted = {variable_of(f): (shown(f.default), f.metadata["help"]) for f in fields(Config)}
    assert rows == wanted


def test_every_setting_is_read_from_its_variable():
    given = {
        "TIDEGATE_HOST": "0.0.0.0", "TIDEGATE_PORT": "8080", "TIDEGATE_DATA_DIR": "there", "TIDEGATE_REGION": "eu-west-1",
        "TIDEGATE_ACCOUNT_ID": "123456789012", "TIDEGATE_ADMIN_EMAIL": "a@b.c", "TIDEGATE_ADMIN_PASSWORD": "p",
        "TIDEGATE_ACCESS_KEY_ID": "test", "TIDEGATE_SECRET_ACCESS_KEY": "it's a \"secret\" $x", "DATABASE_URL": "postgres://x/y",
        "REDIS_URL": "redis://r", "RECORD_LOG_URL": "lmdb:there", "TIDEGATE_MASTER_KEY_FILE": "k",
        "TIDEGATE_PUBLIC_URL": "https://x", "TIDEGATE_ALLOWED_HOSTS": "a, b",
        "TIDEGATE_TRUSTED_PROXIES": "10.0.0.0/8,::1", "TIDEGATE_WEB_PROCESSES": "2",
        "TIDEGATE_MAIL_URL": "smtp://u:p@mail.example", "TIDEGATE_MAIL_FROM": "Ops <ops@x.example>",
        "TIDEGATE_OIDC_ISSUER": "https://id.example", "TIDEGATE_OIDC_CLIENT_ID": "tidegate", "TIDEGATE_OIDC_CLIENT_SECRET": "s",
        "TIDEGATE_OIDC_NAME": "Acme",
        "TIDEGATE_OUTGOING_PRIVATE": "on", "TIDEGATE_METRICS_TOKEN": "m",
        "TIDEGATE_THROTTLE": "off", "TIDEGATE_CONTROL_RATES": "off", "TIDEGATE_TLS_CERTIFICATE": "c.pem", "TIDEGATE_TLS_KEY": "k.pem",
        "TIDEGATE_KMS_ENDPOINT": "https://kms.example", "TIDEGATE_KMS_REGION": "eu-west-1", "TIDEGATE_KMS_DEFAULT_KEY": "alias/k",
        "TIDEGATE_KMS_ACCESS_KEY_ID": "AK", "TIDEGATE_KMS_SECRET_ACCESS_KEY": "s",
        "TIDEGATE_PRIVATE_DESTINATIONS": "refuse", "AWS_ENDPOINT_URL": "http://a", "AWS_ENDPOINT_URL_S3": "http://b:9000/",
        "AWS_ENDPOINT_URL_LAMBDA": "http://c", "AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t",
        "AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2", "AWS_CA_BUNDLE": "ca.pem",
    }  # fmt: skip
    config = Config.from_environment(given)
    default = Config()
    changed = {variable_of(f) for f in fields(Config) if getattr(config, f.name) != getattr(default, f.name)}
    assert changed == set(given)
    assert config.data_dir == Path("there")
    assert config.allowed_hosts == ("a", "b")
    assert config.throttle is False
    assert set(given) | {"TIDEGATE_TLS", "TIDEGATE_OIDC_CLIENT_SECRET_FILE"} == {variable_of(f) for f in fields(Config)}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TIDEGATE_PORT", "http"), ("TIDEGATE_PORT", "0"), ("TIDEGATE_PORT", "65536"), ("TIDEGATE_PORT", "-1"),
        ("TIDEGATE_WEB_PROCESSES", "0"), ("TIDEGATE_WEB_PROCESSES", "65"), ("TIDEGATE_ACCOUNT_ID", "12345"),
        ("TIDEGATE_THROTTLE", "maybe"), ("TIDEGATE_TLS", "yes"), ("TIDEGATE_TLS_KEY", "only.pem"),
        ("RECORD_LOG_URL", "nats://x"), ("RECORD_LOG_URL", "lmdb:"), ("DATABASE_URL", "mysql://x/y"), ("REDIS_URL", "http://x"),
        ("TIDEGATE_REGION", "my region"), ("TIDEGATE_ADMIN_EMAIL", "owner"), ("TIDEGATE_ALLOWED_HOSTS", "a,http://b/"),
        ("TIDEGATE_TRUSTED_PROXIES", "proxy.example"), ("TIDEGATE_TRUSTED_PROXIES", "10.0.0.0/33"),
        ("TIDEGATE_ALLOWED_HOSTS", "a:80"), ("TIDEGATE_PUBLIC_URL", "tidegate.example"), ("TIDEGATE_PUBLIC_URL", "https://x/path"),
        ("TIDEGATE_PUBLIC_URL", "https://x:port"), ("TIDEGATE_ACCESS_KEY_ID", "two\nlines"), ("TIDEGATE_SECRET_ACCESS_KEY", "a\tb"),
        ("TIDEGATE_ACCESS_KEY_ID", "k" * 129), ("TIDEGATE_KMS_ENDPOINT", "kms.example"), ("TIDEGATE_KMS_ENDPOINT", "file:///x"),
        ("TIDEGATE_PRIVATE_DESTINATIONS", "yes"), ("AWS_ENDPOINT_URL", "s3.example"), ("AWS_ENDPOINT_URL_S3", "http://u:p@x"),
        ("AWS_ENDPOINT_URL_LAMBDA", "http://x/path"), ("AWS_ACCESS_KEY_ID", "alone"), ("AWS_SECRET_ACCESS_KEY", "alone"),
        ("AWS_REGION", "my region"), ("AWS_DEFAULT_REGION", "x_y"),
        ("TIDEGATE_MAIL_URL", "mail.example"), ("TIDEGATE_MAIL_URL", "smtp://"), ("TIDEGATE_MAIL_URL", "smtp://u@x"),
        ("TIDEGATE_MAIL_URL", "smtp://x:many"), ("TIDEGATE_MAIL_URL", "imap://x"), ("TIDEGATE_MAIL_FROM", "nobody"),
        ("TIDEGATE_OIDC_ISSUER", "https://id.example"), ("TIDEGATE_OIDC_CLIENT_ID", "alone"),
        ("TIDEGATE_OIDC_CLIENT_SECRET", "alone"),
        ("TIDEGATE_KMS_ENDPOINT", "http://169.254.169.254/latest"), ("TIDEGATE_KMS_ENDPOINT", "https://kms.example"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_refused_by_name(variable, value):
    with pytest.raises(ConfigError, match=variable) as refused:
        Config.from_environment({variable: value})
    assert str(refused.value).endswith(".")


def test_a_refusal_does_not_repeat_a_password():
    for variable in ("DATABASE_URL", "REDIS_URL", "TIDEGATE_MAIL_URL"):
        with pytest.raises(ConfigError) as refused:
            Config.from_environment({variable: "other://someone:hidden-word@x/y"})
        assert "hidden-word" not in str(refused.value)


@pytest.mark.parametrize("hosts", ["*", ".example.com,a_b", "[::1], 10.0.0.1"])
def test_host_names_as_django_takes_them(hosts):
    assert Config.from_environment({"TIDEGATE_ALLOWED_HOSTS": hosts}).allowed_hosts


@pytest.mark.parametrize(
    ("given", "secure"),
    [
        ({}, False), ({"TIDEGATE_TLS": "self-signed"}, True), ({"TIDEGATE_PUBLIC_URL": "https://x:8443/"}, True),
        ({"TIDEGATE_PUBLIC_URL": "http://x"}, False),
    ],
)  # fmt: skip
def test_cookies_are_secure_where_people_use_https(given, secure):
    assert Config.from_environment(given).people_use_https is secure


@pytest.mark.parametrize(
    ("given", "allowed"),
    [
        ({}, True), ({"TIDEGATE_HOST": "::1"}, True), ({"TIDEGATE_HOST": "localhost"}, True), ({"TIDEGATE_HOST": "0.0.0.0"}, False),
        ({"TIDEGATE_HOST": "10.0.0.1"}, False), ({"TIDEGATE_HOST": "0.0.0.0", "TIDEGATE_PRIVATE_DESTINATIONS": "allow"}, True),
        ({"TIDEGATE_PRIVATE_DESTINATIONS": "refuse"}, False),
    ],
)  # fmt: skip
def test_private_destinations_are_allowed_while_only_this_machine_listens(given, allowed):
    assert Config.from_environment(given).destinations_may_be_private is allowed


def test_s3_is_where_the_environment_of_the_sdks_says():
    both = {"AWS_ENDPOINT_URL": "http://a/", "AWS_ENDPOINT_URL_S3": "http://b:9000/", "AWS_DEFAULT_REGION": "eu-west-1"}
    config = Config.from_environment(both)
    assert (config.s3_endpoint, config.lambda_endpoint) == ("http://b:9000", "http://a")
    assert config.destination_region == "eu-west-1"
    assert Config.from_environment({}).s3_endpoint == ""


@pytest.mark.parametrize(
    "issuer", ["http://id.example", "ftp://id.example", "https://", "https://u:p@id.example", "id.example"]
)
def test_an_issuer_is_called_by_https(issuer):
    given = {"TIDEGATE_OIDC_ISSUER": issuer, "TIDEGATE_OIDC_CLIENT_ID": "a", "TIDEGATE_OIDC_CLIENT_SECRET": "b"}
    with pytest.raises(ConfigError, match="TIDEGATE_OIDC_ISSUER"):
        Config.from_environment(given)


def test_the_client_secret_may_stand_in_a_file(tmp_path):
    given = {"TIDEGATE_OIDC_ISSUER": "http://localhost:9400", "TIDEGATE_OIDC_CLIENT_ID": "a"}
    (tmp_path / "secret").write_text("hidden word\n")
    config = Config.from_environment({**given, "TIDEGATE_OIDC_CLIENT_SECRET_FILE": str(tmp_path / "secret")})
    assert config.oidc_secret == "hidden word"
    with pytest.raises(ConfigError, match="TIDEGATE_OIDC_CLIENT_SECRET_FILE"):
        _ = Config.from_environment({**given, "TIDEGATE_OIDC_CLIENT_SECRET_FILE": str(tmp_path / "no")}).oidc_secret
    with pytest.raises(ConfigError, match="not both"):
        Config.from_environment(
            {**given, "TIDEGATE_OIDC_CLIENT_SECRET": "b", "TIDEGATE_OIDC_CLIENT_SECRET_FILE": str(tmp_path / "secret")}
        )


def test_the_parts_of_a_mail_server():
    server = Config.from_environment({"TIDEGATE_MAIL_URL": "smtp://ops%40x.example:a%3Ab@mail.example"}).mail_server
    assert (server.host, server.port, server.user, server.password) == ("mail.example", 587, "ops@x.example", "a:b")
    assert not server.is_here
    server = Config.from_environment({"TIDEGATE_MAIL_URL": "smtps://127.0.0.1"}).mail_server
    assert (server.port, server.tls_from_the_start, server.is_here) == (465, True, True)
    assert Config().mail_server is None
