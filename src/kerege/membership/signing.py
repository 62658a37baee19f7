"""The keys the configuration is signed with, one pair for the own instance and one for partners, and the anchors that name them.

Self-signed certificates, as central servers use them: an anchor is handed over by people, and names the certificate itself. Keys are made
once and never replaced here; a new key is announced first (`source` in the shared parameters) and used afterwards.
"""

from __future__ import annotations

import ipaddress
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from kerege.exchange.pki import KeyPair, new_key, save_pair
from kerege.membership.central_picture import EXTERNAL, anchor, signing_keys
from kerege.membership.errors import AddressInvalid
from kerege.membership.publish import DIRECTORY, replace_file

_VALID: Final = timedelta(days=3650)
_LABEL: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\Z")
_LONGEST_HOST: Final = 253  # RFC 1035, 2.3.4


def make_keys(folder: Path, instance: str, now: datetime, passphrase: bytes | None = None) -> bool:
    """internal and external key pairs in `folder`, RSA as every configuration client reads it; False when both are there.

    With a passphrase the keys it makes are encrypted; those that are there stay as they are.
    """
    made = False
    for name in ("internal", "external"):
        if not (folder / f"{name}.pem").exists():
            save_pair(_pair(f"{instance} configuration, {name}", now), folder, name, passphrase)
            made = True
    return made


def _pair(common_name: str, now: datetime) -> KeyPair:
    key = new_key("rsa")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _VALID)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )
    return KeyPair(key, builder.sign(key, hashes.SHA512()))


def hub_address(url: str) -> str:
    """`url` as the anchors take it: http(s), a host, a port or none, nothing behind. Raises AddressInvalid.

    An anchor is handed to every member by people; a wrong one is found out only when no node can fetch anything.
    """
    if not url.isascii() or not url.isprintable() or " " in url:
        raise AddressInvalid(url=url, reason="it holds a space or a character that is not ASCII")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:  # a port that is none, brackets that do not close
        raise AddressInvalid(url=url, reason="its host or port cannot be read; a port is 1 to 65535") from None
    if "://" not in url or parts.scheme not in {"http", "https"}:
        raise AddressInvalid(url=url, reason="it does not begin with http:// or https://")
    if not _is_host(host):
        raise AddressInvalid(url=url, reason="it names no host")
    if port == 0 or parts.netloc.endswith(":"):
        raise AddressInvalid(url=url, reason="a port is 1 to 65535")
    if parts.username is not None or parts.path.strip("/") or "?" in url or "#" in url:
        raise AddressInvalid(url=url, reason="there is more than a host and a port; the path is added to it")
    return f"{parts.scheme}://{parts.netloc}"


def _is_host(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        labels = host.split(".")
        return len(host) <= _LONGEST_HOST and all(map(_LABEL.match, labels)) and not labels[-1].isdecimal()
    return True


def anchors(folder: Path, instance: str, url: str, now: datetime, passphrase: bytes | None = None) -> list[Path]:
    """Write both anchors beside the keys: internal-anchor.xml for the own servers, external-anchor.xml for partners.

    Raises AddressInvalid before anything is written.
    """
    url = hub_address(url)
    pairs, written = signing_keys(folder, passphrase), []
    for name, path, pair in (("internal", DIRECTORY, pairs.internal), ("external", EXTERNAL, pairs.external)):
        file = folder / f"{name}-anchor.xml"
        replace_file(file, anchor(instance, f"{url}/{path}", [pair.certificate], now))
        written.append(file)
    return written
