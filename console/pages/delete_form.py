"""The form that deletes: the name, typed."""

from __future__ import annotations

from typing import Any

from django import forms

NAME_MAX = 255


class NameForm(forms.Form):
    """Valid only with the name of what is to be deleted."""

    name = forms.CharField(max_length=NAME_MAX)

    def __init__(self, *arguments: Any, wanted: str, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.wanted = wanted

    def clean_name(self) -> str:
        """Raises ValidationError for another name."""
        given: str = self.cleaned_data["name"]
        if given != self.wanted:
            raise forms.ValidationError(f"Type {self.wanted} to delete it.")
        return given
