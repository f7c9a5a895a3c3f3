"""Who may do what, written down once more: the tests of addresses hold the product against this and not against itself."""

ROLE_OF = {"O": "owner", "A": "admin", "D": "developer", "N": "analyst", "B": "billing", "V": "viewer"}

GRID = {
    "stream:read": "OADNBV",
    "stream:create": "OAD",
    "stream:write": "OAD",
    "stream:reshard": "OAD",
    "stream:delete": "OAD",
    "stream:faults": "OA",
    "delivery:read": "OADNBV",
    "delivery:create": "OAD",
    "delivery:write": "OAD",
    "delivery:delete": "OAD",
    "record:read": "OADN",
    "record:write": "OAD",
    "alarm:read": "OADNBV",
    "alarm:write": "OADN",
    "key:read": "OAD",
    "key:write": "OAD",
    "token:write": "OADNB",
    "token:manage": "OA",
    "member:read": "OADNBV",
    "member:write": "OA",
    "audit:read": "OAD",
    "billing:read": "OANB",
    "billing:write": "OAB",
    "billing:enforce": "O",
    "team:read": "OADNBV",
    "team:write": "OA",
    "team:delete": "O",
}
"""Action to the initials of the roles that may do it."""


def may(role: str, action: str) -> bool:
    return role in {ROLE_OF[initial] for initial in GRID[action]}
