"""People, roles, invitations, access keys and tokens over REST: what each may do, and that nobody gets more than they have."""

import pytest
from django.core import mail as outbox

from apps.access.models import AuditEntry
from apps.accounts.models import AccessKey, AccessRequest, ApiToken, Invitation, Membership, TeamRole, User
from apps.accounts.roles import OWN_ROLE, Role
from tests.api.conforming import conforming
from tests.api.conftest import Api
from tests.api.test_envelope import problem
from tests.support.teams import make_team

DAY_MS = 86_400_000


@pytest.fixture
def api(team, served):
    return conforming(team.user, team.team)


@pytest.fixture
def other(db):
    return make_team("210987654321", "other", "AKIDOTHER")


def join(team, role, name="ann"):
    user = User.objects.create_user(f"{name}@example.test", None, name=name.title())
    return Membership.objects.create(team=team.team, user=user, role=role, created_at_ms=1)


def operations():
    return list(AuditEntry.objects.filter(service="console").order_by("id").values_list("operation", flat=True))


# --- who am I ------------------------------------------------------------------------------------------------------------


def test_me(team, served):
    reader = conforming(team.user, team.team, ["stream:read", "team:read"])
    told = reader.get("/me").json()
    assert told["actions"] == ["stream:read", "team:read"]
    assert (told["role"], told["team"]["account_id"]) == ("owner", team.team.account_id)
    assert told["token"] == ApiToken.objects.get().public_id
    problem(reader.get("/me?colour=red"), 400)


def test_the_teams_settings(api, team):
    etag = api.get("/team")["ETag"]
    told = api.patch("/team", {"environment": "staging", "records_data_calls": True}, if_match=etag).json()
    assert (told["environment"], told["records_data_calls"], told["name"]) == ("staging", True, "First")
    problem(api.patch("/team", {"name": "x"}, if_match=etag), 412)
    wrong = problem(api.patch("/team", {"name": "ok", "notify": ["ftp://a"]}), 400)
    assert (wrong["code"], wrong["errors"][0]["field"]) == ("BadNotify", "notify")
    wrong = problem(api.patch("/team", {"environment": "moon", "records_data_calls": False}), 400)
    assert wrong["errors"][0]["field"] == "environment"
    assert api.get("/team").json()["records_data_calls"] is True
    assert operations() == ["UpdateTeam", "RecordDataCalls"]


def test_quotas(api):
    found = {one["name"]: one for one in api.get("/quotas").json()["items"]}
    assert found["consumers"]["limit"] == found["consumers"]["default"] == 20


# --- members -------------------------------------------------------------------------------------------------------------


def test_members_are_listed_changed_and_removed(api, team):
    ann = join(team, Role.VIEWER)
    assert [one["email"] for one in api.get("/members").json()["items"]] == [team.user.email, "ann@example.test"]
    assert [one["id"] for one in api.get("/members?q=ANN&role=viewer").json()["items"]] == [ann.pk]
    problem(api.get("/members?role=king"), 400)
    etag = api.get(f"/members/{ann.pk}")["ETag"]
    assert api.patch(f"/members/{ann.pk}", {"role": "developer"}, if_match=etag).json()["role"] == "developer"
    problem(api.patch(f"/members/{ann.pk}", {"role": "viewer"}, if_match=etag), 412)
    wrong = problem(api.patch(f"/members/{ann.pk}", {"role": "own:99"}), 400)
    assert (wrong["code"], wrong["errors"][0]["field"]) == ("UnknownRole", "role")
    assert api.delete(f"/members/{ann.pk}").status_code == 204
    problem(api.get(f"/members/{ann.pk}"), 404)
    assert operations() == ["ChangeMemberRole", "RemoveMember"]


def test_a_team_keeps_an_owner(api, team):
    me = Membership.objects.get(user=team.user)
    assert problem(api.patch(f"/members/{me.pk}", {"role": "admin"}), 409)["code"] == "LastOwner"
    assert problem(api.delete(f"/members/{me.pk}"), 409)["code"] == "IsSelf"


