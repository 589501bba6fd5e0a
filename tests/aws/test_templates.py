"""Creation templates: made, changed, described, removed; what they do to repositories that a push makes."""

from __future__ import annotations

import base64
import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests import content
from tests.access import kit
from tests.aws.kit import CONSTRAINT, bare, pages, refusal
from tests.servers import ACCOUNT

if TYPE_CHECKING:
    from tests.servers import Server

POLICY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "ecr:ListImages"}],
    }
)
RULE = {
    "rulePriority": 1,
    "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 100},
    "action": {"type": "expire"},
}
RULES = json.dumps({"rules": [RULE]}, separators=(",", ":"))
PUSH = ["CREATE_ON_PUSH"]
CREATE, UPDATE, DELETE, DESCRIBE = (
    "create_repository_creation_template",
    "update_repository_creation_template",
    "delete_repository_creation_template",
    "describe_repository_creation_templates",
)


@pytest.fixture
def region() -> str:
    """A registry that nobody else uses."""
    return f"templates-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def client(server: Server, region: str) -> Any:
    """A client of that registry."""
    return server.client(region_name=region)


def described(client: Any, *prefixes: str) -> list[dict[str, Any]]:
    """Return templates."""
    found: list[dict[str, Any]] = client.describe_repository_creation_templates(prefixes=list(prefixes))[
        "repositoryCreationTemplates"
    ]
    return found


def begin(server: Server, region: str, name: str, **key: str) -> Any:
    """Begin an upload through the distribution door."""
    return server.request("POST", f"/v2/{name}/blobs/uploads/", token=server.token(region_name=region, **key))


def repository(client: Any, name: str) -> dict[str, Any]:
    """Return how a repository is described."""
    found: dict[str, Any] = client.describe_repositories(repositoryNames=[name])["repositories"][0]
    return found


# --- Made, changed, described, removed --------------------------------------------


def test_a_template_has_ecrs_defaults(client: Any) -> None:
    """What is not given has ECR's defaults, and what has none is not in the answer."""
    answer = bare(client.create_repository_creation_template(prefix="team", appliedFor=PUSH))

    template = answer["repositoryCreationTemplate"]
    assert answer["registryId"] == ACCOUNT
    assert template["createdAt"] == template["updatedAt"]
    assert {k: v for k, v in template.items() if not k.endswith("At")} == {
        "prefix": "team",
        "encryptionConfiguration": {"encryptionType": "AES256"},
        "imageTagMutability": "MUTABLE",
        "appliedFor": PUSH,
    }
    assert described(client, "team") == [template]


FULL: dict[str, Any] = {
    "prefix": "team/a",
    "description": "of team a",
    "encryptionConfiguration": {"encryptionType": "AES256"},
    "resourceTags": [{"Key": "env", "Value": "dev"}, {"Key": "team", "Value": "a"}],
    "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
    "imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": "latest*"}],
    "repositoryPolicy": POLICY,
    "lifecyclePolicy": RULES,
    "appliedFor": ["CREATE_ON_PUSH", "REPLICATION", "PULL_THROUGH_CACHE"],
    "customRoleArn": f"arn:aws:iam::{ACCOUNT}:role/creator",
}


def contents(template: dict[str, Any]) -> dict[str, Any]:
    """Return a template without its times."""
    return {key: value for key, value in template.items() if key not in {"createdAt", "updatedAt"}}


def test_a_template_is_described_as_it_was_made(client: Any) -> None:
    """Every member comes back as it was given."""
    made = client.create_repository_creation_template(**FULL)["repositoryCreationTemplate"]
    assert contents(made) == FULL
    assert described(client, "team/a") == [made]


def test_an_update_changes_what_it_names(client: Any) -> None:
    """Members that are not sent stay, an empty text or list takes away, and only the time of change moves."""
    made = client.create_repository_creation_template(**FULL)["repositoryCreationTemplate"]

    once = client.update_repository_creation_template(prefix="team/a", description="other")
    changed = once["repositoryCreationTemplate"]
    assert contents(changed) == FULL | {"description": "other"}
    assert (changed["createdAt"], changed["updatedAt"] > made["updatedAt"]) == (made["createdAt"], True)

    twice = client.update_repository_creation_template(
        prefix="team/a",
        description="",
        repositoryPolicy="",
        lifecyclePolicy="",
        customRoleArn="",
        resourceTags=[],
        appliedFor=PUSH,
    )["repositoryCreationTemplate"]
    kept = ("prefix", "encryptionConfiguration", "imageTagMutability", "imageTagMutabilityExclusionFilters")
    assert contents(twice) == {name: FULL[name] for name in kept} | {"appliedFor": PUSH}
    assert described(client, "team/a") == [twice]


