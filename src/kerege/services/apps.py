"""Django's handle on this room."""

from django.apps import AppConfig


class ServicesConfig(AppConfig):
    name = "kerege.services"
    label = "services"
    default_auto_field = "django.db.models.BigAutoField"
