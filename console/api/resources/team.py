"""The token's own team, its quotas, and who it is that asks."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from apps.accounts.models import Team
from apps.accounts.permissions import ACTIONS
from apps.capacity.models import QuotaOverride
from apps.streams.quotas import QUOTAS, Per
from apps.teams import teams
from apps.teams.authority import held
from console import asker, calls
from console.api.paging import page_of, whole
from console.api.request import ApiRequest
from console.api.resources.tokens import token_shown
from console.api.view import ApiView

Json = dict[str, Any]

EXAMPLE: Final = {"environment": "staging", "notify": ["mailto:on-call@example.com"], "records_data_calls": True}


class TeamSerializer(serializers.Serializer[Any]):
    """A team."""

    slug = serializers.CharField(help_text="Its short name, as addresses have it.")
    name = serializers.CharField()
    account_id = serializers.CharField(help_text="What it is to AWS's clients: twelve digits.")
    environment = serializers.CharField()
    notify = serializers.ListField(child=serializers.CharField(), help_text="Where new alarms send their news.")
    records_data_calls = serializers.BooleanField(help_text="PutRecord, GetRecords … are in the audit log, too.")
    created_at_ms = serializers.IntegerField()


class ChangedTeamSerializer(serializers.Serializer[Any]):
    """What is to change of it. What is not said stays."""

    name = serializers.CharField(max_length=teams.NAME_CHARS_MAX, required=False)
    environment = serializers.CharField(
        max_length=40, required=False, help_text=f"One of {', '.join(teams.ENVIRONMENTS)}."
    )
    notify = serializers.ListField(
        child=serializers.CharField(max_length=teams.NOTIFY_CHARS_MAX), max_length=teams.NOTIFY_MAX, required=False
    )
    records_data_calls = serializers.BooleanField(required=False)


class QuotaSerializer(serializers.Serializer[Any]):
    """How much of something a team may have, or how often."""

    name = serializers.CharField()
    limit = serializers.IntegerField()
    default = serializers.IntegerField()  # type: ignore[assignment]  # the metaclass takes it away
    per = serializers.ChoiceField([per.value for per in Per])
    means = serializers.CharField()


class PersonSerializer(serializers.Serializer[Any]):
    """Whom the token speaks for."""

    email = serializers.EmailField()
    name = serializers.CharField(allow_blank=True)


class MeSerializer(serializers.Serializer[Any]):
    """Who asks."""

    person = PersonSerializer()
    team = TeamSerializer()
    member = serializers.IntegerField(help_text="The member's id.")
    role = serializers.CharField(help_text="As `admin`, or `own:12`.")
    actions = serializers.ListField(
        child=serializers.ChoiceField(list(ACTIONS)),
        help_text="What the token may do: its scopes, as far as the role may.",
    )
    token = serializers.CharField(help_text="The token's id.")
    expires_at_ms = serializers.IntegerField(allow_null=True, help_text="When the token ends; null: never.")


class OneTeam(ApiView):
    """The team."""

    tag = "Team"
    needs: ClassVar = {"GET": "team:read", "PATCH": "team:write"}
    names: ClassVar = {"GET": "getTeam", "PATCH": "updateTeam"}
    examples: ClassVar = {"PATCH": EXAMPLE}

    @extend_schema(responses=TeamSerializer)
    def get(self, request: ApiRequest) -> Response:
        """The team that the token is of."""
        return Response(_shown(request.team))

    @extend_schema(request=ChangedTeamSerializer, responses=TeamSerializer)
    def patch(self, request: ApiRequest) -> Response:
        """Change its settings. Transferring and deleting a team is for people, in the console."""
        given = self.read(request, ChangedTeamSerializer)
        by, before = asker.by(request), request.team
        with transaction.atomic():
            wanted = [given.get(name, getattr(before, name)) for name in ("name", "environment", "notify")]
            teams.update(by, *wanted, allow_private=calls.runtime().config.outgoing_private)
            if "records_data_calls" in given:
                teams.record_data_calls(by, on=given["records_data_calls"])
        return Response(_shown(Team.objects.get(pk=before.pk)))


class Quotas(ApiView):
    """The team's limits."""

    tag = "Team"
    needs: ClassVar = {"GET": "team:read"}
    names: ClassVar = {"GET": "listQuotas"}

    @extend_schema(responses=page_of(QuotaSerializer))
    def get(self, request: ApiRequest) -> Response:
        """Every quota with the limit that holds for the team. Whoever runs the installation changes them."""
        self.query(request, serializers.Serializer)
        changed = dict(QuotaOverride.objects.filter(team=request.team).values_list("name", "value"))
        region = calls.runtime().config.region
        items = [
            {
                "name": quota.name,
                "limit": changed.get(quota.name, quota.default_in(region)),
                "default": quota.default_in(region),
                "per": quota.per.value,
                "means": quota.means,
            }
            for quota in QUOTAS.values()
        ]
        return Response(whole(items))


class Me(ApiView):
    """The asker."""

    tag = "Me"
    needs: ClassVar = {"GET": ""}
    names: ClassVar = {"GET": "getMe"}

    @extend_schema(responses=MeSerializer)
    def get(self, request: ApiRequest) -> Response:
        """Whom the token speaks for, of which team, and what it may do there."""
        self.query(request, serializers.Serializer)
        return Response(
            {
                "person": {"email": request.user.email, "name": request.user.name},
                "team": _shown(request.team),
                "member": request.membership.pk,
                "role": held(request.membership).key,
                "actions": sorted(request.actions),
                "token": request.auth.public_id,
                "expires_at_ms": token_shown(request.auth, calls.now_ms())["expires_at_ms"],
            }
        )


def _shown(team: Team) -> Json:
    return {
        "slug": team.slug,
        "name": team.name,
        "account_id": team.account_id,
        "environment": team.environment,
        "notify": list(team.notify),
        "records_data_calls": teams.records_data_calls(team),
        "created_at_ms": team.created_at_ms,
    }