def test_a_mode_comes_with_its_filters(client: Any) -> None:
    """Another mode drops the filters of the one before; filters alone are held to the mode that there is."""
    client.create_repository_creation_template(**FULL)
    other = [{"filterType": "WILDCARD", "filter": "x"}]

    answer = client.update_repository_creation_template(prefix="team/a", imageTagMutabilityExclusionFilters=other)
    assert answer["repositoryCreationTemplate"]["imageTagMutabilityExclusionFilters"] == other
    answer = client.update_repository_creation_template(prefix="team/a", imageTagMutability="IMMUTABLE")
    assert "imageTagMutabilityExclusionFilters" not in answer["repositoryCreationTemplate"]
    call = {"prefix": "team/a", "imageTagMutabilityExclusionFilters": other}
    assert "are not allowed" in refusal(client, "InvalidParameterException", UPDATE, **call)
    call = {"prefix": "team/a", "imageTagMutability": "MUTABLE_WITH_EXCLUSION"}
    assert "can't be null" in refusal(client, "InvalidParameterException", UPDATE, **call)
    assert described(client, "team/a")[0]["imageTagMutability"] == "IMMUTABLE"


def test_a_template_is_removed_once(client: Any) -> None:
    """Delete returns the template; afterwards there is none to delete, update or describe."""
    made = client.create_repository_creation_template(**FULL)["repositoryCreationTemplate"]

    assert client.delete_repository_creation_template(prefix="team/a")["repositoryCreationTemplate"] == made

    for operation in (DELETE, UPDATE):
        message = refusal(client, "TemplateNotFoundException", operation, prefix="team/a")
        assert "'team/a' does not exist" in message
    assert described(client, "team/a") == []


@pytest.mark.parametrize("again", ["team", "team/"])
def test_a_prefix_has_one_template(client: Any, again: str) -> None:
    """A prefix is the same with a slash at its end and without, and comes back as it was written."""
    for written in ("team/", "ROOT"):
        client.create_repository_creation_template(prefix=written, appliedFor=PUSH)

    for taken in (again, "ROOT"):
        message = refusal(client, "TemplateAlreadyExistsException", CREATE, prefix=taken, appliedFor=PUSH)
        assert f"'{taken}' already exists" in message
    assert [item["prefix"] for item in described(client, again, "ROOT")] == ["ROOT", "team/"]


def test_templates_are_listed_to_the_last_page(client: Any) -> None:
    """Pages hold every template once, by prefix; names that are not there are left out."""
    prefixes = sorted(["ROOT", *(f"team-{n}" for n in range(6))])
    for prefix in prefixes:
        client.create_repository_creation_template(prefix=prefix, appliedFor=PUSH)

    listed = pages(client.describe_repository_creation_templates, "repositoryCreationTemplates", maxResults=3)

    assert [[item["prefix"] for item in page] for page in listed] == [prefixes[:3], prefixes[3:6], prefixes[6:]]
    paginator = client.get_paginator("describe_repository_creation_templates")
    assert len(list(paginator.paginate(PaginationConfig={"PageSize": 7}))) == 1
    assert [item["prefix"] for item in described(client, "team-3", "missing", "team-1", "team-3")] == [
        "team-1",
        "team-3",
    ]
    message = refusal(client, "InvalidParameterException", DESCRIBE, nextToken="x")
    assert message == CONSTRAINT.format("nextToken", "Invalid token")


