"""Operations of STS and IAM. sts.py and iam.py have the tables; what iam.py lists stands in the other files."""
