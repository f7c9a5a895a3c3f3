"""Who calls: a team, and the key, session or token that speaks for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Principal:
    """team_id: the Team row. account_id: its 12-digit AWS account id. meter_key: what usage is booked under
    (the access key id, or `console`, `import`, `replay` …). user_id: the person behind it, if there is one."""

    team_id: int
    account_id: str
    meter_key: str
    user_id: int | None = None

    @property
    def arn(self) -> str:
        """The caller as AWS writes it in texts."""
        return f"arn:aws:iam::{self.account_id}:user/{self.meter_key}"
