"""Makes a bucket with Object Lock, or tries to break the locks in it."""

import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

what, url, bucket = sys.argv[1:]
s3 = boto3.client(
    "s3",
    endpoint_url=url,
    aws_access_key_id="closer",
    aws_secret_access_key="only-for-tests",
    region_name="us-east-1",
    config=Config(s3={"addressing_style": "path"}),
)
if what == "make":
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    sys.exit()

versions = s3.list_object_versions(Bucket=bucket)["Versions"]
assert versions, "there is nothing in the bucket"
for version in versions:
    name = {"Bucket": bucket, "Key": version["Key"], "VersionId": version["VersionId"]}
    kept = s3.get_object_retention(**name)["Retention"]
    assert kept["Mode"] == "COMPLIANCE", kept
    sooner = {"Mode": "COMPLIANCE", "RetainUntilDate": version["LastModified"]}
    for attempt, call in [
        ("deleting", lambda: s3.delete_object(**name)),
        ("unlocking", lambda: s3.delete_object(**name, BypassGovernanceRetention=True)),
        ("shortening", lambda: s3.put_object_retention(**name, Retention=sooner)),
    ]:
        try:
            call()
        except ClientError as error:
            assert error.response["Error"]["Code"] in ("AccessDenied", "InvalidArgument"), error
        else:
            sys.exit(f"{version['Key']}: {attempt} it was let through")
    print(f"{version['Key']}: locked until {kept['RetainUntilDate']}, and nothing breaks it")
