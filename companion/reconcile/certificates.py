"""Certificates: issues the sandbox CA and its leaf certificates, and tells when to renew."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_LIFETIME = timedelta(days=3650)
LEAF_LIFETIME = timedelta(days=397)
_NOWHERE = "https://refused-by-companion.invalid/"
_CLOCK_SKEW = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Authority:
    """The CA's certificate and private key, as PEM."""

    certificate: str
    key: str = field(repr=False)


def new_authority(now: datetime) -> Authority:
    """Return a new CA for leaf certificates only (path length 0), valid for 10 years."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("Companion sandbox CA")
    certificate = (
        _builder(name, name, key, now, CA_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate.public_bytes(Encoding.PEM).decode(), _pem(key))


def issue(authority: Authority, host: str, now: datetime) -> str:
    """Return key and certificate for one host name as one PEM text, valid for 397 days."""
    return _leaf(authority, host[:64], x509.DNSName(host), now)


def issue_refusal(authority: Authority, subject: str, now: datetime) -> str:
    """Return key and certificate that are for no host, as one PEM text, valid for 397 days.

    Clients print the subject of a certificate without a DNS name as what it is for. With a URI as
    its only name, none warns that names should not stand in the subject.

    Args:
        authority: the CA.
        subject: at most 64 characters that are no host name.
        now: the time.
    """
    return _leaf(authority, subject, x509.UniformResourceIdentifier(_NOWHERE), now)


def _leaf(authority: Authority, subject: str, name: x509.GeneralName, now: datetime) -> str:
    issuer = x509.load_pem_x509_certificate(authority.certificate.encode())
    signer = load_pem_private_key(authority.key.encode(), password=None)
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise TypeError("the sandbox CA's key is not an EC key")
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(_name(subject), issuer.subject, key, now, LEAF_LIFETIME)
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .sign(signer, hashes.SHA256())
    )
    return _pem(key) + certificate.public_bytes(Encoding.PEM).decode()


def flaw(leaf: str, authority: Authority, now: datetime) -> str:
    """Return why a leaf (from issue()) must be renewed, "" if it is current.

    It is while it is the CA's and over a third of its lifetime is left. It is not valid yet if the
    clock was ahead when it was made.
    """
    try:
        certificate = x509.load_pem_x509_certificate(leaf.encode())
        issuer = x509.load_pem_x509_certificate(authority.certificate.encode())
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return "was not issued by the sandbox CA"
    return _untimely(certificate, now, LEAF_LIFETIME / 3)


def authority_flaw(authority: Authority, now: datetime) -> str:
    """Return why the CA must be replaced, "" if the leaves that it issues now will be valid."""
    try:
        certificate = x509.load_pem_x509_certificate(authority.certificate.encode())
        key = load_pem_private_key(authority.key.encode(), password=None)
    except (ValueError, TypeError):
        return "is damaged"
    if certificate.public_key() != key.public_key():
        return "does not belong to its key"
    return _untimely(certificate, now, LEAF_LIFETIME)


def _untimely(certificate: x509.Certificate, now: datetime, needed: timedelta) -> str:
    """Return what is wrong with a certificate's times if it must be valid for `needed`."""
    if certificate.not_valid_before_utc > now:
        return "is not valid yet"
    left = certificate.not_valid_after_utc - now
    if left <= timedelta(0):
        return "is expired"
    return "" if left > needed else "expires soon"


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: datetime,
    life: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign,
        crl_sign=sign,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
