"""What people send waits for its view encrypted (apps/encryption/spool.py), in the data directory: a file for an encrypted
stream is not readable on any disk, not even for the seconds of its upload."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import RequestAborted
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler
from django.core.handlers.asgi import ASGIHandler

from apps.encryption.spool import spool


class Handler(ASGIHandler):  # type: ignore[misc]
    """Django's, but for where a request's body waits until all of it is there."""

    async def read_body(self, receive: Any) -> Any:
        """The whole body as a file. Raises RequestAborted."""
        body = spool(settings.CONFIG.data_path)
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                body.close()
                raise RequestAborted
            body.write(message.get("body", b""))
            if not message.get("more_body", False):
                break
        body.seek(0)
        return body


class EncryptedUpload(FileUploadHandler):
    """Keeps each file of a form in a spool."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        """A file begins."""
        super().new_file(*args, **kwargs)
        self.file = UploadedFile(
            spool(settings.CONFIG.data_path), self.file_name, self.content_type, 0, self.charset,
            self.content_type_extra,
        )  # fmt: skip

    def receive_data_chunk(self, raw_data: bytes, _start: int) -> None:
        """Its next bytes."""
        self.file.write(raw_data)

    def file_complete(self, file_size: int) -> UploadedFile:
        """It is all there."""
        self.file.seek(0)
        self.file.size = file_size
        return self.file

    def upload_interrupted(self) -> None:
        """The rest does not come."""
        if hasattr(self, "file"):
            self.file.close()
