"""Entries of the audit trail as people read them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlencode

from apps.access.changes import SERVICE
from apps.access.models import AuditEntry
from apps.access.search import Position

SERVICES = {SERVICE: "Console", "tidegate": "Tidegate", "audit": "Audit log"}
"""What is no service of AWS's."""

_ADMINISTRATOR = re.compile(r"arn:aws:iam::\d{12}:root, (.+)")


@dataclass(frozen=True, slots=True)
class Row:
    """One entry."""

    entry: AuditEntry

    @property
    def position(self) -> str:
        """Where it stands."""
        return str(Position(self.entry.at_ms, self.entry.pk))

    @property
    def who(self) -> str:
        """A person's address; else the user, role or team by its ARN."""
        if self.entry.person:
            return self.entry.person
        principal = self.entry.principal
        if found := _ADMINISTRATOR.fullmatch(principal):
            return found[1]
        last = principal.split(":", 5)[-1]
        if not principal.startswith("arn:"):
            return principal or "Tidegate"
        return f"Account {self.entry.account_id}" if last == "root" else last

    @property
    def means(self) -> str:
        """What spoke for them: a key, a token, a browser's session."""
        if self.entry.session:
            return f"session {self.entry.session}"
        key = self.entry.key_id
        return {"": "", "console": "console"}.get(key, f"token {key}" if key.startswith("tok_") else f"key {key}")

    @property
    def thing(self) -> str:
        """The resource without what all ARNs of the team begin with."""
        resource = self.entry.resource
        if resource == "*":
            return "the account"
        return resource.split(":", 5)[-1] if resource.startswith("arn:") else resource

    @property
    def service(self) -> str:
        """`kinesis`."""
        return SERVICES.get(self.entry.service, self.entry.service)

    @property
    def of_who(self) -> str:
        """A query for all that they did."""
        text = self.entry.person or self.entry.principal
        return urlencode({"q": f'who:"{text}"' if " " in text else f"who:{text}"})

    @property
    def of_thing(self) -> str:
        """A query for all that was done with the resource."""
        text = self.entry.resource
        return urlencode({"q": f'on:"{text}"' if " " in text else f"on:{text}"}) if text not in {"", "*"} else ""

    @property
    def of_request(self) -> str:
        """A query for all that one request did."""
        return urlencode({"q": f"request:{self.entry.request_id}"}) if self.entry.request_id else ""
