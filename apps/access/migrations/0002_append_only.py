from django.db import migrations

from apps.access import audit_guard


def install(_apps, schema_editor):
    audit_guard.install(schema_editor.connection)


def remove(_apps, schema_editor):
    audit_guard.remove(schema_editor.connection)


class Migration(migrations.Migration):

    dependencies = [
        ('access', '0001_initial'),
    ]

    operations = [
        migrations.RunPython(install, remove),
    ]
