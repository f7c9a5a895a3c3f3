"""The form of a stream's faults: two rates and a delay, empty for none."""

from __future__ import annotations

from typing import Any

from django import forms

from apps.streams.faults import LATENCY_MS_MAX, Faults, faults_of
from apps.streams.models import Stream


class FaultsForm(forms.Form):
    """Percentages with two decimals, and milliseconds."""

    throttle = forms.DecimalField(min_value=0, max_value=100, decimal_places=2, max_digits=5, required=False)
    errors_rate = forms.DecimalField(min_value=0, max_value=100, decimal_places=2, max_digits=5, required=False)
    latency = forms.IntegerField(min_value=0, max_value=LATENCY_MS_MAX, required=False)

    def clean(self) -> dict[str, Any]:
        """A call fails in one way only."""
        given = super().clean() or self.cleaned_data
        if (given.get("throttle") or 0) + (given.get("errors_rate") or 0) > 100:
            self.add_error("errors_rate", "Both rates together are at most 100%.")
        return given

    def faults(self) -> Faults:
        """Asked for."""
        given = self.cleaned_data
        return Faults(float(given["throttle"] or 0), float(given["errors_rate"] or 0), given["latency"] or 0)


def as_fields(stream: Stream) -> dict[str, str]:
    """What is on now, as the form's initial values; zero is left empty."""
    now = faults_of(stream.faults) or Faults()
    values = {"throttle": now.throttle_percent, "errors_rate": now.error_percent, "latency": now.latency_ms}
    return {name: f"{value:g}" if value else "" for name, value in values.items()}
