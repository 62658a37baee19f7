"""Requests to the central services: to be registered, and for every other change."""
