"""Template tags of the hub's pages."""

from django import template

register = template.Library()
