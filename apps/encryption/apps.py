from django.apps import AppConfig


class EncryptionConfig(AppConfig):
    name = "apps.encryption"
    label = "encryption"
    default_auto_field = "django.db.models.BigAutoField"
