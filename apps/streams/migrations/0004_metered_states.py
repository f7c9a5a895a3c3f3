"""States that time and storage are metered by, made from what was known of modes and of extended retention."""

from django.db import migrations, models

HOUR_MS = 3_600_000
DAY_HOURS = 24
OTHER = {"PROVISIONED": "ON_DEMAND", "ON_DEMAND": "PROVISIONED"}


def states_of(row):
    """[from, mode, retention hours, floor, shard-level metrics], oldest first. Of earlier retentions it is known whether they
    were above 24 hours; they are taken for the present one, or for 25."""
    changes = sorted(set(row.mode_changes_ms))
    times = {row.created_at_ms, *changes}
    for from_ms, to_ms in row.extended_spans:
        times |= {from_ms, *([to_ms] if to_ms is not None else [])}
    metrics = len(row.shard_level_metrics)
    above = max(row.retention_hours, DAY_HOURS + 1)
    states = []
    for at_ms in sorted(times):
        flips = sum(change > at_ms for change in changes)
        mode = OTHER[row.mode] if flips % 2 else row.mode
        extended = any(a <= at_ms and (b is None or at_ms < b) for a, b in row.extended_spans)
        states.append([at_ms, mode, above if extended else DAY_HOURS, row.retention_floor_ms, metrics])
    return states


def fill(apps, schema_editor):
    for row in apps.get_model("streams", "Stream").objects.exclude(status="DELETING"):
        if not row.shards.filter(opened_at_ms__isnull=False).exists():
            continue
        hour_ms = row.metered_to_ms - row.metered_to_ms % HOUR_MS
        states = states_of(row)
        ends = [one[0] for one in states[1:]] + [None]
        row.metered_states = [one for one, end in zip(states, ends) if end is None or end > hour_ms]
        if any(one[2] > DAY_HOURS for one in row.metered_states):
            row.stored_to_ms = hour_ms
        row.save(update_fields=["metered_states", "stored_to_ms"])


class Migration(migrations.Migration):
    dependencies = [("streams", "0003_whole_data_streams")]

    operations = [
        migrations.AddField("stream", "metered_states", models.JSONField(default=list)),
        migrations.AddField("stream", "stored_to_ms", models.BigIntegerField(blank=True, null=True)),
        migrations.AddField("stream", "namesake_bytes", models.BigIntegerField(default=0)),
        migrations.RunPython(fill, migrations.RunPython.noop),
        migrations.RemoveField("stream", "extended_spans"),
    ]
