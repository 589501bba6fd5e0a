"""The seed document: what the page of the ECR client says, word for word, of calls and answers."""

from __future__ import annotations

from typing import Final, NamedTuple


class Syntax(NamedTuple):
    """The Request Syntax and the Response Syntax of an operation."""

    request: str
    response: str


class Example(NamedTuple):
    """A call, and the output that the page expects of it."""

    operation: str
    call: str
    output: str


METHODS: Final = [
    "batch_check_layer_availability",
    "batch_delete_image",
    "batch_get_image",
    "can_paginate",
    "complete_layer_upload",
    "create_repository",
    "delete_repository",
    "delete_repository_policy",
    "describe_images",
    "describe_repositories",
    "generate_presigned_url",
    "get_authorization_token",
    "get_download_url_for_layer",
    "get_paginator",
    "get_repository_policy",
    "get_waiter",
    "initiate_layer_upload",
    "list_images",
    "put_image",
    "set_repository_policy",
    "upload_layer_part",
]

OPERATIONS: Final = {
    "batch_check_layer_availability": Syntax(
        """
response = client.batch_check_layer_availability(
registryId='string',
repositoryName='string',
layerDigests=[
'string',
]
)
""",
        """
{
'layers': [
{
'layerDigest': 'string',
'layerAvailability': 'AVAILABLE'|'UNAVAILABLE',
'layerSize': 123,
'mediaType': 'string'
},
],
'failures': [
{
'layerDigest': 'string',
'failureCode': 'InvalidLayerDigest'|'MissingLayerDigest',
'failureReason': 'string'
},
]
}
""",
    ),
    "batch_delete_image": Syntax(
        """
response = client.batch_delete_image(
registryId='string',
repositoryName='string',
imageIds=[
{
'imageDigest': 'string',
'imageTag': 'string'
},
]
)
""",
        """
{
'imageIds': [
{
'imageDigest': 'string',
'imageTag': 'string'
},
],
'failures': [
{
'imageId': {
'imageDigest': 'string',
'imageTag': 'string'
},
'failureCode': 'InvalidImageDigest'|'InvalidImageTag'|'ImageTagDoesNotMatchDigest'|'ImageNotFound'|'MissingDigestAndTag',
'failureReason': 'string'
},
]
}
""",
    ),
    "batch_get_image": Syntax(
        """
response = client.batch_get_image(
registryId='string',
repositoryName='string',
imageIds=[
{
'imageDigest': 'string',
'imageTag': 'string'
},
],
acceptedMediaTypes=[
'string',
]
)
""",
        """
{
'images': [
{
'registryId': 'string',
'repositoryName': 'string',
'imageId': {
'imageDigest': 'string',
'imageTag': 'string'
},
'imageManifest': 'string'
},
],
'failures': [
{
'imageId': {
'imageDigest': 'string',
'imageTag': 'string'
},
'failureCode': 'InvalidImageDigest'|'InvalidImageTag'|'ImageTagDoesNotMatchDigest'|'ImageNotFound'|'MissingDigestAndTag',
'failureReason': 'string'
},
]
}
""",
    ),
    "complete_layer_upload": Syntax(
        """
response = client.complete_layer_upload(
registryId='string',
repositoryName='string',
uploadId='string',
layerDigests=[
'string',
]
)
""",
        """
{
'registryId': 'string',
'repositoryName': 'string',
'uploadId': 'string',
'layerDigest': 'string'
}
""",
    ),
    "create_repository": Syntax(
        """
response = client.create_repository(
repositoryName='string'
)
""",
        """
{
'repository': {
'repositoryArn': 'string',
'registryId': 'string',
'repositoryName': 'string',
'repositoryUri': 'string',
'createdAt': datetime(2015, 1, 1)
}
}
""",
    ),
    "delete_repository": Syntax(
        """
response = client.delete_repository(
registryId='string',
repositoryName='string',
force=True|False
)
""",
        """
{
'repository': {
'repositoryArn': 'string',
'registryId': 'string',
'repositoryName': 'string',
'repositoryUri': 'string',
'createdAt': datetime(2015, 1, 1)
}
}
""",
    ),
    "delete_repository_policy": Syntax(
        """
response = client.delete_repository_policy(
registryId='string',
repositoryName='string'
)
""",
        """
{
'registryId': 'string',
'repositoryName': 'string',
'policyText': 'string'
}
""",
    ),
    "describe_images": Syntax(
        """
response = client.describe_images(
registryId='string',
repositoryName='string',
imageIds=[
{
'imageDigest': 'string',
'imageTag': 'string'
},
],
nextToken='string',
maxResults=123,
filter={
'tagStatus': 'TAGGED'|'UNTAGGED'
}
)
""",
        """
{
'imageDetails': [
{
'registryId': 'string',
'repositoryName': 'string',
'imageDigest': 'string',
'imageTags': [
'string',
],
'imageSizeInBytes': 123,
'imagePushedAt': datetime(2015, 1, 1)
},
],
'nextToken': 'string'
}
""",
    ),
    "describe_repositories": Syntax(
        """
response = client.describe_repositories(
registryId='string',
repositoryNames=[
'string',
],
nextToken='string',
maxResults=123
)
""",
        """
{
'repositories': [
{
'repositoryArn': 'string',
'registryId': 'string',
'repositoryName': 'string',
'repositoryUri': 'string',
'createdAt': datetime(2015, 1, 1)
},
],
'nextToken': 'string'
}
""",
    ),
    "get_authorization_token": Syntax(
        """
response = client.get_authorization_token(
registryIds=[
'string',
]
)
""",
        """
{
'authorizationData': [
{
'authorizationToken': 'string',
'expiresAt': datetime(2015, 1, 1),
'proxyEndpoint': 'string'
},
]
}
""",
    ),
    "get_download_url_for_layer": Syntax(
        """
response = client.get_download_url_for_layer(
registryId='string',
repositoryName='string',
layerDigest='string'
)
""",
        """
{
'downloadUrl': 'string',
'layerDigest': 'string'
}
""",
    ),
    "get_repository_policy": Syntax(
        """
response = client.get_repository_policy(
registryId='string',
repositoryName='string'
)
""",
        """
{
'registryId': 'string',
'repositoryName': 'string',
'policyText': 'string'
}
""",
    ),
    "initiate_layer_upload": Syntax(
        """
response = client.initiate_layer_upload(
registryId='string',
repositoryName='string'
)
""",
        """
{
'uploadId': 'string',
'partSize': 123
}
""",
    ),
    "list_images": Syntax(
        """
response = client.list_images(
registryId='string',
repositoryName='string',
nextToken='string',
maxResults=123,
filter={
'tagStatus': 'TAGGED'|'UNTAGGED'
}
)
""",
        """
{
'imageIds': [
{
'imageDigest': 'string',
'imageTag': 'string'
},
],
'nextToken': 'string'
}
""",
    ),
    "put_image": Syntax(
        """
response = client.put_image(
registryId='string',
repositoryName='string',
imageManifest='string',
imageTag='string'
)
""",
        """
{
'image': {
'registryId': 'string',
'repositoryName': 'string',
'imageId': {
'imageDigest': 'string',
'imageTag': 'string'
},
'imageManifest': 'string'
}
}
""",
    ),
    "set_repository_policy": Syntax(
        """
response = client.set_repository_policy(
registryId='string',
repositoryName='string',
policyText='string',
force=True|False
)
""",
        """
{
'registryId': 'string',
'repositoryName': 'string',
'policyText': 'string'
}
""",
    ),
    "upload_layer_part": Syntax(
        """
response = client.upload_layer_part(
registryId='string',
repositoryName='string',
uploadId='string',
partFirstByte=123,
partLastByte=123,
layerPartBlob=b'bytes'
)
""",
        """
{
'registryId': 'string',
'repositoryName': 'string',
'uploadId': 'string',
'lastByteReceived': 123
}
""",
    ),
}

