"""A statement as JSON: what the CSV has, with its totals. Members are never renamed; amounts and quantities are texts."""

from __future__ import annotations

import json
from typing import Any

from apps.billing.bills import Statement, StatementLine
from apps.billing.exports import cells
from apps.billing.rating import decimal_text


def document(of: Statement) -> dict[str, Any]:
    """The statement as plain members."""
    return {
        "number": of.number,
        "state": str(of.state),
        "month": str(of.month),
        "account_id": of.account_id,
        "team": of.team_name,
        "currency": of.currency,
        "usage": cells.money(of.usage_cents),
        "credits": cells.money(of.credits_cents),
        "total": cells.money(of.total_cents),
        "as_of": cells.time(of.as_of_ms),
        "closed_at": None if of.closed_at_ms is None else cells.time(of.closed_at_ms),
        "usage_digest": of.usage_digest or None,
        "problems": list(of.problems),
        "lines": [line_document(line) for line in of.lines],
    }


def line_document(line: StatementLine) -> dict[str, Any]:
    """One line."""
    is_credit = not line.dimension
    return {
        "kind": str(line.kind),
        "service": line.service or None,
        "dimension": line.dimension or None,
        "title": line.title,
        "metered": None if is_credit else decimal_text(line.metered),
        "quantity": None if is_credit else decimal_text(line.quantity),
        "unit": line.unit or None,
        "unit_price": None if is_credit else f"{line.price:f}",
        "from": cells.time(line.from_ms),
        "to": cells.time(line.to_ms),
        "amount": decimal_text(line.amount),
        "billed": cells.money(line.cents),
    }


def text(of: Statement) -> bytes:
    """The file."""
    return json.dumps(document(of), ensure_ascii=False, indent=2).encode() + b"\n"
