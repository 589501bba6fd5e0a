"""The AWS CLI once for each operation that the first year of ECR did not have, and the effect of each."""

from __future__ import annotations

import ast
import base64
import json
import urllib.request
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore import xform_name

from moorage.aws.table import OPERATIONS
from tests import content
from tests.servers import ACCOUNT, REGION

if TYPE_CHECKING:
    from tests.clients.tools import Tool
    from tests.servers import Server

MODULES = ("test_aws_cli.py", "test_aws_cli_operations.py")
KEEP_ONE = {
    "rulePriority": 1,
    "description": "only the newest",
    "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 1},
    "action": {"type": "expire"},
}
RULES = json.dumps({"rules": [KEEP_ONE]}, separators=(",", ":"))
ROLE = f"arn:aws:iam::{ACCOUNT}:role/mirror"


@pytest.fixture
def region() -> str:
    """A registry that nobody else uses."""
    return f"cli-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def there(aws: Tool, region: str) -> Tool:
    """The AWS CLI at that registry."""
    return aws.with_environment(AWS_REGION=region, AWS_DEFAULT_REGION=region)


@pytest.fixture
def client(server: Server, region: str) -> Any:
    """A boto3 client of that registry."""
    return server.client(region_name=region)


@pytest.fixture
def named(repository: str) -> tuple[str, str]:
    """The words that name the repository."""
    return "--repository-name", repository


def answer(aws: Tool, *words: str) -> Any:
    """Run ``aws ecr``; return its answer."""
    return json.loads(aws("ecr", *words))


def statement(**more: Any) -> str:
    """Return a policy that lets everybody pull manifests."""
    allow = {"Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage", **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [allow]})


def refused(call: Any, **arguments: Any) -> str:
    """Call what must be refused; return the code."""
    with pytest.raises(call.__self__.exceptions.ClientError) as caught:
        call(**arguments)
    code: str = caught.value.response["Error"]["Code"]
    return code


