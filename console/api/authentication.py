"""Who asks: `Authorization: Bearer tgt_…`, a token of one member of one team. Cookies are not read, so nothing is forged."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from knox.auth import TokenAuthentication
from knox.models import get_token_model
from rest_framework.exceptions import AuthenticationFailed, Throttled

from apps.accounts.models import ApiToken
from apps.base.units import MINUTE_MS
from apps.throttle.interface import Budget
from console import calls
from console.api.request import ApiRequest

UNKNOWN_PER_S, UNKNOWN_BURST = 0.5, 30
"""Of one address: so often it may come with a token that is none."""

SEEN_EVERY_MS = 5 * MINUTE_MS
"""How exact `last used` is: a look at the API must not be a write."""


class BearerToken(TokenAuthentication):
    """knox's, for tokens of a team: it sets request.team, membership, actions and meter_key. Expired tokens stay in the
    list, for people to see."""

    def authenticate(self, request: ApiRequest) -> tuple[Any, Any] | None:
        """The person and the token; None without the header. Raises AuthenticationFailed, Throttled."""
        try:
            found = super().authenticate(request)
        except (AuthenticationFailed, UnicodeDecodeError) as error:
            _count_unknown(request)
            raise AuthenticationFailed("The token is unknown, revoked or expired.") from error
        if found is not None:
            _enter(request, found[1])
        return found

    def authenticate_credentials(self, token: bytes) -> tuple[Any, Any]:
        """Raises AuthenticationFailed."""
        tokens = get_token_model().objects.select_related("user", "membership__team", "membership__own_role")
        user, found = super().authenticate_credentials(token)
        return user, tokens.get(pk=found.pk)

    def _cleanup_token(self, auth_token: ApiToken) -> bool:
        """True if it has expired, by the process's clock."""
        now = datetime.fromtimestamp(calls.now_ms() / 1_000, UTC)
        return auth_token.expiry is not None and auth_token.expiry <= now


def _enter(request: ApiRequest, token: ApiToken) -> None:
    membership = token.membership
    request.team, request.membership, request.actions = membership.team, membership, token.actions
    request.meter_key = token.public_id
    now_ms = calls.now_ms()
    if now_ms - (token.last_used_at_ms or 0) >= SEEN_EVERY_MS:
        address = calls.address(request)
        ApiToken.objects.filter(pk=token.pk).update(last_used_at_ms=now_ms, last_used_from=address)


def _count_unknown(request: ApiRequest) -> None:
    budget = Budget(UNKNOWN_PER_S, 0, UNKNOWN_BURST, 0)
    name = f"rest-unknown/{calls.address(request)}"
    if not calls.take(name, budget):
        raise Throttled(wait=1 / UNKNOWN_PER_S, detail="Too many requests with tokens that are none.")
