"""Django's handle on this room."""

from django.apps import AppConfig


class IdentityConfig(AppConfig):
    name = "kerege.identity"
    label = "identity"
    default_auto_field = "django.db.models.BigAutoField"