def test_every_operation_is_run() -> None:
    """No operation that works is left out of what is run here and in the older module."""
    said: set[str] = set()
    for module in MODULES:
        tree = ast.parse(Path(__file__).with_name(module).read_text())
        said |= {
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
    assert sorted({xform_name(operation, "-") for operation in OPERATIONS} - said) == []


# --- Lifecycle policies -----------------------------------------------------------


def test_a_lifecycle_policy_is_put(aws: Tool, ecr: Any, repository: str, named: tuple[str, str]) -> None:
    """``put-lifecycle-policy`` sets it."""
    assert answer(aws, "put-lifecycle-policy", *named, "--lifecycle-policy-text", RULES)["lifecyclePolicyText"] == RULES
    assert ecr.get_lifecycle_policy(repositoryName=repository)["lifecyclePolicyText"] == RULES


def test_a_lifecycle_policy_is_read(aws: Tool, ecr: Any, repository: str, named: tuple[str, str]) -> None:
    """``get-lifecycle-policy`` gives what was set."""
    ecr.put_lifecycle_policy(repositoryName=repository, lifecyclePolicyText=RULES)
    assert answer(aws, "get-lifecycle-policy", *named)["lifecyclePolicyText"] == RULES


def test_a_lifecycle_policy_is_removed(aws: Tool, ecr: Any, repository: str, named: tuple[str, str]) -> None:
    """``delete-lifecycle-policy`` leaves none."""
    ecr.put_lifecycle_policy(repositoryName=repository, lifecyclePolicyText=RULES)
    assert answer(aws, "delete-lifecycle-policy", *named)["lifecyclePolicyText"] == RULES
    assert refused(ecr.get_lifecycle_policy, repositoryName=repository) == "LifecyclePolicyNotFoundException"


def test_a_lifecycle_policy_is_previewed(aws: Tool, server: Server, repository: str, named: tuple[str, str]) -> None:
    """A preview is started, waited for and read; it names the image that would go."""
    old = content.push(server, repository, "v1")
    content.push(server, repository, "v2")
    begun = answer(aws, "start-lifecycle-policy-preview", *named, "--lifecycle-policy-text", RULES)
    assert begun["status"] == "IN_PROGRESS"
    aws("ecr", "wait", "lifecycle-policy-preview-complete", *named)
    preview = answer(aws, "get-lifecycle-policy-preview", *named)
    assert (preview["status"], preview["summary"]) == ("COMPLETE", {"expiringImageTotalCount": 1})
    assert [one["imageDigest"] for one in preview["previewResults"]] == [old.digest]


# --- Repositories -----------------------------------------------------------------


def test_tags_become_immutable(aws: Tool, ecr: Any, server: Server, repository: str, named: tuple[str, str]) -> None:
    """``put-image-tag-mutability``: another push to the tag is refused."""
    content.push(server, repository, "v1")
    other = content.push(server, repository, "v2").manifest.decode()
    aws("ecr", "put-image-tag-mutability", *named, "--image-tag-mutability", "IMMUTABLE")
    moving = {"repositoryName": repository, "imageManifest": other, "imageTag": "v1"}
    assert refused(ecr.put_image, **moving) == "ImageTagAlreadyExistsException"


def test_resource_tags(aws: Tool, ecr: Any, repository: str) -> None:
    """``tag-resource`` and ``untag-resource``, and what ``list-tags-for-resource`` tells between them."""
    arn = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{repository}"
    aws("ecr", "tag-resource", "--resource-arn", arn, "--tags", "Key=team,Value=a")
    listed = answer(aws, "list-tags-for-resource", "--resource-arn", arn)
    assert listed["tags"] == [{"Key": "team", "Value": "a"}]
    aws("ecr", "untag-resource", "--resource-arn", arn, "--tag-keys", "team")
    assert ecr.list_tags_for_resource(resourceArn=arn)["tags"] == []


def test_a_repository_policy_is_removed(aws: Tool, ecr: Any, repository: str, named: tuple[str, str]) -> None:
    """``delete-repository-policy`` leaves none."""
    ecr.set_repository_policy(repositoryName=repository, policyText=statement())
    assert json.loads(answer(aws, "delete-repository-policy", *named)["policyText"])["Statement"]
    assert refused(ecr.get_repository_policy, repositoryName=repository) == "RepositoryPolicyNotFoundException"


def test_scanning_of_a_repository(aws: Tool, ecr: Any, repository: str, named: tuple[str, str]) -> None:
    """``put-image-scanning-configuration`` shows where repositories are described."""
    aws("ecr", "put-image-scanning-configuration", *named, "--image-scanning-configuration", "scanOnPush=true")
    (described,) = ecr.describe_repositories(repositoryNames=[repository])["repositories"]
    assert described["imageScanningConfiguration"] == {"scanOnPush": True}


def test_scanning_of_repositories(aws: Tool, repository: str) -> None:
    """``batch-get-repository-scanning-configuration`` tells what holds for a repository, and which is not there."""
    words = ("--repository-names", repository, f"{repository}/absent")
    found = answer(aws, "batch-get-repository-scanning-configuration", *words)
    assert [one["scanFrequency"] for one in found["scanningConfigurations"]] == ["MANUAL"]
    assert [one["failureCode"] for one in found["failures"]] == ["REPOSITORY_NOT_FOUND"]


# --- Images -----------------------------------------------------------------------


def test_referrers_are_listed(aws: Tool, server: Server, repository: str, named: tuple[str, str]) -> None:
    """``list-image-referrers`` finds what refers to an image."""
    image = content.push(server, repository, "v1")
    about = content.descriptor(image.manifest, image.media_type)
    signature = content.push(server, repository, None, content.image(subject=about))
    listed = answer(aws, "list-image-referrers", *named, "--subject-id", f"imageDigest={image.digest}")
    assert [one["digest"] for one in listed["referrers"]] == [signature.digest]


def test_an_image_is_archived(aws: Tool, server: Server, repository: str, named: tuple[str, str]) -> None:
    """``update-image-storage-class``: it cannot be pulled."""
    image = content.push(server, repository, "v1")
    words = ("--image-id", f"imageDigest={image.digest}", "--target-storage-class", "ARCHIVE")
    assert answer(aws, "update-image-storage-class", *named, *words)["imageStatus"] == "ARCHIVED"
    assert server.request("GET", f"/v2/{repository}/manifests/v1").status == 404


def test_layers_are_looked_for(aws: Tool, server: Server, repository: str, named: tuple[str, str]) -> None:
    """``batch-check-layer-availability`` knows a layer that is there from one that is not."""
    image = content.push(server, repository, "v1")
    layer, absent = content.digest_of(image.layers[0]), content.digest_of(b"absent")
    found = answer(aws, "batch-check-layer-availability", *named, "--layer-digests", layer, absent)
    assert [one["layerAvailability"] for one in found["layers"]] == ["AVAILABLE", "UNAVAILABLE"]


def test_a_layer_is_downloaded(aws: Tool, server: Server, repository: str, named: tuple[str, str]) -> None:
    """``get-download-url-for-layer`` gives a URL that needs nothing else."""
    image = content.push(server, repository, "v1")
    words = ("--layer-digest", content.digest_of(image.layers[0]))
    url = answer(aws, "get-download-url-for-layer", *named, *words)["downloadUrl"]
    with urllib.request.urlopen(url) as response:  # noqa: S310 (a URL of the server under test)
        assert response.read() == image.layers[0]


# --- The registry -----------------------------------------------------------------


def test_an_authorization_token(aws: Tool, server: Server) -> None:
    """``get-authorization-token`` gives a token that the distribution door takes."""
    (given,) = answer(aws, "get-authorization-token")["authorizationData"]
    assert base64.b64decode(given["authorizationToken"]).startswith(b"AWS:")
    assert server.request("GET", "/v2/", token=given["authorizationToken"]).status == 200


def test_the_registry_is_described(there: Tool) -> None:
    """``describe-registry``: nothing is replicated."""
    described = answer(there, "describe-registry")
    assert described == {"registryId": ACCOUNT, "replicationConfiguration": {"rules": []}}


def test_a_registry_policy(there: Tool, client: Any) -> None:
    """``put-registry-policy`` and ``delete-registry-policy``, and what ``get-registry-policy`` tells between them."""
    text = statement(Resource="*")
    there("ecr", "put-registry-policy", "--policy-text", text)
    assert json.loads(answer(there, "get-registry-policy")["policyText"]) == json.loads(text)
    there("ecr", "delete-registry-policy")
    assert refused(client.get_registry_policy) == "RegistryPolicyNotFoundException"


def test_an_account_setting(there: Tool, client: Any) -> None:
    """``put-account-setting`` is what ``get-account-setting`` tells, and boto3."""
    there("ecr", "put-account-setting", "--name", "BLOB_MOUNTING", "--value", "DISABLED")
    told = answer(there, "get-account-setting", "--name", "BLOB_MOUNTING")
    assert told == {"name": "BLOB_MOUNTING", "value": "DISABLED"}
    assert client.get_account_setting(name="BLOB_MOUNTING")["value"] == "DISABLED"


def test_scanning_of_the_registry(there: Tool, client: Any) -> None:
    """``put-registry-scanning-configuration`` is what ``get-registry-scanning-configuration`` tells, and holds."""
    client.create_repository(repositoryName="prod/app")
    rule = {"scanFrequency": "SCAN_ON_PUSH", "repositoryFilters": [{"filter": "prod*", "filterType": "WILDCARD"}]}
    there("ecr", "put-registry-scanning-configuration", "--scan-type", "BASIC", "--rules", json.dumps([rule]))
    told = answer(there, "get-registry-scanning-configuration")["scanningConfiguration"]
    assert told == {"scanType": "BASIC", "rules": [rule]}
    held = client.batch_get_repository_scanning_configuration(repositoryNames=["prod/app"])["scanningConfigurations"]
    assert [one["scanFrequency"] for one in held] == ["SCAN_ON_PUSH"]


def test_pulls_that_leave_no_time(there: Tool, client: Any) -> None:
    """An exclusion is registered, listed and deregistered."""
    there("ecr", "register-pull-time-update-exclusion", "--principal-arn", ROLE)
    assert answer(there, "list-pull-time-update-exclusions")["pullTimeUpdateExclusions"] == [ROLE]
    there("ecr", "deregister-pull-time-update-exclusion", "--principal-arn", ROLE)
    assert client.list_pull_time_update_exclusions()["pullTimeUpdateExclusions"] == []


def test_a_creation_template(there: Tool, client: Any) -> None:
    """A template is made, changed and described, makes a repository, and is removed."""
    prefix = ("--prefix", "team")
    there("ecr", "create-repository-creation-template", *prefix, "--applied-for", "CREATE_ON_PUSH")
    there("ecr", "update-repository-creation-template", *prefix, "--image-tag-mutability", "IMMUTABLE")
    (told,) = answer(there, "describe-repository-creation-templates")["repositoryCreationTemplates"]
    assert (told["prefix"], told["imageTagMutability"]) == ("team", "IMMUTABLE")
    client.initiate_layer_upload(repositoryName="team/app")
    (made,) = client.describe_repositories()["repositories"]
    assert (made["repositoryName"], made["imageTagMutability"]) == ("team/app", "IMMUTABLE")
    there("ecr", "delete-repository-creation-template", *prefix)
    assert client.describe_repository_creation_templates()["repositoryCreationTemplates"] == []
