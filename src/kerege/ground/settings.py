"""Settings: one list of names, types, defaults and help that feeds the code, the CLI and docs/reference/settings.md.

Values come from the environment as `KEREGE_<NAME>`. Secrets may come from a file: `KEREGE_<NAME>_FILE`. Nothing else is read.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kerege.ground.errors import KeregeError


class SettingInvalid(KeregeError):
    code = "ground.setting_invalid"
    message = "The setting {name} should be {expected}; what came cannot be read as one."
    hint = "Correct the environment variable {name}, or unset it for the default ({default})."


class SettingMissing(KeregeError):
    code = "ground.setting_missing"
    message = "The setting {name} has no value, and there is no safe default."
    hint = "Set the environment variable {name}, or {name}_FILE to a file that holds it."


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. `kind` is "text", "integer", "flag", "path" or "secret"; a secret has no default."""

    name: str
    kind: str
    default: str | None
    help: str

    @property
    def variable(self) -> str:
        return f"KEREGE_{self.name.upper()}"


SETTINGS: Final[tuple[Setting, ...]] = (
    Setting("home", "path", "var", "Folder for databases, keys, logs and files of one installation."),
    Setting("secret_key", "secret", None, "Signs the hub's sessions and forms; at least 32 characters."),
    Setting("database_url", "text", "", "Hub database, postgresql://...; empty means SQLite in the home folder."),
    Setting("allowed_hosts", "text", "127.0.0.1,localhost", "Host names the hub answers to, comma separated."),
    Setting("secure_cookies", "flag", "no", "Send cookies over TLS only; yes wherever the hub is reached by https."),
    Setting(
        "publish_every",
        "integer",
        "60",
        "Seconds after which the hub signs and publishes the configuration again, 5 to 86400; 0: it never does by itself.",
    ),
    Setting(
        "configuration_passphrase",
        "secret",
        None,
        "Opens the keys the configuration is signed with, where they are encrypted; unset: they are not.",
    ),
    Setting(
        "proxy_tls_header",
        "text",
        "",
        "Header in which a proxy says https, such as X-Forwarded-Proto; empty: none is believed.",
    ),
    Setting("debug", "flag", "no", "Detailed error pages. Never on where real data is."),
    Setting("country", "text", "kg", "Country pack to load (a folder under kerege/country)."),
    Setting(
        "country_data", "path", "", "Folder with the country's full lists (soate.csv); empty: only what the pack ships."
    ),
)


def get(name: str, environ: Mapping[str, str] | None = None) -> str:
    """The value of setting `name` as text, from the environment, its `_FILE`, or its default."""
    env = os.environ if environ is None else environ
    setting = next((s for s in SETTINGS if s.name == name), None)
    if setting is None:
        raise KeyError(f"no setting named {name!r}")
    if setting.variable in env:
        return env[setting.variable]
    file = env.get(f"{setting.variable}_FILE")
    if file:
        return Path(file).read_text(encoding="utf-8").strip()
    if setting.default is None:
        raise SettingMissing(name=setting.variable)
    return setting.default


def integer(name: str, least: int, most: int, environ: Mapping[str, str] | None = None) -> int:
    """The value of a whole number's setting: 0, or one from `least` to `most`. Raises SettingInvalid."""
    raw = get(name, environ).strip()
    value = int(raw) if raw.isascii() and raw.isdecimal() and len(raw) < 10 else -1
    if value == 0 or least <= value <= most:
        return value
    default = next(s.default for s in SETTINGS if s.name == name)
    expected = f"0 or a whole number from {least} to {most}"
    raise SettingInvalid(name=f"KEREGE_{name.upper()}", expected=expected, default=default)


def flag(name: str, environ: Mapping[str, str] | None = None) -> bool:
    """The value of a yes/no setting."""
    raw = get(name, environ).strip().lower()
    if raw in {"yes", "true", "1", "on"}:
        return True
    if raw in {"no", "false", "0", "off", ""}:
        return False
    raise SettingInvalid(name=f"KEREGE_{name.upper()}", expected="yes or no", default="no")
