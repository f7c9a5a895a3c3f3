"""Says that a team is being deleted, to the guard over what is billed."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0006_who_runs_the_installation")]

    operations = [
        migrations.CreateModel(
            name="LeavingTeam",
            fields=[
                (
                    "team",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="accounts.team",
                    ),
                ),
            ],
        ),
    ]
