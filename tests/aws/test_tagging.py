"""Resource tags: set, replaced, removed, listed by ARN, and in force as conditions of policies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.access import kit
from tests.aws.kit import CONSTRAINT, bare, refusal
from tests.servers import ACCOUNT, REGION

if TYPE_CHECKING:
    from tests.servers import Server


def arn(name: str) -> str:
    """Return the ARN of a repository."""
    return f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{name}"


def pairs(**tags: str) -> list[dict[str, str]]:
    """Return tags as ECR writes them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def listed(client: Any, name: str) -> list[dict[str, str]]:
    """Return the tags of a repository."""
    tags: list[dict[str, str]] = client.list_tags_for_resource(resourceArn=arn(name))["tags"]
    return tags


def test_tags_are_set_replaced_and_removed(ecr: Any, repository: str) -> None:
    """TagResource merges by key, UntagResource ignores keys that are not there, and both answer nothing."""
    assert listed(ecr, repository) == []

    assert bare(ecr.tag_resource(resourceArn=arn(repository), tags=pairs(team="a", env="x"))) == {}
    assert bare(ecr.tag_resource(resourceArn=arn(repository), tags=pairs(env="y", cost=""))) == {}
    assert listed(ecr, repository) == pairs(cost="", env="y", team="a")

    assert bare(ecr.untag_resource(resourceArn=arn(repository), tagKeys=["env", "missing", "env"])) == {}
    assert listed(ecr, repository) == pairs(cost="", team="a")


def test_doing_it_twice_is_doing_it_once(ecr: Any, repository: str) -> None:
    """The same call again is no failure and changes nothing."""
    for _ in range(2):
        ecr.tag_resource(resourceArn=arn(repository), tags=pairs(team="a"))
    assert listed(ecr, repository) == pairs(team="a")
    for _ in range(2):
        ecr.untag_resource(resourceArn=arn(repository), tagKeys=["team"])
    assert listed(ecr, repository) == []


def test_tags_of_creation_are_listed(ecr: Any, name: str) -> None:
    """The tags that CreateRepository was given are the repository's."""
    ecr.create_repository(repositoryName=name, tags=pairs(team="a"))
    assert listed(ecr, name) == pairs(team="a")


CALLS: dict[str, dict[str, Any]] = {
    "tag_resource": {"tags": pairs(team="a")},
    "untag_resource": {"tagKeys": ["team"]},
    "list_tags_for_resource": {},
}


@pytest.mark.parametrize("operation", CALLS)
@pytest.mark.parametrize(
    "wrong",
    [
        "repository",
        f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/",
        f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/No",
        f"arn:aws:ecr:{REGION}:123:repository/ab",
        f"arn:aws:ecr:us-west-2:{ACCOUNT}:repository/ab",
        f"arn:aws-cn:ecr:{REGION}:{ACCOUNT}:repository/ab",
        f"arn:aws:s3:{REGION}:{ACCOUNT}:repository/ab",
    ],
)
def test_only_a_repositorys_arn_will_do(ecr: Any, operation: str, wrong: str) -> None:
    """What is not the ARN of a repository in this region is refused in ECR's words."""
    message = refusal(ecr, "InvalidParameterException", operation, resourceArn=wrong, **CALLS[operation])
    assert message == CONSTRAINT.format("resourceArn", "Invalid ARN")


@pytest.mark.parametrize("operation", CALLS)
def test_the_repository_must_be_there(ecr: Any, name: str, operation: str) -> None:
    """The ARN of a missing repository is refused with its name and registry."""
    message = refusal(ecr, "RepositoryNotFoundException", operation, resourceArn=arn(name), **CALLS[operation])
    assert message == f"The repository with name '{name}' does not exist in the registry with id '{ACCOUNT}'"