def test_nobody_gives_or_takes_what_they_do_not_have(team, served):
    admin, viewer = join(team, Role.ADMIN), join(team, Role.VIEWER, "ben")
    owner = Membership.objects.get(user=team.user)
    api = conforming(admin.user, team.team)
    for member, role in ((admin, "owner"), (viewer, "owner"), (owner, "viewer")):
        problem(api.patch(f"/members/{member.pk}", {"role": role}), 403)
    problem(api.delete(f"/members/{owner.pk}"), 403)
    few = conforming(team.user, team.team, ["member:read", "member:write"])
    problem(few.patch(f"/members/{viewer.pk}", {"role": "developer"}), 403)
    problem(few.delete(f"/members/{viewer.pk}"), 403)  # a viewer may look at streams, this token may not
    problem(few.post("/invitations", {"email": "eve@example.test", "role": "viewer"}), 403)
    problem(few.post("/roles", {"name": "More", "actions": ["stream:delete"]}), 403)
    assert set(Membership.objects.values_list("role", flat=True)) == {Role.OWNER, Role.ADMIN, Role.VIEWER}
    assert not Invitation.objects.exists()
    assert not TeamRole.objects.exists()


def test_asking_for_access(api, team, served):
    viewer = join(team, Role.VIEWER)
    asks = Api(conforming(viewer.user, team.team, []).token)
    made = conforming(viewer.user, team.team, []).post(
        "/access-requests", {"action": "stream:create", "reason": "Why not"}
    )
    assert made.status_code == 201, made.content
    assert problem(asks.post("/access-requests", {"action": "stream:create"}), 409)["code"] == "AlreadyAsked"
    problem(asks.post("/access-requests", {"action": "stream:read"}), 409)
    problem(asks.get("/access-requests"), 403)
    number = api.get("/access-requests").json()["items"][0]["id"]
    assert problem(api.post(f"/access-requests/{number}/grant", {"role": "billing"}), 400)["code"] == "NotEnough"
    assert api.post(f"/access-requests/{number}/grant", {"role": "developer"}).json()["role"] == "developer"
    problem(api.post(f"/access-requests/{number}/refuse"), 404)
    assert api.get("/access-requests").json()["items"] == []
    conforming(viewer.user, team.team, []).post("/access-requests", {"action": "team:write"})
    number = AccessRequest.objects.get(action="team:write").pk
    assert api.post(f"/access-requests/{number}/refuse").status_code == 204


# --- roles ---------------------------------------------------------------------------------------------------------------


def test_own_roles(api, team):
    made = api.post("/roles", {"name": "On call", "actions": ["stream:read", "stream:reshard"]}, idempotency_key="r")
    assert made.status_code == 201, made.content
    key = made.json()["key"]
    assert [one["key"] for one in api.get("/roles").json()["items"]][-2:] == ["viewer", key]
    etag = api.get(f"/roles/{key}")["ETag"]
    changed = {"name": "Night", "actions": ["stream:read"]}
    assert api.put(f"/roles/{key}", changed, if_match=etag).json()["name"] == "Night"
    problem(api.put(f"/roles/{key}", changed, if_match=etag), 412)
    problem(api.post("/roles", {"name": "night", "actions": ["stream:read"]}), 409)
    problem(api.post("/roles", {"name": "x", "actions": ["stream:fly"]}), 400)
    ann = join(team, Role.VIEWER)
    assert api.patch(f"/members/{ann.pk}", {"role": key}).json()["role_label"] == "Night"
    assert api.get(f"/roles/{key}").json()["holders"] == ["ann@example.test"]
    assert problem(api.delete(f"/roles/{key}"), 409)["code"] == "RoleInUse"
    api.patch(f"/members/{ann.pk}", {"role": "viewer"})
    assert api.delete(f"/roles/{key}").status_code == 204
    problem(api.delete("/roles/admin"), 409)
    problem(api.get("/roles/king"), 404)


# --- invitations ---------------------------------------------------------------------------------------------------------


