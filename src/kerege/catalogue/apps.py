"""Django's handle on this room."""

from django.apps import AppConfig


class CatalogueConfig(AppConfig):
    name = "kerege.catalogue"
    label = "catalogue"
    default_auto_field = "django.db.models.BigAutoField"
