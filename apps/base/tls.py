"""HTTPS on the one port: the operator's certificate, or one of a local authority made on the spot."""

from __future__ import annotations

import ipaddress
import os
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from apps.base.clock import Clock
from apps.base.config import Config
from apps.base.datadir import StartRefused
from apps.base.units import SECOND_MS

AUTHORITY_DAYS = 3_650
CERTIFICATE_DAYS = 397
"""What browsers accept at most."""
RENEW_BEFORE_DAYS = 30
ANY_ADDRESS = {"0.0.0.0", "::", ""}  # noqa: S104 - compared with, not bound to


@dataclass(frozen=True, slots=True)
class ServedTls:
    """certificate: PEM chain. key: PEM, PKCS#8. authority: what clients must trust, None if it is not ours."""

    certificate: Path
    key: Path
    authority: Path | None


def served(config: Config, clock: Clock) -> ServedTls | None:
    """The files to serve HTTPS with, None for plain HTTP. Raises StartRefused."""
    if config.tls_certificate:
        return _given(config)
    return _self_signed(config, clock) if config.tls else None


def _given(config: Config) -> ServedTls:
    certificate, key = Path(config.tls_certificate), Path(config.tls_key)
    loaded = _load(certificate, "TIDEGATE_TLS_CERTIFICATE", x509.load_pem_x509_certificates)[0]
    private = _load(key, "TIDEGATE_TLS_KEY", lambda data: load_pem_private_key(data, None))
    if _public(private) != loaded.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo):
        raise StartRefused(
            f"The key {key} does not belong to the certificate {certificate}; set the two that belong together."
        )
    copy = config.data_path / "tls" / "served-key.pem"  # the server reads PKCS#8 only
    _write(copy, _private_pem(private))
    return ServedTls(certificate, copy, None)


def _load(path: Path, variable: str, parse):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    try:
        return parse(path.read_bytes())
    except OSError as error:
        raise StartRefused(
            f"{variable} names {path}, which cannot be read ({error.strerror}); set it to a PEM file."
        ) from error
    except (ValueError, TypeError) as error:  # TypeError: a key with a password
        raise StartRefused(
            f"{variable} names {path}, which is not an unencrypted PEM file; convert it with openssl."
        ) from error


def _self_signed(config: Config, clock: Clock) -> ServedTls:
    folder = config.data_path / "tls"
    files = ServedTls(folder / "certificate.pem", folder / "key.pem", folder / "ca.pem")
    now = datetime.fromtimestamp(clock.now_ms() / SECOND_MS)  # noqa: DTZ006 - made aware below
    now = now.astimezone()
    names = _names(config)
    assert files.authority is not None
    if not _usable(files.authority, folder / "ca-key.pem", now, None):
        _make_authority(files.authority, folder / "ca-key.pem", now)
        files.certificate.unlink(missing_ok=True)
    if not _usable(files.certificate, files.key, now, names):
        _make_certificate(files, folder / "ca-key.pem", names, now)
    return files


def _usable(certificate: Path, key: Path, now: datetime, names: list[x509.GeneralName] | None) -> bool:
    if not certificate.exists() or not key.exists():
        return False
    loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
    if loaded.not_valid_after_utc - timedelta(days=RENEW_BEFORE_DAYS) < now or loaded.not_valid_before_utc > now:
        return False
    return names is None or list(loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value) == names


def _names(config: Config) -> list[x509.GeneralName]:
    """Every name and address that this machine may be called by."""
    hosts = [
        "localhost",
        "127.0.0.1",
        "::1",
        socket.gethostname(),
        config.host,
        urlsplit(config.public_address).hostname or "",
    ]
    unique = [
        host for host in dict.fromkeys([*hosts, *config.allowed_hosts]) if host not in ANY_ADDRESS and host != "*"
    ]
    return [_name(host) for host in unique]


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return x509.DNSName(f"*{host}" if host.startswith(".") else host)


def _make_authority(certificate: Path, key_path: Path, now: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, f"Tidegate local authority ({socket.gethostname()[:30]})")]
    )
    built = (
        _builder(name, name, key.public_key(), now, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, SHA256())
    )
    _write(key_path, _private_pem(key))
    _write(certificate, built.public_bytes(Encoding.PEM), 0o644)


def _make_certificate(files: ServedTls, authority_key: Path, names: list[x509.GeneralName], now: datetime) -> None:
    assert files.authority is not None
    authority = x509.load_pem_x509_certificate(files.authority.read_bytes())
    signer = load_pem_private_key(authority_key.read_bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Tidegate")])
    built = (
        _builder(name, authority.subject, key.public_key(), now, CERTIFICATE_DAYS)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .sign(signer, SHA256())
    )
    _write(files.key, _private_pem(key))
    _write(files.certificate, built.public_bytes(Encoding.PEM), 0o644)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days - 1))
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _public(key: PrivateKeyTypes) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _private_pem(key: PrivateKeyTypes) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Aside first, so that a crash leaves the old file or the new one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    aside.replace(path)
