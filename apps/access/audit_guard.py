"""The database's own guard over the audit trail: triggers that refuse to change what is written.

They stand below everything that this program or anybody with its rights to the tables does by mistake or by intent;
only who may drop triggers gets past them.
"""

from __future__ import annotations

from typing import Any

_SQLITE = (
    """CREATE TRIGGER audit_no_update BEFORE UPDATE ON access_auditentry
    BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END""",
    """CREATE TRIGGER audit_no_delete BEFORE DELETE ON access_auditentry
    WHEN OLD.at_ms >= COALESCE((SELECT MAX(keep_from_ms) FROM access_audithorizon), 0)
    BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END""",
    # REPLACE takes rows away without asking the trigger above.
    """CREATE TRIGGER audit_no_replace BEFORE INSERT ON access_auditentry
    WHEN EXISTS (SELECT 1 FROM access_auditentry WHERE id = NEW.id)
    BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END""",
    """CREATE TRIGGER audit_horizon_rises BEFORE UPDATE ON access_audithorizon
    WHEN NEW.keep_from_ms < OLD.keep_from_ms
    BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END""",
)
_SQLITE_AWAY = tuple(
    f"DROP TRIGGER IF EXISTS {name}"
    for name in ("audit_no_update", "audit_no_delete", "audit_no_replace", "audit_horizon_rises")
)

_POSTGRES = (
    """CREATE OR REPLACE FUNCTION audit_append_only() RETURNS trigger AS $$
    BEGIN
        IF TG_OP = 'DELETE' AND OLD.at_ms < COALESCE((SELECT MAX(keep_from_ms) FROM access_audithorizon), 0) THEN
            RETURN OLD;
        END IF;
        RAISE EXCEPTION 'the audit trail is append-only' USING ERRCODE = 'integrity_constraint_violation';
    END $$ LANGUAGE plpgsql""",
    """CREATE OR REPLACE FUNCTION audit_horizon_rises() RETURNS trigger AS $$
    BEGIN
        IF NEW.keep_from_ms < OLD.keep_from_ms THEN
            RAISE EXCEPTION 'the audit trail is append-only' USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        RETURN NEW;
    END $$ LANGUAGE plpgsql""",
    """CREATE TRIGGER audit_rows BEFORE UPDATE OR DELETE ON access_auditentry
    FOR EACH ROW EXECUTE FUNCTION audit_append_only()""",
    """CREATE TRIGGER audit_truncate BEFORE TRUNCATE ON access_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only()""",
    """CREATE TRIGGER audit_horizon BEFORE UPDATE ON access_audithorizon
    FOR EACH ROW EXECUTE FUNCTION audit_horizon_rises()""",
)
_POSTGRES_AWAY = (
    "DROP TRIGGER IF EXISTS audit_rows ON access_auditentry",
    "DROP TRIGGER IF EXISTS audit_truncate ON access_auditentry",
    "DROP TRIGGER IF EXISTS audit_horizon ON access_audithorizon",
)


def install(connection: Any) -> None:
    """Set the guard, anew if it is set. connection: Django's, of either database."""
    remove(connection)
    _run(connection, _POSTGRES if connection.vendor == "postgresql" else _SQLITE)


def remove(connection: Any) -> None:
    """Take the guard away: to set it anew, and for tests, which empty their tables."""
    _run(connection, _POSTGRES_AWAY if connection.vendor == "postgresql" else _SQLITE_AWAY)


def _run(connection: Any, statements: tuple[str, ...]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
