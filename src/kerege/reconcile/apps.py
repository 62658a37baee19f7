"""Django's handle on this room."""

from django.apps import AppConfig


class ReconcileConfig(AppConfig):
    name = "kerege.reconcile"
    label = "reconcile"
    default_auto_field = "django.db.models.BigAutoField"
