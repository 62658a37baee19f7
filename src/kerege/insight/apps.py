"""Django's handle on this room."""

from django.apps import AppConfig


class InsightConfig(AppConfig):
    name = "kerege.insight"
    label = "insight"
    default_auto_field = "django.db.models.BigAutoField"
