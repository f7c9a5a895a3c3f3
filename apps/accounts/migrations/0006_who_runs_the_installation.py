"""An installation from before User.is_staff has somebody who runs it, too: the first owner of its first team."""

from __future__ import annotations

from typing import Any

from django.db import migrations


def name_somebody(apps: Any, _schema_editor: Any) -> None:
    """Only where nobody is named."""
    user, membership = apps.get_model("accounts", "User"), apps.get_model("accounts", "Membership")
    if not user.objects.filter(is_staff=True).exists():
        owners = membership.objects.filter(role="owner", user__is_active=True)
        first = owners.order_by("team_id", "user_id").values_list("user_id", flat=True).first()
        user.objects.filter(pk=first).update(is_staff=True)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0005_access_requests")]

    operations = [migrations.RunPython(name_somebody, migrations.RunPython.noop)]
