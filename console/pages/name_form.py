"""The form that asks for a name before something ends."""

from __future__ import annotations

from typing import Any

from django import forms

NAME_CHARS_MAX = 255


class NameForm(forms.Form):
    """Valid only with the name of what is to end. to: what that name does, after `Type NAME to`. chars_max: of such names."""

    name = forms.CharField()

    def __init__(
        self, *arguments: Any, wanted: str, to: str = "delete it", chars_max: int = NAME_CHARS_MAX, **options: Any
    ) -> None:
        super().__init__(*arguments, **options)
        self.fields["name"] = forms.CharField(max_length=chars_max)
        self.wanted, self._to = wanted, to

    def clean_name(self) -> str:
        """Raises ValidationError for another name."""
        given: str = self.cleaned_data["name"]
        if not self.is_wanted(given):
            raise forms.ValidationError(f"Type {self.wanted} to {self._to}.")
        return given

    def is_wanted(self, given: str) -> bool:
        """Is this the name?"""
        return given == self.wanted
