"""The field in which tags are typed."""

from __future__ import annotations

from django import forms


class TagField(forms.CharField):
    """Tags as text, one `key=value` a line; a line without = is a key alone."""

    widget = forms.Textarea

    def clean(self, value: str | None) -> dict[str, str]:
        """A dict; later lines win. Raises ValidationError for a line without a key."""
        tags: dict[str, str] = {}
        for line in super().clean(value).splitlines():
            key, _, text = line.partition("=")
            if line.strip() and not key.strip():
                raise forms.ValidationError(f"{line!r} has no key before the equals sign.")
            if line.strip():
                tags[key.strip()] = text.strip()
        return tags
