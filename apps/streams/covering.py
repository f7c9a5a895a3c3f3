"""May this caller use the KMS key that covers a stream? As with AWS, who writes an encrypted stream needs
kms:GenerateDataKey for its key, and who reads it kms:Decrypt, beside the rights on the stream itself.

The default key, alias/aws/kinesis, asks nobody: AWS's own key policy lets everybody of the account use it by way of
Kinesis. Callers of other accounts are let in by the stream's resource policy alone, as keys have none here. The
stream's present key counts, for records that an earlier one covers too.
"""

from __future__ import annotations

from apps.access.policy.evaluation import Question, decide_once, denial
from apps.access.source import request_values, source_of
from apps.encryption.data_keys import EncryptedStream
from apps.encryption.errors import KMSAccessDeniedException
from apps.runtime import Call

TO_WRITE = "kms:GenerateDataKey"
TO_READ = "kms:Decrypt"
VIA_SERVICE = "kms:viaservice"


def check_key(call: Call, covered: EncryptedStream, action: str) -> None:
    """Raises KMSAccessDeniedException with AWS's text."""
    grants = call.principal.grants
    if grants is None or covered.by_default_key or grants.account_id != covered.account_id:
        return
    asked = Question(action, covered.key_arn, covered.account_id, {})
    values = request_values(grants.names, call, source_of(call), {}, None) if grants.names else {}
    values[VIA_SERVICE] = f"kinesis.{call.runtime.config.region}.amazonaws.com"
    reason = decide_once(grants, asked, values)
    if reason is not None:
        raise KMSAccessDeniedException(denial(grants, asked, reason))
