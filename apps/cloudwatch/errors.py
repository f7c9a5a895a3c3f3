"""The errors of CloudWatch's API, under the names of the model's shapes (apps/wire gives each protocol its own)."""

from __future__ import annotations

from apps.base.errors import ServiceError


class InvalidParameterValueException(ServiceError):
    """A value that this parameter cannot have."""

    code = "InvalidParameterValueException"


class InvalidParameterCombinationException(ServiceError):
    """Each parameter is fine, but not all together."""

    code = "InvalidParameterCombinationException"


class MissingRequiredParameterException(ServiceError):
    """A parameter is needed beside the others."""

    code = "MissingRequiredParameterException"


class LimitExceededFault(ServiceError):
    """A quota of the team is used up."""

    code = "LimitExceededFault"


class ResourceNotFound(ServiceError):
    """No such alarm. HTTP 404."""

    code = "ResourceNotFound"
    status = 404


class ResourceNotFoundException(ServiceError):
    """No such resource, by its ARN. HTTP 404."""

    code = "ResourceNotFoundException"
    status = 404


class InvalidFormatFault(ServiceError):
    """StateReasonData is no JSON."""

    code = "InvalidFormatFault"


class InvalidNextToken(ServiceError):
    """A NextToken that was not given out for this request."""

    code = "InvalidNextToken"

    def __init__(self) -> None:
        super().__init__("The next token that was specified is invalid.")


class DashboardInvalidInputError(ServiceError):
    """A dashboard that cannot be kept; dashboardValidationMessages say where."""

    code = "DashboardInvalidInputError"


class DashboardNotFoundError(ServiceError):
    """No such dashboard. HTTP 404."""

    code = "DashboardNotFoundError"
    status = 404
