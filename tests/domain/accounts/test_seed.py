"""apps/accounts/seed.py: what is made, kept and refused over several starts."""

import json
import stat
from dataclasses import replace

import pytest

from apps.accounts.models import AccessKey, Membership, Team, User
from apps.accounts.secrets import decrypt, encrypt
from apps.accounts.seed import seed
from apps.base.config import Config
from apps.base.datadir import StartRefused

pytestmark = pytest.mark.django_db
NOW_MS = 1_795_163_467_000


@pytest.fixture
def config(tmp_path):
    return replace(Config.from_environment(), data_dir=tmp_path)


def secret_of(key_id: str) -> str:
    return decrypt(AccessKey.objects.get(key_id=key_id).secret_encrypted, key_id)


def test_everything_is_generated_and_kept(config):
    seeded = seed(config, NOW_MS)
    kept = seeded.credentials
    assert json.loads(config.credentials_path.read_text()) == {
        "account_id": kept.account_id, "admin_email": "owner@tidegate.local", "admin_password": kept.admin_password,
        "access_key_id": kept.access_key_id, "secret_access_key": kept.secret_access_key,
    }  # fmt: skip
    assert stat.S_IMODE(config.credentials_path.stat().st_mode) == 0o600
    assert seeded.made
    assert seeded.key_usable
    assert seeded.user.check_password(kept.admin_password)
    assert Membership.objects.get().role == "owner"
    assert Team.objects.get().account_id == kept.account_id
    assert len(kept.account_id) == 12
    assert secret_of(kept.access_key_id) == kept.secret_access_key
    assert len(kept.secret_access_key) == 40


def test_a_second_start_changes_nothing(config):
    first = seed(config, NOW_MS)
    again = seed(config, NOW_MS)
    assert again.credentials == first.credentials
    assert not again.made
    assert (Team.objects.count(), User.objects.count(), AccessKey.objects.count()) == (1, 1, 1)


@pytest.mark.parametrize(("key_id", "secret"), [("test", "test"), ("a b'c\"$`\\", "ключ #!"), ("=", " ")])
def test_a_given_key_of_any_printable_text(config, key_id, secret):
    seeded = seed(replace(config, access_key_id=key_id, secret_access_key=secret), NOW_MS)
    assert secret_of(key_id) == secret
    assert (seeded.credentials.access_key_id, seeded.credentials.secret_access_key) == (key_id, secret)


def test_a_given_team(config):
    given = replace(config, account_id="210987654321", admin_email="Ops@Example.test", admin_password="p")
    seeded = seed(given, NOW_MS)
    assert Team.objects.get().account_id == "210987654321"
    assert User.objects.get().email == "ops@example.test"
    assert seeded.user.check_password("p")


def test_a_key_given_later_is_added_and_its_secret_follows_the_setting(config):
    first = seed(config, NOW_MS).credentials
    seed(replace(config, access_key_id="later", secret_access_key="one"), NOW_MS)
    assert secret_of("later") == "one"
    seed(replace(config, access_key_id="later", secret_access_key="two"), NOW_MS)
    assert secret_of("later") == "two"
    assert secret_of(first.access_key_id) == first.secret_access_key


def test_a_deleted_key_does_not_come_back(config):
    seed(config, NOW_MS)
    AccessKey.objects.all().delete()
    seeded = seed(config, NOW_MS)
    assert not AccessKey.objects.exists()
    assert not seeded.key_usable


def test_a_crash_before_the_database_knew_repeats_what_was_written(config):
    kept = seed(config, NOW_MS).credentials
    for model in (AccessKey, Membership, User, Team):
        model.objects.all().delete()
    assert seed(config, NOW_MS).credentials == kept


def test_a_lost_file_is_made_again_as_far_as_it_can_be(config):
    kept = seed(config, NOW_MS).credentials
    config.credentials_path.unlink()
    again = seed(config, NOW_MS).credentials
    assert (again.access_key_id, again.secret_access_key) == (kept.access_key_id, kept.secret_access_key)
    assert again.admin_password == ""


def test_another_account_is_refused(config):
    seed(config, NOW_MS)
    with pytest.raises(StartRefused, match="TIDEGATE_ACCOUNT_ID"):
        seed(replace(config, account_id="111122223333"), NOW_MS)


def test_a_foreign_master_key_is_refused(config):
    seed(config, NOW_MS)
    key = AccessKey.objects.get()
    key.secret_encrypted = encrypt("x", "another row")
    key.save()
    with pytest.raises(StartRefused, match="put back the key file"):
        seed(config, NOW_MS)


def test_a_key_of_another_team_is_refused(config):
    seed(config, NOW_MS)
    other = Team.objects.create(account_id="999999999999", slug="other", name="Other", created_at_ms=NOW_MS)
    AccessKey.objects.create(team=other, key_id="theirs", secret_encrypted=encrypt("s", "theirs"), created_at_ms=NOW_MS)
    with pytest.raises(StartRefused, match="another team"):
        seed(replace(config, access_key_id="theirs", secret_access_key="mine"), NOW_MS)


def test_an_unreadable_file_is_refused(config):
    config.credentials_path.write_text("{broken")
    with pytest.raises(StartRefused, match="cannot be read"):
        seed(config, NOW_MS)
