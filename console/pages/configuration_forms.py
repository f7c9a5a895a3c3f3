"""The forms of a stream's settings, one for each part that is saved alone."""

from __future__ import annotations

from typing import Any

from django import forms

from apps.metrics.names import SHARD_LEVEL
from apps.streams.limits import RECORD_KIB_DEFAULT, RECORD_KIB_MAX
from apps.streams.models import RecordDistributionStrategy, Stream, StreamMode
from console.pages.tag_field import TagField

RETENTION_HOURS = (24, 8_760)
UNITS = [("hours", "hours"), ("days", "days")]
WARM_MIBPS_MAX = 10_000
KEY_MAX = 2_048
OWN_KEY = "alias/aws/kinesis"
"""What AWS calls the key that it keeps for an account."""


class RetentionForm(forms.Form):
    """A number and its unit."""

    amount = forms.IntegerField(min_value=1, max_value=RETENTION_HOURS[1])
    unit = forms.ChoiceField(choices=UNITS)

    def clean(self) -> dict[str, Any]:
        """Within what AWS allows."""
        given = super().clean() or self.cleaned_data
        least, most = RETENTION_HOURS
        if "amount" in given and "unit" in given and not least <= self.hours() <= most:
            self.add_error("amount", f"From {least} hours to {most // 24} days.")
        return given

    def hours(self) -> int:
        """Asked for."""
        return self.cleaned_data["amount"] * (24 if self.cleaned_data["unit"] == "days" else 1)


class TagsForm(forms.Form):
    """All tags of the stream, one a line."""

    tags = TagField(required=False)


class ModeForm(forms.Form):
    """Provisioned or on-demand."""

    mode = forms.ChoiceField(choices=StreamMode.choices)


class OnDemandForm(forms.Form):
    """What on-demand streams have alone: who places records, and what is kept warm."""

    strategy = forms.ChoiceField(
        choices=[
            (RecordDistributionStrategy.USER_PARTITION_KEY, "By partition key"),
            (RecordDistributionStrategy.AUTO, "Evenly, by Tidegate"),
        ]
    )
    warm = forms.IntegerField(min_value=0, max_value=WARM_MIBPS_MAX, required=False)


class RecordSizeForm(forms.Form):
    """In KiB, as AWS counts it."""

    size = forms.IntegerField(min_value=RECORD_KIB_DEFAULT, max_value=RECORD_KIB_MAX)


class EncryptionForm(forms.Form):
    """Off, or a KMS key."""

    encryption = forms.ChoiceField(choices=[("NONE", "Off"), ("KMS", "KMS")])
    key = forms.CharField(max_length=KEY_MAX, required=False)

    def clean(self) -> dict[str, Any]:
        """An empty key is AWS's own."""
        given = super().clean() or self.cleaned_data
        given["key"] = given.get("key") or OWN_KEY
        return given


class PolicyForm(forms.Form):
    """The document as it will be kept; empty takes it away."""

    policy = forms.CharField(required=False, widget=forms.Textarea)


class MonitoringForm(forms.Form):
    """Which metrics are kept for each shard."""

    metrics = forms.MultipleChoiceField(choices=[(name, name) for name in SHARD_LEVEL], required=False)


def retention_now(stream: Stream) -> dict[str, Any]:
    """The retention in the larger unit that fits."""
    hours = stream.retention_hours
    return {"amount": hours // 24, "unit": "days"} if hours % 24 == 0 else {"amount": hours, "unit": "hours"}


def tags_now(tags: dict[str, str]) -> dict[str, Any]:
    """As they are typed."""
    return {"tags": "\n".join(f"{key}={value}" if value else key for key, value in tags.items())}


def on_demand_now(stream: Stream) -> dict[str, Any]:
    """Of an on-demand stream."""
    return {"strategy": stream.distribution_strategy, "warm": stream.warm_throughput_mibps or ""}


def encryption_now(stream: Stream) -> dict[str, Any]:
    """The key as it was given."""
    return {"encryption": "KMS" if stream.encryption_key_arn else "NONE", "key": stream.encryption_key_id or OWN_KEY}
