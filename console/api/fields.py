"""Fields that several resources have."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

TAGS_MAX = 50
TAG_KEY_CHARS_MAX, TAG_VALUE_CHARS_MAX = 128, 256


@extend_schema_field(
    {
        "type": "object",
        "maxProperties": TAGS_MAX,
        "propertyNames": {"minLength": 1, "maxLength": TAG_KEY_CHARS_MAX},
        "additionalProperties": {"type": "string", "maxLength": TAG_VALUE_CHARS_MAX},
    }
)
class TagsField(serializers.DictField):
    """Tags by key. Which characters they may have is AWS's to say."""

    child = serializers.CharField(max_length=TAG_VALUE_CHARS_MAX, allow_blank=True, trim_whitespace=False)

    def to_internal_value(self, data: Any) -> dict[str, str]:
        """Raises ValidationError for a key without characters, or with too many."""
        tags: dict[str, str] = super().to_internal_value(data)
        if len(tags) > TAGS_MAX:
            raise serializers.ValidationError(f"There are at most {TAGS_MAX} tags.")
        for key in tags:
            if not 1 <= len(key) <= TAG_KEY_CHARS_MAX:
                raise serializers.ValidationError(f"A key has 1 to {TAG_KEY_CHARS_MAX} characters.")
        return tags
