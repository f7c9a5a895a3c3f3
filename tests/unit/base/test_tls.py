"""apps/base/tls.py: the local authority over the years."""

from dataclasses import replace

import pytest
from cryptography import x509

from apps.base.clock import FakeClock
from apps.base.config import Config
from apps.base.tls import served
from apps.base.units import DAY_MS


@pytest.fixture
def config(tmp_path):
    return replace(
        Config(), data_dir=tmp_path, tls="self-signed", allowed_hosts=("kinesis.example.test", ".lab.test", "*")
    )


def test_plain_http_needs_nothing(tmp_path, clock):
    assert served(replace(Config(), data_dir=tmp_path), clock) is None


def test_names_and_signature(config, clock):
    files = served(config, clock)
    authority = x509.load_pem_x509_certificate(files.authority.read_bytes())
    certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    certificate.verify_directly_issued_by(authority)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"localhost", "kinesis.example.test", "*.lab.test"} <= set(names.get_values_for_type(x509.DNSName))
    assert {"127.0.0.1", "::1"} <= {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days <= 398


def test_it_stays_until_it_must_change(config, clock):
    first = served(config, clock).certificate.read_bytes()
    clock.advance(300 * DAY_MS)
    assert served(config, clock).certificate.read_bytes() == first
    authority = served(config, clock).authority.read_bytes()
    clock.advance(80 * DAY_MS)
    renewed = served(config, clock)
    assert renewed.certificate.read_bytes() != first
    assert renewed.authority.read_bytes() == authority


def test_a_new_name_makes_a_new_certificate(config, clock):
    first = served(config, clock).certificate.read_bytes()
    other = replace(config, allowed_hosts=("other.example.test",))
    assert served(other, clock).certificate.read_bytes() != first


def test_an_authority_near_its_end_is_replaced_with_all_it_signed(config):
    clock = FakeClock()
    first = served(config, clock)
    before = first.authority.read_bytes()
    clock.advance(3_640 * DAY_MS)
    again = served(config, clock)
    assert again.authority.read_bytes() != before
    authority = x509.load_pem_x509_certificate(again.authority.read_bytes())
    x509.load_pem_x509_certificate(again.certificate.read_bytes()).verify_directly_issued_by(authority)
