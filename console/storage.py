"""Static files under names that carry their content's hash, so that browsers may keep them for ever."""

from __future__ import annotations

from django.contrib.staticfiles.storage import ManifestStaticFilesStorage, StaticFilesStorage


class HashedFiles(ManifestStaticFilesStorage):
    """Rewrites url() in CSS and import in JavaScript modules; plain names until collectstatic has run."""

    support_js_module_import_aggregation = True

    def url(self, name: str | None, force: bool = False) -> str:
        """The address of a file."""
        if not self.hashed_files and not force:
            return StaticFilesStorage.url(self, name)
        return super().url(name or "", force)
