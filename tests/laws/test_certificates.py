"""Certificates at any time: what is not valid now is renewed, also after a clock that was wrong."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from companion.plugins import instructions
from companion.reconcile import certificates
from companion.reconcile.certificates import CA_LIFETIME, LEAF_LIFETIME

NOW = datetime(2026, 11, 26, tzinfo=UTC)
DAY = timedelta(days=1)
FLAWS = [
    (timedelta(), ""),
    (300 * DAY, "is not valid yet"),
    (-LEAF_LIFETIME * 3 / 4, "expires soon"),
    (-LEAF_LIFETIME - DAY, "is expired"),
]


@pytest.mark.parametrize(("moved", "flaw"), FLAWS)
def test_a_certificate_of_a_clock_that_was_wrong_is_renewed(moved: timedelta, flaw: str):
    authority = certificates.new_authority(NOW - 2 * 365 * DAY)
    leaf = certificates.issue(authority, "a.test", NOW + moved)
    assert certificates.flaw(leaf, authority, NOW) == flaw


def test_the_certificate_of_a_refusal_is_for_no_host_and_signs_nothing():
    authority = certificates.new_authority(NOW)
    leaf = certificates.issue_refusal(authority, instructions.REFUSED, NOW)
    made = x509.load_pem_x509_certificate(leaf.encode())
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert not names.get_values_for_type(x509.DNSName)
    assert not names.get_values_for_type(x509.IPAddress)
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert " " in instructions.REFUSED, "a host could be named so"
    assert not certificates.flaw(leaf, authority, NOW)
    assert certificates.flaw(leaf, authority, NOW + LEAF_LIFETIME) == "is expired"


@given(st.integers(-2 * 3650, 2 * 3650))
def test_a_sandbox_ca_is_kept_only_if_what_it_issues_will_be_valid(days: int):
    made = certificates.new_authority(NOW + days * DAY)
    kept = not certificates.authority_flaw(made, NOW)
    assert kept == (LEAF_LIFETIME - CA_LIFETIME < days * DAY <= DAY)


def test_a_sandbox_ca_whose_key_was_half_replaced_is_replaced():
    one, other = certificates.new_authority(NOW), certificates.new_authority(NOW)
    mixed = certificates.Authority(one.certificate, other.key)
    assert certificates.authority_flaw(mixed, NOW) == "does not belong to its key"
    assert certificates.authority_flaw(certificates.Authority("", ""), NOW) == "is damaged"