ENUM = "Member must satisfy enum value set: [REPLICATION, PULL_THROUGH_CACHE, CREATE_ON_PUSH]"
KMS = "arn:aws:kms:eu-west-1:123456789012:key/abc"
REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "another event": ({"appliedFor": ["EVER"]}, "InvalidParameterException", ENUM),
    "a policy that is none": (
        {"repositoryPolicy": "{}"},
        "InvalidParameterException",
        CONSTRAINT.format("repositoryPolicy", "Invalid repository policy provided"),
    ),
    "a reserved tag": (
        {"resourceTags": [{"Key": "aws:x", "Value": ""}]},
        "InvalidParameterException",
        CONSTRAINT.format("resourceTags", "Tag parameters are invalid"),
    ),
    "filters without exclusion": (
        {"imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": "a"}]},
        "InvalidParameterException",
        "not allowed when imageTagMutability is set as MUTABLE",
    ),
    "a key for AES256": (
        {"encryptionConfiguration": {"encryptionType": "AES256", "kmsKey": KMS}},
        "InvalidParameterException",
        "Encryption key should not be set for AES256",
    ),
    "a key service": (
        {"encryptionConfiguration": {"encryptionType": "KMS", "kmsKey": KMS}},
        "ValidationException",
        "no key management service",
    ),
    "rules that are none": (
        {"lifecyclePolicy": "[]" + " " * 100},
        "InvalidParameterException",
        CONSTRAINT.format(
            "LifecyclePolicyText",
            "Lifecycle policy parsing failure: Could not map policyString into LifecyclePolicy.",
        ),
    ),
    "a long description": ({"description": "x" * 257}, "InvalidParameterException", "less than or equal to 256"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_would_not_hold_is_refused(client: Any, case: str) -> None:
    """Neither Create nor Update takes what is wrong or would have no effect."""
    given, code, words = REFUSED[case]
    client.create_repository_creation_template(prefix="there", appliedFor=PUSH)
    before = described(client)

    assert words in refusal(client, code, CREATE, **({"prefix": "team", "appliedFor": PUSH} | given))
    assert words in refusal(client, code, UPDATE, prefix="there", **given)

    assert described(client) == before


@pytest.mark.parametrize("prefix", ["Team", "team//a", "/team", "ROOT/", "root/..", "a" * 257, "team_-"])
def test_other_prefixes_are_refused(client: Any, prefix: str) -> None:
    """What neither begins a repository's name nor is ROOT is no prefix."""
    refusal(client, "InvalidParameterException", CREATE, prefix=prefix, appliedFor=PUSH)


def test_templates_need_permission(server: Server, user: str) -> None:
    """Each operation asks for its own action, of the registry as a whole."""
    calls: dict[str, dict[str, Any]] = {
        CREATE: {"prefix": user, "appliedFor": PUSH},
        DESCRIBE: {},
        UPDATE: {"prefix": user},
        DELETE: {"prefix": user},
    }
    kit.moorage(server, "user", "attach", user, kit.POWER_USER)
    client = server.client(**kit.credentials(server, user))
    for operation, call in calls.items():
        action = f"ecr:{client.meta.method_to_api_mapping[operation]}"
        assert f"{action} on resource: * " in refusal(client, "AccessDeniedException", operation, **call)

    actions = [f"ecr:{client.meta.method_to_api_mapping[operation]}" for operation in calls]
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    kit.moorage(server, "policy", "put", user, "-", text=kit.document(statement))
    kit.moorage(server, "user", "attach", user, user)
    for operation, call in calls.items():
        getattr(client, operation)(**call)


# --- Their effect -----------------------------------------------------------------


def test_a_push_makes_what_the_template_says(server: Server, client: Any, region: str) -> None:
    """The first upload makes the repository with the template's mode, tags and policies, and these are in force."""
    client.create_repository_creation_template(**FULL)
    name = "team/a/made"

    assert begin(server, region, name).status == 202

    made = repository(client, name)
    assert made["imageTagMutability"] == FULL["imageTagMutability"]
    assert made["imageTagMutabilityExclusionFilters"] == FULL["imageTagMutabilityExclusionFilters"]
    assert client.list_tags_for_resource(resourceArn=made["repositoryArn"])["tags"] == FULL["resourceTags"]
    assert client.get_repository_policy(repositoryName=name)["policyText"] == POLICY
    assert client.get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"] == RULES
    assert "explicit deny" in refusal(client, "AccessDeniedException", "list_images", repositoryName=name)


def test_both_doors_make_it(client: Any) -> None:
    """InitiateLayerUpload and PutImage make a repository too; operations that are no push do not."""
    client.create_repository_creation_template(prefix="ROOT", appliedFor=PUSH, imageTagMutability="IMMUTABLE")

    client.initiate_layer_upload(repositoryName="by-upload")
    client.put_image(repositoryName="by-image", imageManifest=content.index().decode())
    for operation, call in (
        ("list_images", {}),
        ("batch_check_layer_availability", {"layerDigests": ["sha256:00"]}),
        ("put_image_tag_mutability", {"imageTagMutability": "MUTABLE"}),
        ("complete_layer_upload", {"uploadId": str(uuid.uuid4()), "layerDigests": ["sha256:00"]}),
    ):
        refusal(client, "RepositoryNotFoundException", operation, repositoryName="not-made", **call)

    made = client.describe_repositories()["repositories"]
    assert [(item["repositoryName"], item["imageTagMutability"]) for item in made] == [
        ("by-image", "IMMUTABLE"),
        ("by-upload", "IMMUTABLE"),
    ]


def marked(client: Any, prefix: str, *events: str) -> None:
    """Add a template whose repositories can be told by their exclusion filter."""
    client.create_repository_creation_template(
        prefix=prefix,
        appliedFor=list(events) or PUSH,
        imageTagMutability="MUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": prefix.replace("/", "-")}],
    )


def test_the_longest_prefix_wins(server: Server, client: Any, region: str) -> None:
    """A prefix ends at a slash, a longer one goes before a shorter, ROOT comes last; other events do not count."""
    for prefix in ("team", "team/a", "te", "ROOT"):
        marked(client, prefix)
    marked(client, "team/b", "REPLICATION", "PULL_THROUGH_CACHE")
    expected = {
        "team/a/x": "team-a",
        "team/a": "team",
        "team/ab/x": "team",
        "team/b/x": "team",
        "team/x": "team",
        "teams/x": "ROOT",
        "team": "ROOT",
        "other": "ROOT",
    }
    for name in expected:
        assert begin(server, region, name).status == 202

    found = {name: repository(client, name)["imageTagMutabilityExclusionFilters"][0]["filter"] for name in expected}
    assert found == expected