def test_invitations(api, team, served):
    made = api.post("/invitations", {"email": "Ann@Example.test", "role": "viewer"}, idempotency_key="i")
    assert made.status_code == 201, made.content
    told = made.json()
    assert (told["email"], told["status"], told["invited_by"]) == ("ann@example.test", "open", team.user.email)
    assert "/invite/" in told["link"]
    assert told["is_mailed"] is False, "there is no mail server"
    again = api.post("/invitations", {"email": "Ann@Example.test", "role": "viewer"}, idempotency_key="i")
    assert again.content == made.content
    assert len(outbox.outbox) == 1
    one = f"/invitations/{told['id']}"
    secret = told["link"].rpartition("/")[2]
    for path in (one, "/invitations", "/invitations?status=open"):
        assert secret not in api.get(path).content.decode()
    assert (
        problem(api.post("/invitations", {"email": "ann@example.test", "role": "viewer"}), 409)["code"]
        == "AlreadyInvited"
    )
    resent = api.post(f"{one}/resend").json()
    assert resent["link"] != told["link"]
    assert api.delete(one).status_code == 204
    problem(api.delete(one), 409)
    problem(api.post(f"{one}/resend"), 409)
    assert api.get("/invitations?status=open").json()["items"] == []
    assert [row["status"] for row in api.get("/invitations?status=revoked").json()["items"]] == ["revoked"]
    problem(api.post("/invitations", {"email": "nobody", "role": "viewer"}), 400)
    problem(api.post("/invitations", {"email": "b@example.test", "role": "own:1"}), 400)


def test_an_admin_invites_no_owner(team, served):
    admin = conforming(join(team, Role.ADMIN).user, team.team)
    problem(admin.post("/invitations", {"email": "b@example.test", "role": "owner"}), 403)


def test_a_token_makes_no_key_that_may_more_than_it(team, served):
    key = conforming(team.user, team.team).get("/access-keys").json()["items"][0]["access_key_id"]
    narrow = conforming(team.user, team.team, ["key:read", "key:write"])
    for call in (
        lambda: narrow.post("/access-keys", {"name": "x"}),
        lambda: narrow.post(f"/access-keys/{key}/rotate", {"overlap_ms": 0}),
        lambda: narrow.post(f"/access-keys/{key}/cancel-rotation"),
        lambda: narrow.patch(f"/access-keys/{key}", {"is_active": True}),
    ):
        assert "An access key has permissions that you do not have" in problem(call(), 403)["detail"]
    assert narrow.patch(f"/access-keys/{key}", {"is_active": False}).json()["status"] == "inactive"


# --- access keys ---------------------------------------------------------------------------------------------------------


def test_access_keys(api, team, runtime):
    made = api.post("/access-keys", {"name": "orders"}, idempotency_key="k")
    assert made.status_code == 201, made.content
    key, secret = made.json()["access_key_id"], made.json()["secret_access_key"]
    assert api.post("/access-keys", {"name": "orders"}, idempotency_key="k").json()["secret_access_key"] == secret
    assert AccessKey.objects.filter(name="orders").count() == 1
    for path in ("/access-keys", f"/access-keys/{key}", "/access-keys?q=ORD"):
        assert secret not in api.get(path).content.decode()
    rotated = api.post(f"/access-keys/{key}/rotate", {"overlap_ms": 3_600_000})
    assert rotated.status_code == 201
    new = rotated.json()["access_key_id"]
    told = api.get(f"/access-keys/{key}").json()
    assert (told["replaced_by"], told["status"]) == (new, "active")
    problem(api.post(f"/access-keys/{key}/rotate", {}), 409)
    runtime.clock.advance(3_600_000)
    assert api.get(f"/access-keys/{key}").json()["status"] == "ended"
    assert api.post(f"/access-keys/{key}/cancel-rotation").json()["status"] == "active"
    problem(api.post(f"/access-keys/{key}/cancel-rotation"), 409)
    assert problem(api.delete(f"/access-keys/{key}"), 409)["code"] == "StillActive"
    assert api.patch(f"/access-keys/{key}", {"is_active": False}).json()["status"] == "inactive"
    assert api.delete(f"/access-keys/{key}").status_code == 204
    problem(api.patch(f"/access-keys/{key}", {"is_active": True}), 404)
    problem(api.post("/access-keys", {"name": ""}), 400)
    problem(api.post(f"/access-keys/{new}/rotate", {"overlap_ms": 31 * DAY_MS}), 400)


