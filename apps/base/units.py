"""Units of size and time. Sizes are bytes, times are UTC milliseconds."""

KIB = 1024
MIB = 1024 * KIB

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

PAYLOAD_UNIT_BYTES = 25 * KIB
"""What AWS sells a PUT payload unit by: each record is rounded up to a multiple of 25 KiB."""