@pytest.mark.parametrize(
    "tags",
    [
        pairs(**{"": "x"}),
        pairs(**{"k" * 129: "x"}),
        pairs(k="v" * 257),
        pairs(**{"aws:team": "x"}),
        [*pairs(k="a"), *pairs(k="b")],
    ],
)
def test_keys_and_values_are_bounded(ecr: Any, repository: str, tags: list[dict[str, str]]) -> None:
    """An empty, long, reserved or repeated key, or a long value, is refused, and nothing is set."""
    given = [*pairs(fine="x"), *tags]
    message = refusal(ecr, "InvalidTagParameterException", "tag_resource", resourceArn=arn(repository), tags=given)
    assert message == "Tag parameters are invalid"
    assert listed(ecr, repository) == []


def test_fifty_tags_at_most(ecr: Any, repository: str) -> None:
    """What there is counts: the 51st tag is refused, another value of one of the fifty is not."""
    full = pairs(**{f"k{n}": "x" for n in range(50)})
    ecr.tag_resource(resourceArn=arn(repository), tags=full)

    refusal(ecr, "TooManyTagsException", "tag_resource", resourceArn=arn(repository), tags=pairs(more="x"))
    ecr.tag_resource(resourceArn=arn(repository), tags=pairs(k0="y"))

    assert len(listed(ecr, repository)) == 50
    assert {"Key": "k0", "Value": "y"} in listed(ecr, repository)


def test_tags_are_conditions(server: Server, ecr: Any, user: str) -> None:
    """Who may only change the tag ``env`` of the repositories of its team changes no other tag, and none elsewhere."""
    ours, theirs = f"{user}/ours", f"{user}/theirs"
    for name, team in ((ours, "a"), (theirs, "b")):
        ecr.create_repository(repositoryName=name, tags=pairs(team=team))
    statement = {
        "Effect": "Allow",
        "Action": ["ecr:TagResource", "ecr:UntagResource", "ecr:ListTagsForResource"],
        "Resource": arn("*"),
        "Condition": {
            "StringEquals": {"aws:ResourceTag/team": "a"},
            "StringEqualsIfExists": {"aws:RequestTag/env": ["dev", "test"]},
            "ForAllValues:StringEquals": {"aws:TagKeys": "env"},
        },
    }
    kit.moorage(server, "policy", "put", user, "-", text=kit.document(statement))
    kit.moorage(server, "user", "attach", user, user)
    client = server.client(**kit.credentials(server, user))

    client.tag_resource(resourceArn=arn(ours), tags=pairs(env="dev"))
    assert listed(client, ours) == pairs(env="dev", team="a")
    client.untag_resource(resourceArn=arn(ours), tagKeys=["env"])
    for operation, call in (
        ("tag_resource", {"resourceArn": arn(ours), "tags": pairs(env="prod")}),
        ("tag_resource", {"resourceArn": arn(ours), "tags": pairs(env="dev", team="b")}),
        ("tag_resource", {"resourceArn": arn(theirs), "tags": pairs(env="dev")}),
        ("untag_resource", {"resourceArn": arn(ours), "tagKeys": ["env", "team"]}),
        ("untag_resource", {"resourceArn": arn(theirs), "tagKeys": ["env"]}),
        ("list_tags_for_resource", {"resourceArn": arn(theirs)}),
        ("list_tags_for_resource", {"resourceArn": arn(f"{user}/missing")}),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            getattr(client, operation)(**call)
    assert listed(ecr, ours) == pairs(team="a")


def test_a_new_tag_counts_at_once(server: Server, ecr: Any, repository: str, user: str) -> None:
    """A tag that opens a repository to a user does so from the next request on, and its removal closes it."""
    statement = {
        "Effect": "Allow",
        "Action": "ecr:ListImages",
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:ResourceTag/open": "yes"}},
    }
    kit.moorage(server, "policy", "put", user, "-", text=kit.document(statement))
    kit.moorage(server, "user", "attach", user, user)
    client = server.client(**kit.credentials(server, user))

    with pytest.raises(ClientError, match="AccessDenied"):
        client.list_images(repositoryName=repository)
    ecr.tag_resource(resourceArn=arn(repository), tags=pairs(open="yes"))
    assert client.list_images(repositoryName=repository)["imageIds"] == []
    ecr.untag_resource(resourceArn=arn(repository), tagKeys=["open"])
    with pytest.raises(ClientError, match="AccessDenied"):
        client.list_images(repositoryName=repository)
