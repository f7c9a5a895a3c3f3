"""PutRecord and PutRecordBatch: the data plane of Direct PUT."""
