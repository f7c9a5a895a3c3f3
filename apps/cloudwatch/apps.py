from django.apps import AppConfig


class CloudwatchConfig(AppConfig):
    """Metrics asked for and put by AWS's CloudWatch API, alarms, and `/metrics`."""

    name = "apps.cloudwatch"
    label = "cloudwatch"
    default_auto_field = "django.db.models.BigAutoField"