def test_without_a_template_that_fits_nothing_is_made(server: Server, client: Any, region: str) -> None:
    """Other prefixes, other events and other regions make nothing; neither does a template that was removed."""
    marked(client, "team")
    marked(client, "ROOT", "REPLICATION")
    for name in ("other", "team", "teams/x"):
        assert begin(server, region, name).status == 404
    assert begin(server, f"{region}-x", "team/x").status == 404
    client.delete_repository_creation_template(prefix="team")
    assert begin(server, region, "team/x").status == 404
    assert client.describe_repositories()["repositories"] == []


def test_templates_leave_other_repositories_alone(server: Server, client: Any, region: str) -> None:
    """Neither CreateRepository nor a repository that is there is touched by a template or its change."""
    marked(client, "ROOT")
    client.create_repository(repositoryName="explicit")
    assert begin(server, region, "made").status == 202
    before = [repository(client, "explicit"), repository(client, "made")]
    assert "imageTagMutabilityExclusionFilters" not in before[0]

    client.update_repository_creation_template(prefix="ROOT", imageTagMutability="IMMUTABLE")
    for name in ("explicit", "made"):
        assert begin(server, region, name).status == 202

    assert [repository(client, "explicit"), repository(client, "made")] == before


PUSHER = ["ecr:GetAuthorizationToken", "ecr:InitiateLayerUpload"]


def test_the_pusher_must_be_allowed_to_create(server: Server, client: Any, region: str, user: str) -> None:
    """Who pushes needs CreateRepository, and TagResource where the template has tags, under the policy's conditions."""
    client.create_repository_creation_template(
        prefix="ROOT", appliedFor=PUSH, resourceTags=[{"Key": "team", "Value": "a"}]
    )

    def outcome(team: str, *actions: str) -> tuple[int, str]:
        name = f"{user}/{uuid.uuid4().hex[:8]}"
        creating = {
            "Effect": "Allow",
            "Action": list(actions) or ["ecr:Nothing"],
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:RequestTag/team": team}},
        }
        pushing = {"Effect": "Allow", "Action": PUSHER, "Resource": "*"}
        kit.moorage(server, "policy", "put", user, "-", text=kit.document(pushing, creating))
        answer = begin(server, region, name, **keys)
        found = client.get_paginator("describe_repositories").paginate()
        made = name in [item["repositoryName"] for page in found for item in page["repositories"]]
        assert made == (answer.status == 202)
        return answer.status, "" if made else answer.json()["errors"][0]["message"]

    kit.moorage(
        server, "policy", "put", user, "-", text=kit.document({"Effect": "Deny", "Action": "*", "Resource": "*"})
    )
    kit.moorage(server, "user", "attach", user, user)
    keys = kit.credentials(server, user)

    status, message = outcome("a", "ecr:TagResource")
    assert (status, "ecr:CreateRepository on resource" in message) == (403, True)
    status, message = outcome("a", "ecr:CreateRepository")
    assert (status, "ecr:TagResource on resource" in message) == (403, True)
    assert outcome("b", "ecr:CreateRepository", "ecr:TagResource")[0] == 403
    assert outcome("a", "ecr:CreateRepository", "ecr:TagResource") == (202, "")


def test_a_template_policy_holds_its_first_pusher(server: Server, client: Any, region: str) -> None:
    """Where the template's policy denies the push itself, the push is refused."""
    denial = kit.document({"Effect": "Deny", "Principal": "*", "Action": "ecr:InitiateLayerUpload"})
    client.create_repository_creation_template(prefix="ROOT", appliedFor=PUSH, repositoryPolicy=denial)

    assert begin(server, region, "closed").status == 403
    with pytest.raises(ClientError, match="AccessDenied"):
        client.initiate_layer_upload(repositoryName="closed")


def test_an_image_can_be_pushed_where_nothing_was(server: Server, client: Any, region: str) -> None:
    """A whole push through the distribution door to a new name works with ROOT."""
    client.create_repository_creation_template(prefix="ROOT", appliedFor=PUSH)
    token, image = server.token(region_name=region), content.image()
    assert base64.b64decode(token).startswith(b"AWS:")

    content.push_blobs(server, "new/app", image, token)
    content.put_manifest(server, "new/app", "v1", image.manifest, image.media_type, token)

    found = client.batch_get_image(repositoryName="new/app", imageIds=[{"imageTag": "v1"}])["images"]
    assert [item["imageManifest"].encode() for item in found] == [image.manifest]
