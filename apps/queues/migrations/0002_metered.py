"""When a queue's time began, and up to when it is booked. Queues that are there count from their creation."""

from django.db import migrations, models


def fill(apps, schema_editor):
    rows = apps.get_model("queues", "Queue").objects.filter(status__in=("ACTIVE", "UPDATING"))
    rows.update(opened_at_ms=models.F("created_at_ms"), metered_to_ms=models.F("created_at_ms"))


class Migration(migrations.Migration):
    dependencies = [("queues", "0001_initial")]

    operations = [
        migrations.AddField("queue", "opened_at_ms", models.BigIntegerField(blank=True, null=True)),
        migrations.AddField("queue", "metered_to_ms", models.BigIntegerField(default=0)),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
