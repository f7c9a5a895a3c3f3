"""Marks that metering leaves in the record log (log_marks.py)."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("streams", "0004_metered_states")]

    operations = [
        migrations.CreateModel(
            name="LogMark",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("incarnation", models.CharField(max_length=40)),
                ("offset", models.BigIntegerField()),
                ("arrival_ms", models.BigIntegerField()),
                ("name", models.CharField(max_length=32)),
                ("older_at_ms", models.BigIntegerField(default=0)),
            ],
            options={"indexes": [models.Index(fields=["incarnation", "offset"], name="log_marks_of_a_log")]},
        ),
    ]
