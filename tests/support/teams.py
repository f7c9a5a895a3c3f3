"""A team with a person and an access key, as `bootstrap` would make them, but with known values."""

from dataclasses import dataclass

from apps.accounts.models import AccessKey, Membership, Team, User
from apps.accounts.principal import Principal
from apps.accounts.roles import Role

REGION = "us-east-1"
ACCOUNT_ID = "123456789012"
ACCESS_KEY_ID = "AKIDEXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
EMAIL = "owner@example.test"
PASSWORD = "correct horse battery"
CREATED_AT_MS = 1_795_163_467_000


@dataclass(frozen=True)
class TestTeam:
    """The rows, and what a client needs to speak for them."""

    __test__ = False
    team: Team
    user: User
    access_key: AccessKey
    access_key_id: str
    secret: str
    principal: Principal


def make_team(
    account_id: str = ACCOUNT_ID,
    slug: str = "first",
    access_key_id: str = ACCESS_KEY_ID,
    role: str = Role.OWNER,
    email: str | None = None,
) -> TestTeam:
    """Rows of one team. Another one needs another account id, slug and key id."""
    from apps.accounts.secrets import encrypt

    team = Team.objects.create(account_id=account_id, slug=slug, name=slug.title(), created_at_ms=CREATED_AT_MS)
    user = User.objects.create_user(
        email or (EMAIL if slug == "first" else f"{slug}@example.test"), PASSWORD, created_at_ms=CREATED_AT_MS
    )
    Membership.objects.create(team=team, user=user, role=role)
    access_key = AccessKey.objects.create(
        team=team,
        key_id=access_key_id,
        secret_encrypted=encrypt(SECRET, access_key_id),
        name="test",
        created_by=user,
        created_at_ms=CREATED_AT_MS,
    )
    return TestTeam(team, user, access_key, access_key_id, SECRET, Principal(team.id, account_id, access_key_id))
