"""Django's settings, derived from Kerege's own (`ground.settings`); nothing here is edited per installation."""

from __future__ import annotations

import secrets
from pathlib import Path

from kerege.ground import settings as kerege_settings
from kerege.web import database

HOME = Path(kerege_settings.get("home")).absolute()

try:
    SECRET_KEY = kerege_settings.get("secret_key")
except kerege_settings.SettingMissing:
    # Commands, tests and migrations need no lasting key. `kerege hub` writes one to the home folder before it serves anyone.
    SECRET_KEY = secrets.token_urlsafe(50)

DEBUG = kerege_settings.flag("debug")
ALLOWED_HOSTS = [h.strip() for h in kerege_settings.get("allowed_hosts").split(",") if h.strip()]

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "kerege.identity",
    "kerege.membership",
    "kerege.catalogue",
    "kerege.reconcile",
    "kerege.services",
    "kerege.insight",
    "kerege.delivery",
    "kerege.web",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "kerege.web.middleware.ContentSecurityPolicy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "kerege.web.middleware.LanguageFromPath",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "kerege.web.middleware.TextsOnly",
]

ROOT_URLCONF = "kerege.web.urls"
WSGI_APPLICATION = "kerege.web.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [Path(__file__).parent / "templates"],
        "APP_DIRS": False,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.messages.context_processors.messages",
                "kerege.web.context.page",
            ],
            "builtins": ["kerege.web.templatetags.kerege"],
        },
    }
]

_database_url = kerege_settings.get("database_url")
if _database_url:
    DATABASES: dict[str, dict[str, object]] = {"default": database.from_url(_database_url)}
else:
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": HOME / "hub.sqlite3",
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            },
        }
    }

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "Asia/Bishkek"
USE_I18N = True
LANGUAGE_CODE = "ky"
LANGUAGES = [("ky", "Кыргызча"), ("ru", "Русский"), ("en", "English")]

STATIC_URL = "/static/"

DATA_UPLOAD_MAX_MEMORY_SIZE = (
    262_144  # bytes of a form; the longest is a data contract that is pasted; more gets a page that says so
)

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = kerege_settings.flag("secure_cookies")
_tls_header = kerege_settings.get("proxy_tls_header").strip()
if _tls_header:  # without a proxy that sets or strips it, anybody's browser could
    SECURE_PROXY_SSL_HEADER = (f"HTTP_{_tls_header.upper().replace('-', '_')}", "https")
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_SERIALIZER = "django.contrib.sessions.serializers.JSONSerializer"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {
        "kerege.web.publisher": {"level": "INFO"},  # what was published when, and until when it holds
        "kerege.web.management": {"level": "INFO"},  # what was asked of the central services, and what waits for them
    },
}
