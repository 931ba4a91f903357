"""The lab's certificate authority: one per control plane, elliptic-curve keys, valid for a week."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFETIME = timedelta(days=7)
_CLOCK_SKEW = timedelta(minutes=5)


class CertificateAuthority:
    """Writes key pairs as `<name>.crt` and `<name>.key` into one directory; the keys are readable by the owner alone."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "securebase-lab")])
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        builder = self._builder(self._name, self._key).add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        certificate = builder.add_extension(usage, critical=True).sign(self._key, hashes.SHA256())
        self.certificate_file = directory / "ca.crt"
        self.certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def server(self, name: str, dns_names: Sequence[str], addresses: Sequence[str]) -> tuple[Path, Path]:
        """Certificate and key of a server reachable under these names and IP addresses."""
        alternatives: list[x509.GeneralName] = [x509.DNSName(dns) for dns in dns_names]
        alternatives += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
        return self._issue(name, name, "", ExtendedKeyUsageOID.SERVER_AUTH, x509.SubjectAlternativeName(alternatives))

    def client(self, name: str, user: str, group: str = "") -> tuple[Path, Path]:
        """Certificate and key of a Kubernetes user: the common name is the user, the organisation the group."""
        return self._issue(name, user, group, ExtendedKeyUsageOID.CLIENT_AUTH, None)

    def signing_key(self, name: str) -> Path:
        """A private key without a certificate, as the API server wants it for service-account tokens (it derives the public half)."""
        return self._write_key(name, ec.generate_private_key(ec.SECP256R1()))

    def _issue(
        self, name: str, common_name: str, group: str, purpose: x509.ObjectIdentifier, alternatives: x509.SubjectAlternativeName | None
    ) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
        if group:
            attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group))
        builder = self._builder(x509.Name(attributes), key).add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        if alternatives:
            builder = builder.add_extension(alternatives, critical=False)
        certificate = self._directory / f"{name}.crt"
        certificate.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        return certificate, self._write_key(name, key)

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key.public_key())
        return builder.serial_number(x509.random_serial_number()).not_valid_before(now - _CLOCK_SKEW).not_valid_after(now + _LIFETIME)

    def _write_key(self, name: str, key: ec.EllipticCurvePrivateKey) -> Path:
        path = self._directory / f"{name}.key"
        path.touch(mode=0o600)
        encoding, encryption = serialization.Encoding.PEM, serialization.NoEncryption()
        path.write_bytes(key.private_bytes(encoding, serialization.PrivateFormat.TraditionalOpenSSL, encryption))
        return path
