"""Up to when a commitment's time is booked: none of it is, so all of it will be."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("capacity", "0002_what_policies_follow")]

    operations = [migrations.AddField("commitment", "metered_to_ms", models.BigIntegerField(default=0))]
