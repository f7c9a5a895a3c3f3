"""More people of the demo's team: a role of its own, invitations in every state, requests for access."""

MEMBER = "/t/first/members/5"
"""Jun's: the fifth membership of a new database."""

ROLE = "/t/first/roles/1"
INVITE = "/invite/demo-invitation-of-noor"
INVITE_CLOSED = "/invite/demo-invitation-that-expired"

CODE = """
import hashlib
from allauth.mfa.models import Authenticator
from apps.accounts.models import AccessRequest, Invitation, TeamRole
from apps.base.clock import SystemClock
now, day = SystemClock().now_ms(), 86_400_000
mira = User.objects.get(email="mira@acme.example")
auditors = TeamRole.objects.create(
    team=team, name="Auditors", description="Read the trail and the settings, nothing else", created_at_ms=now - 9 * day,
    actions=["audit:read", "delivery:read", "member:read", "stream:read", "team:read"],
)
PEOPLE = (
    ("Ada Lindqvist", "ada", "admin", None, 3_600_000, True), ("Jun Tanaka", "jun", "developer", None, 240_000, True),
    ("Ines Duarte", "ines", "developer", None, 2 * day, False), ("Tomas Novak", "tomas", "analyst", None, 5 * day, False),
    ("Priya Raman", "priya", "own", auditors, 26 * 3_600_000, True), ("Noel Okoye", "noel", "billing", None, None, False),
)
for name, email, role, own, seen, second in PEOPLE:
    user = User.objects.create_user(f"{email}@acme.example", "correct-horse-battery", name=name)
    member = Membership.objects.create(
        team=team, user=user, role=role, own_role=own, created_at_ms=now - 40 * day,
        last_seen_at_ms=None if seen is None else now - seen,
    )
    if second:
        Authenticator.objects.create(user=user, type=Authenticator.Type.WEBAUTHN, data={})
tomas = Membership.objects.get(user__email="tomas@acme.example")
AccessRequest.objects.create(
    membership=tomas, action="delivery:write", created_at_ms=now - 4_000_000,
    reason="The stock ticker needs another prefix before Friday.",
)
SENT = (
    ("noor@acme.example", "developer", "demo-invitation-of-noor", -1, 6, None, None),
    ("lea@acme.example", "viewer", "demo-invitation-that-expired", -9, -2, None, None),
    ("jun@acme.example", "developer", "accepted", -40, -33, -39, None),
    ("old@contractor.example", "analyst", "revoked", -20, -13, None, -18),
)
for email, role, token, sent, ends, accepted, revoked in SENT:
    Invitation.objects.create(
        team=team, email=email, role=role, token_sha256=hashlib.sha256(token.encode()).hexdigest(), invited_by=mira,
        created_at_ms=now + sent * day, expires_at_ms=now + ends * day,
        accepted_at_ms=accepted and now + accepted * day, revoked_at_ms=revoked and now + revoked * day,
    )
Team.objects.filter(slug="empty").update(environment="development")
Team.objects.filter(pk=team.pk).update(notify=["mailto:ops@acme.example"])
"""
