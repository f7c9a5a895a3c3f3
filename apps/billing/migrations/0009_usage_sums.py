"""Usage added up by day of a team and of a key, and by month of a resource; from the rows that are there."""

import django.db.models.deletion
from django.db import migrations, models

from apps.billing.months import Month

OF_DAYS = """INSERT INTO billing_teamday (team_id, day_ms, meter, quantity)
SELECT team_id, day_ms, meter, SUM(quantity) FROM billing_usageday GROUP BY team_id, day_ms, meter"""

OF_KEYS = """INSERT INTO billing_keyday (team_id, day_ms, meter, meter_key, quantity)
SELECT team_id, day_ms, meter, meter_key, SUM(quantity) FROM billing_usageday GROUP BY team_id, day_ms, meter, meter_key"""

OF_MONTH = """INSERT INTO billing_resourcemonth (team_id, month_ms, resource, meter, meter_key, quantity)
SELECT team_id, CAST(%s AS bigint), resource, meter, meter_key, SUM(quantity) FROM billing_usageday
WHERE team_id = %s AND day_ms >= %s AND day_ms < %s GROUP BY team_id, resource, meter, meter_key"""


def add_up(apps, schema_editor):
    """By month only where a team has some: a clock gone wrong may have left usage of another century."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(OF_DAYS)
        cursor.execute(OF_KEYS)
        days = apps.get_model("billing", "TeamDay").objects.values_list("team_id", "day_ms").distinct()
        for team_id, month in sorted({(team_id, Month.at(day_ms)) for team_id, day_ms in days}):
            cursor.execute(OF_MONTH, [month.start_ms, team_id, month.start_ms, month.end_ms])


class Migration(migrations.Migration):
    dependencies = [("billing", "0008_money_guard")]

    operations = [
        migrations.CreateModel(
            name="KeyDay",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day_ms", models.BigIntegerField()),
                ("meter", models.CharField(max_length=64)),
                ("meter_key", models.CharField(max_length=128)),
                ("quantity", models.BigIntegerField(default=0)),
                (
                    "team",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.team"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("team", "day_ms", "meter", "meter_key"), name="one_row_per_team_day_meter_and_key"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ResourceMonth",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("month_ms", models.BigIntegerField()),
                ("resource", models.CharField(max_length=200)),
                ("meter", models.CharField(max_length=64)),
                ("meter_key", models.CharField(max_length=128)),
                ("quantity", models.BigIntegerField(default=0)),
                (
                    "team",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.team"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("team", "month_ms", "resource", "meter", "meter_key"), name="one_usage_row_per_month"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="TeamDay",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day_ms", models.BigIntegerField()),
                ("meter", models.CharField(max_length=64)),
                ("quantity", models.BigIntegerField(default=0)),
                (
                    "team",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.team"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("team", "day_ms", "meter"), name="one_row_per_team_day_and_meter")
                ],
            },
        ),
        migrations.RunPython(add_up, migrations.RunPython.noop),
    ]
