"""Django's handle on this room."""

from django.apps import AppConfig


class WebConfig(AppConfig):
    name = "kerege.web"
    label = "web"
    default_auto_field = "django.db.models.BigAutoField"
