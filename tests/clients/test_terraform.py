"""
What the AWS provider of Terraform and OpenTofu asks, in its order: made, read, changed, destroyed.

The provider itself is not run. Its calls are replayed with boto3, and what a
read gives is flattened as the provider flattens it: where that differs from
what was configured, a second plan would show a change that nobody made.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.aws.kit import refusal
from tests.servers import ACCOUNT

if TYPE_CHECKING:
    from tests.servers import Server

Tags = dict[str, str]
REGISTRY = "terraform-1"


@pytest.fixture
def client(server: Server) -> Any:
    """A client of a registry whose policy and templates nobody else changes."""
    return server.client(region_name=REGISTRY)


def pairs(tags: Tags) -> list[dict[str, str]]:
    """Return tags as ECR takes them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


# --- aws_ecr_repository -----------------------------------------------------------


@dataclass
class Repository:
    """A resource's configuration, with the provider's defaults."""

    name: str
    image_tag_mutability: str = "MUTABLE"
    filters: list[str] = field(default_factory=list)
    scan_on_push: bool = False
    tags: Tags = field(default_factory=dict)

    @property
    def exclusions(self) -> dict[str, Any]:
        """The exclusion filters, which are sent only where there are any."""
        filters = [{"filter": pattern, "filterType": "WILDCARD"} for pattern in self.filters]
        return {"imageTagMutabilityExclusionFilters": filters} if filters else {}


def create(client: Any, wanted: Repository) -> None:
    """Create with everything that is configured."""
    client.create_repository(
        repositoryName=wanted.name,
        imageTagMutability=wanted.image_tag_mutability,
        encryptionConfiguration={"encryptionType": "AES256"},
        imageScanningConfiguration={"scanOnPush": wanted.scan_on_push},
        **wanted.exclusions,
        **({"tags": pairs(wanted.tags)} if wanted.tags else {}),
    )


def read(client: Any, name: str) -> Repository:
    """Describe, list the tags, and flatten."""
    (found,) = client.describe_repositories(repositoryNames=[name])["repositories"]
    tags = client.list_tags_for_resource(resourceArn=found["repositoryArn"])["tags"]
    assert found["registryId"] == ACCOUNT
    assert found["repositoryUri"].endswith(f"/{name}")
    assert found["encryptionConfiguration"] == {"encryptionType": "AES256"}
    return Repository(
        name=found["repositoryName"],
        image_tag_mutability=found["imageTagMutability"],
        filters=[item["filter"] for item in found.get("imageTagMutabilityExclusionFilters", [])],
        scan_on_push=found["imageScanningConfiguration"]["scanOnPush"],
        tags={tag["Key"]: tag["Value"] for tag in tags},
    )


def update(client: Any, old: Repository, new: Repository) -> None:
    """Send only what changed, each in its own call; tags that go before tags that come."""
    where = {"repositoryName": new.name, "registryId": ACCOUNT}
    if (old.image_tag_mutability, old.filters) != (new.image_tag_mutability, new.filters):
        client.put_image_tag_mutability(**where, imageTagMutability=new.image_tag_mutability, **new.exclusions)
    if old.scan_on_push != new.scan_on_push:
        setting = {"scanOnPush": new.scan_on_push}
        client.put_image_scanning_configuration(**where, imageScanningConfiguration=setting)
    arn = f"arn:aws:ecr:{REGISTRY}:{ACCOUNT}:repository/{new.name}"
    if gone := sorted(set(old.tags) - set(new.tags)):
        client.untag_resource(resourceArn=arn, tagKeys=gone)
    if come := {key: value for key, value in new.tags.items() if old.tags.get(key) != value}:
        client.tag_resource(resourceArn=arn, tags=pairs(come))


def destroy(client: Any, name: str) -> None:
    """Delete, and look until it is gone."""
    client.delete_repository(repositoryName=name, registryId=ACCOUNT, force=False)
    refusal(client, "RepositoryNotFoundException", "describe_repositories", repositoryNames=[name])


def test_a_repository_does_not_drift(client: Any, name: str) -> None:
    """After each apply two reads give exactly what is configured; destroyed, it is gone, and so is what is read."""
    states = [
        Repository(name),
        Repository(name, "IMMUTABLE", tags={"team": "a", "env": "dev"}),
        Repository(name, "IMMUTABLE_WITH_EXCLUSION", ["latest", "dev-*"], scan_on_push=True, tags={"team": "b"}),
        Repository(name, "MUTABLE_WITH_EXCLUSION", ["v*"], scan_on_push=True, tags={"cost": ""}),
        Repository(name),
    ]
    create(client, states[0])
    for old, new in zip([states[0], *states], states, strict=False):
        update(client, old, new)
        assert read(client, name) == new
        update(client, new, read(client, name))
        assert read(client, name) == new
    destroy(client, name)
    refusal(client, "RepositoryNotFoundException", "delete_repository", repositoryName=name, force=False)

    create(client, states[2])
    assert read(client, name) == states[2]


# --- aws_ecr_repository_policy, aws_ecr_registry_policy, aws_ecr_lifecycle_policy ---


def statement(sid: str, action: str) -> str:
    """Return a repository policy, as ``jsonencode`` writes it."""
    who = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    allowed = {"Action": [action], "Effect": "Allow", "Principal": who, "Sid": sid}
    return json.dumps({"Statement": [allowed], "Version": "2012-10-17"}, separators=(",", ":"), sort_keys=True)