# --- tokens --------------------------------------------------------------------------------------------------------------


def test_tokens_are_made_used_and_ended(api, team, runtime):
    body = {"name": "nightly", "scopes": ["stream:read", "token:write"]}
    made = api.post("/tokens", body, idempotency_key="t")
    assert made.status_code == 201, made.content
    told, text = made.json(), made.json()["token"]
    assert told["expires_at_ms"] == runtime.clock.now_ms() + 90 * DAY_MS
    assert api.post("/tokens", body, idempotency_key="t").json()["token"] == text
    child = Api(text)
    assert child.get("/streams").status_code == 200
    for path in ("/tokens", f"/tokens/{told['id']}"):
        assert text not in api.get(path).content.decode()
    assert api.delete(f"/tokens/{told['id']}").status_code == 204
    assert child.get("/streams").status_code == 401
    problem(api.delete(f"/tokens/{told['id']}"), 404)
    assert problem(api.post("/tokens", {**body, "expires_at_ms": 1}), 400)["code"] == "InThePast"
    assert api.post("/tokens", {**body, "expires_at_ms": None}).json()["expires_at_ms"] is None
    assert operations() == ["CreateToken", "RevokeToken", "CreateToken"]


def test_a_token_makes_none_that_may_more(team, served, runtime):
    few = conforming(team.user, team.team, ["token:write", "stream:read"])
    told = problem(few.post("/tokens", {"name": "x", "scopes": ["stream:delete"]}), 403)
    assert told["code"] == "NotAllowed"
    made = few.post("/tokens", {"name": "x", "scopes": ["stream:read"]})
    assert made.status_code == 201
    problem(Api(made.json()["token"]).post("/tokens", {"name": "y", "scopes": ["stream:read"]}), 403)
    ApiToken.objects.filter(name="test").update(expiry="2026-11-21T00:00:00Z")
    own_end_ms = few.get("/me").json()["expires_at_ms"]
    assert few.post("/tokens", {"name": "z", "scopes": ["stream:read"]}).json()["expires_at_ms"] == own_end_ms
    for later_ms in (None, own_end_ms + 1):
        body = {"name": "z", "scopes": ["stream:read"], "expires_at_ms": later_ms}
        [told] = problem(few.post("/tokens", body), 400)["errors"]
        assert told["field"] == "expires_at_ms"


def test_others_tokens_are_for_those_who_manage_them(api, team, served):
    developer = join(team, Role.DEVELOPER)
    mine = conforming(developer.user, team.team)
    owners = ApiToken.objects.get(user=team.user).public_id
    assert {one["owner"] for one in mine.get("/tokens").json()["items"]} == {"ann@example.test"}
    problem(mine.get(f"/tokens/{owners}"), 404)
    problem(mine.delete(f"/tokens/{owners}"), 404)
    assert len(api.get("/tokens").json()["items"]) == 2
    [told] = api.get("/tokens?owner=ANN@example.test").json()["items"]
    assert api.delete(f"/tokens/{told['id']}").status_code == 204
    assert mine.get("/me").status_code == 401


# --- the others ----------------------------------------------------------------------------------------------------------


