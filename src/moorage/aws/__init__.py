"""The AWS door: ECR's JSON 1.1 protocol and STS GetCallerIdentity, signed with SigV4."""