PAGINATORS: Final = {
    "describe_images": Syntax(
        """
response_iterator = paginator.paginate(
registryId='string',
repositoryName='string',
imageIds=[
{
'imageDigest': 'string',
'imageTag': 'string'
},
],
filter={
'tagStatus': 'TAGGED'|'UNTAGGED'
},
PaginationConfig={
'MaxItems': 123,
'PageSize': 123,
'StartingToken': 'string'
}
)
""",
        """
{
'imageDetails': [
{
'registryId': 'string',
'repositoryName': 'string',
'imageDigest': 'string',
'imageTags': [
'string',
],
'imageSizeInBytes': 123,
'imagePushedAt': datetime(2015, 1, 1)
},
],
'NextToken': 'string'
}
""",
    ),
    "describe_repositories": Syntax(
        """
response_iterator = paginator.paginate(
registryId='string',
repositoryNames=[
'string',
],
PaginationConfig={
'MaxItems': 123,
'PageSize': 123,
'StartingToken': 'string'
}
)
""",
        """
{
'repositories': [
{
'repositoryArn': 'string',
'registryId': 'string',
'repositoryName': 'string',
'repositoryUri': 'string',
'createdAt': datetime(2015, 1, 1)
},
],
'NextToken': 'string'
}
""",
    ),
    "list_images": Syntax(
        """
response_iterator = paginator.paginate(
registryId='string',
repositoryName='string',
filter={
'tagStatus': 'TAGGED'|'UNTAGGED'
},
PaginationConfig={
'MaxItems': 123,
'PageSize': 123,
'StartingToken': 'string'
}
)
""",
        """
{
'imageIds': [
{
'imageDigest': 'string',
'imageTag': 'string'
},
],
'NextToken': 'string'
}
""",
    ),
}

