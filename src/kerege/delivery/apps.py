"""Django's handle on this room."""

from django.apps import AppConfig


class DeliveryConfig(AppConfig):
    name = "kerege.delivery"
    label = "delivery"
    default_auto_field = "django.db.models.BigAutoField"
