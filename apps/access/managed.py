"""The managed policies that AWS brings along and that concern what Tidegate has: by their ARNs, always there."""

from __future__ import annotations

import json
from typing import Any

PREFIX = "arn:aws:iam::aws:policy/"


def _document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def _allow(*actions: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": "*"}


AWS_MANAGED: dict[str, str] = {
    PREFIX + "AdministratorAccess": _document(_allow("*")),
    PREFIX + "PowerUserAccess": _document({"Effect": "Allow", "NotAction": ["iam:*"], "Resource": "*"}),
    PREFIX + "AmazonKinesisFullAccess": _document(_allow("kinesis:*")),
    PREFIX + "AmazonKinesisReadOnlyAccess": _document(_allow("kinesis:Get*", "kinesis:List*", "kinesis:Describe*")),
    PREFIX + "ReadOnlyAccess": _document(
        _allow(
            "kinesis:Get*", "kinesis:List*", "kinesis:Describe*", "kinesis:SubscribeToShard", "cloudwatch:Describe*",
            "cloudwatch:Get*", "cloudwatch:List*", "iam:Get*", "iam:List*", "kms:Describe*", "kms:Get*", "kms:List*",
            "glue:Check*", "glue:Get*", "glue:List*", "sts:GetAccessKeyInfo", "sts:GetCallerIdentity", "sts:GetSessionToken",
        )
    ),
    PREFIX + "CloudWatchFullAccess": _document(_allow("cloudwatch:*")),
    PREFIX + "CloudWatchReadOnlyAccess": _document(_allow("cloudwatch:Describe*", "cloudwatch:Get*", "cloudwatch:List*")),
    PREFIX + "IAMFullAccess": _document(_allow("iam:*")),
    PREFIX + "IAMReadOnlyAccess": _document(_allow("iam:Get*", "iam:List*")),
}  # fmt: skip
"""Documents by ARN; those parts of AWS's that speak of our services."""
