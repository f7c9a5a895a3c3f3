"""The database refuses to change what is billed (money_guard.py)."""

from django.db import migrations

from apps.billing import money_guard


def install(_apps, schema_editor):
    money_guard.install(schema_editor.connection)


def remove(_apps, schema_editor):
    money_guard.remove(schema_editor.connection)


class Migration(migrations.Migration):
    dependencies = [("billing", "0007_metering_rounds"), ("accounts", "0007_leaving_team")]

    operations = [migrations.RunPython(install, remove)]
