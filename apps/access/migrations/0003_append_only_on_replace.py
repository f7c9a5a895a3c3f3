from django.db import migrations

from apps.access import audit_guard


def install(_apps, schema_editor):
    audit_guard.install(schema_editor.connection)


class Migration(migrations.Migration):

    dependencies = [
        ('access', '0002_append_only'),
    ]

    operations = [
        migrations.RunPython(install, migrations.RunPython.noop),
    ]
