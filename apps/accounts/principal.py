"""Who calls: a team, and the key, session or token that speaks for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Principal:
    """team_id: the Team row. account_id: its 12-digit AWS account id. meter_key: what usage is booked under
    (the access key id, or `console`, `import`, `replay` …). user_id: the person behind it, if there is one.

    grants: what a user or role may do (apps/access/policy/evaluation.py); None: everything that the team may.
    audits: its team has data calls in the audit trail. watched: one of the two, so that the hot path asks one question.
    """

    team_id: int
    account_id: str
    meter_key: str
    user_id: int | None = None
    grants: Any = None
    audits: bool = False
    watched: bool = False

    @property
    def arn(self) -> str:
        """The caller as AWS writes it in texts. A key of the team has its rights, as AWS's root user."""
        return self.grants.arn if self.grants is not None else f"arn:aws:iam::{self.account_id}:root"
