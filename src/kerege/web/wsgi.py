"""The hub as a WSGI application; `served` is the one of a process that serves, and publishes the configuration besides."""

import os

from django.core.handlers.wsgi import WSGIHandler
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kerege.web.settings")
application = get_wsgi_application()


def served() -> WSGIHandler:
    """The application, with the thread that publishes."""
    from django.conf import settings

    from kerege.web import publisher

    publisher.start(settings.HOME)
    return application
