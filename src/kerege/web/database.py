"""The hub's database from one address, as libpq writes them: `postgresql://user:password@host:port/name?host=/socket/dir&sslmode=require`.

A `host` or `port` in the query wins over what stands before the path, as libpq has it; a `host` that begins with a slash is the folder of a
Unix socket. Every other parameter goes to the driver as it is. Source: PostgreSQL manual, 32.1.1.2 "Connection URIs".
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from kerege.ground.settings import SettingInvalid

_EXPECTED: Final = "postgresql://user:password@host:port/name, with ?host=/folder for a socket"


def from_url(url: str) -> dict[str, Any]:
    """Django's description of the database at `url`. Raises SettingInvalid, which never repeats the address: it may hold a password."""
    try:
        parts = urlsplit(url)
        asked = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
        name, host, port = unquote(parts.path.lstrip("/")), unquote(parts.hostname or ""), parts.port
        port_text = asked.pop("port", str(port or ""))
    except ValueError as error:
        raise _invalid() from error
    known = parts.scheme in {"postgresql", "postgres"} and bool(asked.get("dbname", name))
    if not known or (port_text and not port_text.isdecimal()):
        raise _invalid()
    described: dict[str, Any] = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": asked.pop("dbname", name),
        "USER": asked.pop("user", unquote(parts.username or "")),
        "PASSWORD": asked.pop("password", unquote(parts.password or "")),
        "HOST": asked.pop("host", host),
        "PORT": port_text,
    }
    return described | ({"OPTIONS": asked} if asked else {})


def _invalid() -> SettingInvalid:
    return SettingInvalid(name="KEREGE_DATABASE_URL", expected=_EXPECTED, default="SQLite in the home folder")
