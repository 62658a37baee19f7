"""Django's handle on this room."""

from django.apps import AppConfig


class MembershipConfig(AppConfig):
    name = "kerege.membership"
    label = "membership"
    default_auto_field = "django.db.models.BigAutoField"