def test_a_repository_policy_does_not_drift(client: Any, name: str) -> None:
    """The policy that is read is the one that was put, also after it was put again; deleting it twice is told."""
    client.create_repository(repositoryName=name)
    refusal(client, "RepositoryPolicyNotFoundException", "get_repository_policy", repositoryName=name)
    for text in (
        statement("a", "ecr:BatchGetImage"),
        statement("b", "ecr:ListImages"),
        statement("b", "ecr:ListImages"),
    ):
        client.set_repository_policy(repositoryName=name, policyText=text)
        for _ in range(2):
            found = client.get_repository_policy(repositoryName=name)
            assert (found["registryId"], found["repositoryName"]) == (ACCOUNT, name)
            assert json.loads(found["policyText"]) == json.loads(text)
    where = {"repositoryName": name, "registryId": ACCOUNT}
    client.delete_repository_policy(**where)
    refusal(client, "RepositoryPolicyNotFoundException", "delete_repository_policy", **where)


def test_a_registry_policy_does_not_drift(client: Any) -> None:
    """The same of the registry's own policy."""
    refusal(client, "RegistryPolicyNotFoundException", "get_registry_policy")
    for sid in ("a", "b", "b"):
        document = json.loads(statement(sid, "ecr:ReplicateImage"))
        document["Statement"][0]["Resource"] = [f"arn:aws:ecr:{REGISTRY}:{ACCOUNT}:repository/*"]
        client.put_registry_policy(policyText=json.dumps(document))
        for _ in range(2):
            found = client.get_registry_policy()
            assert (found["registryId"], json.loads(found["policyText"])) == (ACCOUNT, document)
    client.delete_registry_policy()
    refusal(client, "RegistryPolicyNotFoundException", "delete_registry_policy")


RULES = {
    "rules": [
        {
            "rulePriority": 1,
            "description": "Keep last 30 images",
            "selection": {
                "tagStatus": "tagged",
                "tagPatternList": ["prod*"],
                "countType": "imageCountMoreThan",
                "countNumber": 30,
            },
            "action": {"type": "expire"},
        }
    ]
}


def test_a_lifecycle_policy_does_not_drift(client: Any, name: str) -> None:
    """The same of a lifecycle policy, whose registry and repository are read back too."""
    client.create_repository(repositoryName=name)
    for number in (30, 20, 20):
        RULES["rules"][0]["selection"]["countNumber"] = number  # type: ignore[index]
        client.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=json.dumps(RULES))
        for _ in range(2):
            found = client.get_lifecycle_policy(repositoryName=name)
            assert (found["registryId"], found["repositoryName"]) == (ACCOUNT, name)
            assert json.loads(found["lifecyclePolicyText"]) == RULES
    where = {"repositoryName": name, "registryId": ACCOUNT}
    client.delete_lifecycle_policy(**where)
    refusal(client, "LifecyclePolicyNotFoundException", "get_lifecycle_policy", repositoryName=name)


# --- aws_ecr_repository_creation_template -------------------------------------------


def template(client: Any, prefix: str) -> dict[str, Any]:
    """Read all pages for one prefix, which must give one template, and leave out what is no configuration."""
    pages = client.get_paginator("describe_repository_creation_templates").paginate(prefixes=[prefix])
    (found,) = [item for page in pages for item in page["repositoryCreationTemplates"]]
    return {key: value for key, value in found.items() if key not in {"createdAt", "updatedAt"}}


def test_a_creation_template_does_not_drift(client: Any, name: str) -> None:
    """Each update sends what changed, and an empty text for what is no more configured; reads give the whole."""
    base: dict[str, Any] = {
        "prefix": name,
        "appliedFor": ["CREATE_ON_PUSH"],
        "imageTagMutability": "MUTABLE",
        "encryptionConfiguration": {"encryptionType": "AES256"},
    }
    full = {
        "description": "an example",
        "customRoleArn": f"arn:aws:iam::{ACCOUNT}:role/example",
        "repositoryPolicy": statement("a", "ecr:BatchGetImage"),
        "lifecyclePolicy": json.dumps(RULES, separators=(",", ":")),
        "resourceTags": pairs({"env": "dev"}),
    }
    client.create_repository_creation_template(**base)
    assert template(client, name) == base

    client.update_repository_creation_template(prefix=name, **full)
    for _ in range(2):
        assert template(client, name) == base | full
    filters = [{"filter": "latest", "filterType": "WILDCARD"}]
    mode = {"imageTagMutability": "IMMUTABLE_WITH_EXCLUSION", "imageTagMutabilityExclusionFilters": filters}
    client.update_repository_creation_template(prefix=name, **mode)
    assert template(client, name) == base | full | mode

    nothing = {
        "description": "",
        "customRoleArn": "",
        "repositoryPolicy": "",
        "lifecyclePolicy": "",
        "resourceTags": [],
    }
    client.update_repository_creation_template(prefix=name, imageTagMutability="MUTABLE", **nothing)
    for _ in range(2):
        assert template(client, name) == base

    client.delete_repository_creation_template(prefix=name)
    refusal(client, "TemplateNotFoundException", "delete_repository_creation_template", prefix=name)
