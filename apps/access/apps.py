"""Django's entry for this app."""

from django.apps import AppConfig


class AccessConfig(AppConfig):
    """Users, roles, policies, endpoints and the audit trail."""

    name = "apps.access"
    label = "access"
    default_auto_field = "django.db.models.BigAutoField"