EXAMPLES: Final = (
    Example(
        "batch_delete_image",
        """
response = client.batch_delete_image(
imageIds=[
{
'imageTag': 'precise',
},
],
repositoryName='ubuntu',
)
""",
        """
{
'failures': [
],
'imageIds': [
{
'imageDigest': 'sha256:examplee6d1e504117a17000003d3753086354a38375961f2e665416ef4b1b2f',
'imageTag': 'precise',
},
],
'ResponseMetadata': {
'...': '...',
},
}
""",
    ),
    Example(
        "batch_get_image",
        """
response = client.batch_get_image(
imageIds=[
{
'imageTag': 'precise',
},
],
repositoryName='ubuntu',
)
""",
        r"""
{
'failures': [
],
'images': [
{
'imageId': {
'imageDigest': 'sha256:example76bdff6d83a09ba2a818f0d00000063724a9ac3ba5019c56f74ebf42a',
'imageTag': 'precise',
},
'imageManifest': '{\n "schemaVersion": 1,\n "name": "ubuntu",\n "tag": "precise",\n...',
'registryId': '244698725403',
'repositoryName': 'ubuntu',
},
],
'ResponseMetadata': {
'...': '...',
},
}
""",
    ),
    Example(
        "create_repository",
        """
response = client.create_repository(
repositoryName='project-a/nginx-web-app',
)
""",
        """
{
'repository': {
'registryId': '012345678901',
'repositoryArn': 'arn:aws:ecr:us-west-2:012345678901:repository/project-a/nginx-web-app',
'repositoryName': 'project-a/nginx-web-app',
},
'ResponseMetadata': {
'...': '...',
},
}
""",
    ),
    Example(
        "delete_repository",
        """
response = client.delete_repository(
force=True,
repositoryName='ubuntu',
)
""",
        """
{
'repository': {
'registryId': '012345678901',
'repositoryArn': 'arn:aws:ecr:us-west-2:012345678901:repository/ubuntu',
'repositoryName': 'ubuntu',
},
'ResponseMetadata': {
'...': '...',
},
}
""",
    ),
    Example(
        "delete_repository_policy",
        """
response = client.delete_repository_policy(
repositoryName='ubuntu',
)
""",
        """
{
'policyText': '{ ... }',
'registryId': '012345678901',
'repositoryName': 'ubuntu',
'ResponseMetadata': {
'...': '...',
},
}
""",
    ),
    Example(
        "describe_repositories",
        """
response = client.describe_repositories(
)
""",
        """
{
'repositories': [
{
'registryId': '012345678910',
'repositoryArn': 'arn:aws:ecr:us-west-2:012345678910:repository/ubuntu',
'repositoryName': 'ubuntu',
},
{
'registryId': '012345678910',
'repositoryArn': 'arn:aws:ecr:us-west-2:012345678910:repository/test',
'repositoryName': 'test',
},
],
'ResponseMetadata': {
'...': '...',
},
}
""",
    ),
    Example(
        "get_authorization_token",
        """
response = client.get_authorization_token(
)
""",
        """
{
'authorizationData': [
{
'authorizationToken': 'QVdTOkN...',
'expiresAt': datetime(2016, 8, 11, 21, 44, 52, 3, 224, 0),
'proxyEndpoint': 'https://012345678901.dkr.ecr.us-west-2.amazonaws.com',
},
],
'ResponseMetadata': {
'...': '...',
},
}
""",
    ),
    Example(
        "get_repository_policy",
        """
response = client.get_repository_policy(
repositoryName='ubuntu',
)
""",
        r"""
{
'policyText': '{\n "Version" : "2008-10-17",\n "Statement" : [ {\n "Sid" : "new statement",\n "Effect" : "Allow",\n "Principal" : {\n "AWS" : "arn:aws:iam::012345678901:role/CodeDeployDemo"\n },\n"Action" : [ "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage", "ecr:BatchCheckLayerAvailability" ]\n } ]\n}',
'registryId': '012345678901',
'repositoryName': 'ubuntu',
'ResponseMetadata': {
'...': '...',
},
}
""",
    ),
    Example(
        "list_images",
        """
response = client.list_images(
repositoryName='ubuntu',
)
""",
        """
{
'imageIds': [
{
'imageDigest': 'sha256:764f63476bdff6d83a09ba2a818f0d35757063724a9ac3ba5019c56f74ebf42a',
'imageTag': 'precise',
},
],
'ResponseMetadata': {
'...': '...',
},
}
""",
    ),
)
