"""The audit log: list, one entry with what it changed, following, files, saved views, the tabs Activity."""
