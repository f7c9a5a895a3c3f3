"""A request as the views of the API get it."""

from __future__ import annotations

from rest_framework.request import Request

from apps.accounts.models import ApiToken, Membership, Team, User


class ApiRequest(Request):
    """What authentication.py and view.py set. meter_key: what usage is booked under, and the audit trail's key."""

    user: User
    auth: ApiToken
    team: Team
    membership: Membership
    actions: frozenset[str]
    meter_key: str
    request_id: str