def test_another_teams_are_not_there(api, team, other, served):
    theirs = conforming(other.user, other.team)
    member = Membership.objects.get(user=other.user).pk
    role = theirs.post("/roles", {"name": "Theirs", "actions": ["stream:read"]}).json()["key"]
    invited = theirs.post("/invitations", {"email": "x@example.test", "role": "viewer"}).json()["id"]
    key = theirs.post("/access-keys", {"name": "theirs"}).json()["access_key_id"]
    token = theirs.post("/tokens", {"name": "theirs", "scopes": ["stream:read"]}).json()["id"]
    viewer = join(other, Role.VIEWER, "vic")
    asked = conforming(viewer.user, other.team, []).post("/access-requests", {"action": "team:write"}).json()["id"]
    entry = AuditEntry.objects.filter(account_id=other.team.account_id).first().pk
    for path in (
        f"/members/{member}", f"/roles/{role}", f"/invitations/{invited}", f"/access-keys/{key}", f"/tokens/{token}",
        f"/audit/{entry}",
    ):  # fmt: skip
        problem(api.get(path), 404)
        if not path.startswith("/audit"):
            problem(api.delete(path), 404)
    problem(api.patch(f"/members/{member}", {"role": "viewer"}), 404)
    problem(api.put(f"/roles/{role}", {"name": "x", "actions": ["stream:read"]}), 404)
    problem(api.post(f"/invitations/{invited}/resend"), 404)
    problem(api.patch(f"/access-keys/{key}", {"is_active": False}), 404)
    problem(api.post(f"/access-keys/{key}/rotate", {}), 404)
    problem(api.post(f"/access-keys/{key}/cancel-rotation"), 404)
    problem(api.post(f"/access-requests/{asked}/grant", {"role": "admin"}), 404)
    problem(api.post(f"/access-requests/{asked}/refuse"), 404)
    mine = Membership.objects.get(user=team.user).pk
    problem(api.patch(f"/members/{mine}", {"role": role}), 400)
    problem(api.post("/invitations", {"email": "y@example.test", "role": role}), 400)
    for path in ("/invitations", "/access-requests"):
        assert api.get(path).json()["items"] == []
    for path in ("/members", "/access-keys", "/tokens"):
        assert len(api.get(path).json()["items"]) == 1
    assert entry not in [int(one["id"]) for one in api.get("/audit").json()["items"]]


@pytest.mark.parametrize("role", [Role.VIEWER, Role.BILLING])
def test_roles(team, served, role):
    api = conforming(join(team, role).user, team.team)
    may_billing = role == Role.BILLING
    assert (api.get("/usage").status_code == 200) == may_billing
    assert (api.get("/meters").status_code == 200) == may_billing
    assert api.get("/members").status_code == api.get("/team").status_code == api.get("/quotas").status_code == 200
    for call, needs in (
        (lambda: api.patch("/team", {}), "team:write"),
        (lambda: api.patch("/members/1", {}), "member:write"),
        (lambda: api.delete("/members/1"), "member:write"),
        (lambda: api.post("/roles", {}), "member:write"),
        (lambda: api.put("/roles/admin", {}), "member:write"),
        (lambda: api.delete("/roles/admin"), "member:write"),
        (lambda: api.post("/invitations", {}), "member:write"),
        (lambda: api.post("/invitations/1/resend"), "member:write"),
        (lambda: api.delete("/invitations/1"), "member:write"),
        (lambda: api.post("/access-requests/1/grant", {}), "member:write"),
        (lambda: api.post("/access-requests/1/refuse"), "member:write"),
        (lambda: api.get("/access-keys"), "key:read"),
        (lambda: api.post("/access-keys", {}), "key:write"),
        (lambda: api.post("/access-keys/x/rotate", {}), "key:write"),
        (lambda: api.patch("/access-keys/x", {}), "key:write"),
        (lambda: api.delete("/access-keys/x"), "key:write"),
        (lambda: api.get("/audit"), "audit:read"),
    ):
        assert problem(call(), 403)["needs"] == needs


def test_an_own_role_may_what_it_says(team, served):
    own = TeamRole.objects.create(team=team.team, name="Auditor", actions=["audit:read"], created_at_ms=1)
    user = User.objects.create_user("aud@example.test", None)
    Membership.objects.create(team=team.team, user=user, role=OWN_ROLE, own_role=own)
    api = conforming(user, team.team)
    assert api.get("/audit").status_code == 200
    assert api.get("/me").json()["role"] == f"own:{own.pk}"
    problem(api.get("/streams"), 403)
