"""
What each operation and each route needs, written down apart from the code that is tested.

The actions are those of ECR's documentation: an operation needs the action of
its own name, a docker request the actions of the operations that it stands
for. Every operation and every row of the route table must have an example
here; `test_matrix.py` fails until a new one has.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from moorage.domain import manifests
from tests import content
from tests.access.world import arn_of
from tests.servers import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.access.world import Outcome, Person, Stage, World

THIS: Final = "this"
"""The repository that the request names."""
EVERY: Final = "every"
"""All repositories of the registry: ``…:repository/*``."""
NONE: Final = "none"
"""No resource in particular: ``*``."""

Arguments = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """A request that is ready to be sent: by a boto3 client, or with a method to a path."""

    how: str
    path: str = ""
    arguments: Arguments = field(default_factory=dict)
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    def of(self, old: Stage, new: Stage) -> Asked:
        """Return the same request of another repository."""
        path = self.path.replace(old.name, new.name)
        renamed: Arguments = {old.name: new.name, old.arn: new.arn}
        arguments = {
            key: [new.name] if value == [old.name] else renamed.get(str(value), value)
            for key, value in self.arguments.items()
        }
        return dataclasses.replace(self, path=path, arguments=arguments)

    def send(self, world: World, person: Person | None, account: str, region: str = REGION) -> Outcome:
        """Send the request to a registry; return what became of it."""
        if not self.path:
            return world.call(person, self.how, region=region, **self.arguments)
        token = world.token(person, account, region) if person else None
        return world.send(token, self.how, self.path, self.body, **self.headers)


@dataclass(frozen=True)
class Call:
    """One request of the matrix."""

    title: str
    of: str
    """The operation, or the method and path of the route, that this is an example of."""
    prepare: Callable[[World, Stage], Asked]
    """Make ready what the request is about, and the request."""
    needs: tuple[str, ...]
    """The actions it needs, in the order in which they are asked for."""
    status: int = 200
    """What is answered if it is allowed."""
    on: str = THIS
    creates: bool = False
    """Whether its repository must not be there before."""
    own_account: bool = False
    """Whether resources' policies are not asked, because it is between callers and their own account."""

    own_registry: bool = False
    """Whether it can only be about the caller's own registry."""

    @property
    def is_operation(self) -> bool:
        """Whether this is asked at the AWS door."""
        return " " not in self.of

    def resource(self, stage: Stage) -> str:
        """Return the resource that its actions are asked of."""
        return {THIS: stage.arn, EVERY: arn_of("*", stage.account, stage.region), NONE: "*"}[self.on]


# --- Operations -----------------------------------------------------------------

OPEN_POLICY: Final = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "ecr:*"}]}
)
_RULE: Final = {
    "rulePriority": 1,
    "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 100},
    "action": {"type": "expire"},
}
LIFECYCLE: Final = json.dumps({"rules": [_RULE]})
TAG: Final = [{"Key": "team", "Value": "a"}]
REGISTRY_POLICY: Final = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "ecr:ReplicateImage", "Resource": "*"}
        ],
    }
)
UNNAMED: Final = {"GetAuthorizationToken", "ListTagsForResource", "TagResource", "UntagResource"}
"""Operations that take no ``registryId``."""


def operation(
    name: str, python: str, arguments: Callable[[World, Stage], Arguments], title: str = "", **more: Any
) -> Call:
    """Return an example of an operation."""

    def prepare(world: World, stage: Stage) -> Asked:
        # The caller may be of another account, whose registry would be meant otherwise.
        registry = {} if name in UNNAMED or more.get("own_registry") else {"registryId": stage.account}
        return Asked(python, arguments=registry | arguments(world, stage))

    return Call(title or name, name, prepare, **({"needs": (f"ecr:{name}",)} | more))


def on_this(name: str, python: str, more: Callable[[World, Stage], Arguments] | None = None, **given: Any) -> Call:
    """Return an example of an operation on a repository."""

    def arguments(world: World, stage: Stage) -> Arguments:
        return {"repositoryName": stage.name} | (more(world, stage) if more else {})

    return operation(name, python, arguments, **given)


def of_registry(name: str, python: str, arguments: Callable[[World, Stage], Arguments]) -> Call:
    """Return an example of an operation on a registry as a whole, which names none but the caller's own."""
    return operation(name, python, arguments, on=NONE, own_registry=True)


def bytes_of(stage: Stage) -> bytes:
    """Return bytes that a case uploads, unlike those of another."""
    return f"a layer for {stage.name}".encode()


def _part(world: World, stage: Stage) -> Arguments:
    data = bytes_of(stage)
    place = {"partFirstByte": 0, "partLastByte": len(data) - 1}
    return {"uploadId": world.upload(stage), "layerPartBlob": data, **place}


def _whole(world: World, stage: Stage) -> Arguments:
    data = bytes_of(stage)
    return {"uploadId": world.upload(stage, data), "layerDigests": [content.digest_of(data)]}


def _policed(world: World, stage: Stage) -> Arguments:
    """Give the repository a policy, unless the case has given it one."""
    if not any("Statement" in row for row in world.rows(stage)["repositories"]):
        bystander = {"AWS": stage.account}
        world.policy(stage, {"Effect": "Allow", "Principal": bystander, "Action": "ecr:ReplicateImage"})
    return {}


def _with_lifecycle(world: World, stage: Stage) -> Arguments:
    world.as_root("put_lifecycle_policy", stage, repositoryName=stage.name, lifecyclePolicyText=LIFECYCLE)
    return {}


def _with_preview(world: World, stage: Stage) -> Arguments:
    world.as_root("start_lifecycle_policy_preview", stage, repositoryName=stage.name, lifecyclePolicyText=LIFECYCLE)
    return {}


def _with_registry_policy(world: World, stage: Stage) -> Arguments:
    """Set a policy of the registry, unless the case has set one."""
    if not any("Statement" in row for row in world.rows(stage)["registries"]):
        statements = json.loads(REGISTRY_POLICY)["Statement"]
        world.registry_policy(*statements, account=stage.account, region=stage.region)
    return {}


def _template(_world: World, stage: Stage) -> Arguments:
    return {"prefix": stage.name, "appliedFor": ["CREATE_ON_PUSH"]}


def _with_template(world: World, stage: Stage) -> Arguments:
    world.as_root("create_repository_creation_template", stage, **_template(world, stage))
    return {"prefix": stage.name}


def _exclusion(_world: World, stage: Stage) -> Arguments:
    return {"principalArn": f"arn:aws:iam::{stage.account}:role/{stage.name.replace('/', '-')}"}


def _excluded(world: World, stage: Stage) -> Arguments:
    world.as_root("register_pull_time_update_exclusion", stage, **_exclusion(world, stage))
    return _exclusion(world, stage)


def _again(_world: World, stage: Stage) -> Arguments:
    return {"imageManifest": stage.image.manifest.decode(), "imageTag": "v2"}


OPERATIONS: Final = (
    on_this(
        "BatchCheckLayerAvailability",
        "batch_check_layer_availability",
        lambda _, stage: {"layerDigests": [content.digest_of(stage.spare)]},
    ),
    on_this("BatchDeleteImage", "batch_delete_image", lambda *_: {"imageIds": [{"imageTag": "v1"}]}),
    on_this("BatchGetImage", "batch_get_image", lambda *_: {"imageIds": [{"imageTag": "v1"}]}),
    operation(
        "BatchGetRepositoryScanningConfiguration",
        "batch_get_repository_scanning_configuration",
        lambda _, stage: {"repositoryNames": [stage.name]},
        own_registry=True,
    ),
    on_this("CompleteLayerUpload", "complete_layer_upload", _whole),
    on_this("CreateRepository", "create_repository", creates=True),
    on_this(
        "CreateRepository",
        "create_repository",
        lambda *_: {"tags": TAG},
        title="CreateRepository with tags",
        needs=("ecr:CreateRepository", "ecr:TagResource"),
        creates=True,
    ),
    of_registry("CreateRepositoryCreationTemplate", "create_repository_creation_template", _template),
    on_this("DeleteLifecyclePolicy", "delete_lifecycle_policy", _with_lifecycle),
    of_registry("DeleteRegistryPolicy", "delete_registry_policy", _with_registry_policy),
    on_this("DeleteRepository", "delete_repository", lambda *_: {"force": True}),
    of_registry("DeleteRepositoryCreationTemplate", "delete_repository_creation_template", _with_template),
    on_this("DeleteRepositoryPolicy", "delete_repository_policy", _policed),
    of_registry("DeregisterPullTimeUpdateExclusion", "deregister_pull_time_update_exclusion", _excluded),
    on_this("DescribeImages", "describe_images"),
    of_registry("DescribeRegistry", "describe_registry", lambda *_: {}),
    operation("DescribeRepositories", "describe_repositories", lambda *_: {}, on=EVERY),
    operation(
        "DescribeRepositories",
        "describe_repositories",
        lambda _, stage: {"repositoryNames": [stage.name]},
        title="DescribeRepositories by name",
    ),
    of_registry("GetAccountSetting", "get_account_setting", lambda *_: {"name": "BLOB_MOUNTING"}),
    of_registry("DescribeRepositoryCreationTemplates", "describe_repository_creation_templates", lambda *_: {}),
    operation(
        "GetAuthorizationToken",
        "get_authorization_token",
        lambda _, stage: {"registryIds": [stage.account]},
        on=NONE,
        own_account=True,
    ),
    on_this(
        "GetDownloadUrlForLayer",
        "get_download_url_for_layer",
        lambda _, stage: {"layerDigest": content.digest_of(stage.image.layers[0])},
    ),
    on_this("GetLifecyclePolicy", "get_lifecycle_policy", _with_lifecycle),
    on_this("GetLifecyclePolicyPreview", "get_lifecycle_policy_preview", _with_preview),
    of_registry("GetRegistryPolicy", "get_registry_policy", _with_registry_policy),
    of_registry("GetRegistryScanningConfiguration", "get_registry_scanning_configuration", lambda *_: {}),
    on_this("GetRepositoryPolicy", "get_repository_policy", _policed),
    on_this("InitiateLayerUpload", "initiate_layer_upload"),
    on_this(
        "ListImageReferrers",
        "list_image_referrers",
        lambda _, stage: {"subjectId": {"imageDigest": stage.image.digest}},
        needs=("ecr:BatchGetImage",),
    ),
    on_this("ListImages", "list_images"),
    of_registry("ListPullTimeUpdateExclusions", "list_pull_time_update_exclusions", lambda *_: {}),
    operation("ListTagsForResource", "list_tags_for_resource", lambda _, stage: {"resourceArn": stage.arn}),
    of_registry("PutAccountSetting", "put_account_setting", lambda *_: {"name": "BLOB_MOUNTING", "value": "ENABLED"}),
    on_this("PutImage", "put_image", _again),
    on_this(
        "PutImageScanningConfiguration",
        "put_image_scanning_configuration",
        lambda *_: {"imageScanningConfiguration": {"scanOnPush": True}},
    ),
    on_this("PutImageTagMutability", "put_image_tag_mutability", lambda *_: {"imageTagMutability": "IMMUTABLE"}),
    on_this("PutLifecyclePolicy", "put_lifecycle_policy", lambda *_: {"lifecyclePolicyText": LIFECYCLE}),
    of_registry("PutRegistryPolicy", "put_registry_policy", lambda *_: {"policyText": REGISTRY_POLICY}),
    of_registry("PutRegistryScanningConfiguration", "put_registry_scanning_configuration", lambda *_: {}),
    of_registry("RegisterPullTimeUpdateExclusion", "register_pull_time_update_exclusion", _exclusion),
    on_this("SetRepositoryPolicy", "set_repository_policy", lambda *_: {"policyText": OPEN_POLICY, "force": True}),
    on_this("StartLifecyclePolicyPreview", "start_lifecycle_policy_preview", _with_lifecycle),
    operation("TagResource", "tag_resource", lambda _, stage: {"resourceArn": stage.arn, "tags": TAG}),
    operation("UntagResource", "untag_resource", lambda _, stage: {"resourceArn": stage.arn, "tagKeys": ["team"]}),
    on_this(
        "UpdateImageStorageClass",
        "update_image_storage_class",
        lambda *_: {"imageId": {"imageTag": "v1"}, "targetStorageClass": "ARCHIVE"},
    ),
    of_registry("UpdateRepositoryCreationTemplate", "update_repository_creation_template", _with_template),
    on_this("UploadLayerPart", "upload_layer_part", _part),
)


# --- Routes ---------------------------------------------------------------------

UPLOADS: Final = "/v2/{name:path}/blobs/uploads/"
UPLOAD: Final = "/v2/{name:path}/blobs/uploads/{upload}"
BLOB: Final = "/v2/{name:path}/blobs/{digest}"
MANIFEST: Final = "/v2/{name:path}/manifests/{reference}"
REFERRERS: Final = "/v2/{name:path}/referrers/{digest}"
TAGS: Final = "/v2/{name:path}/tags/list"

Filled = tuple[str, bytes, dict[str, str]]
"""Path, body, headers."""


def route(row: str, fill: Callable[[World, Stage], Filled], title: str = "", **more: Any) -> Call:
    """Return an example of a route."""
    method, _, _ = row.partition(" ")

    def prepare(world: World, stage: Stage) -> Asked:
        path, body, headers = fill(world, stage)
        return Asked(method, path, body=body, headers=headers)

    return Call(title or row, row, prepare, **more)


def reading(path: str, fill: Callable[[World, Stage], str], **more: Any) -> tuple[Call, Call]:
    """Return the examples of a route that GET and HEAD ask alike."""
    return tuple(  # type: ignore[return-value]
        route(f"{method} {path}", lambda world, stage: (fill(world, stage), b"", {}), **more)
        for method in ("GET", "HEAD")
    )


def _blob(stage: Stage, data: bytes) -> str:
    return f"/v2/{stage.name}/blobs/{content.digest_of(data)}"


def _upload(world: World, stage: Stage, data: bytes = b"") -> str:
    return f"/v2/{stage.name}/blobs/uploads/{world.upload(stage, data)}"


def _finishing(world: World, stage: Stage, sent: bytes, body: bytes) -> Filled:
    return f"{_upload(world, stage, sent)}?digest={content.digest_of(bytes_of(stage))}", body, {}


def _manifest(stage: Stage, reference: str) -> Filled:
    return f"/v2/{stage.name}/manifests/{reference}", stage.image.manifest, {"Content_Type": manifests.OCI_IMAGE}


_PUSH: Final = ("ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload")

ROUTES: Final = (
    *reading("/v2/", lambda *_: "/v2/", needs=("ecr:GetAuthorizationToken",), on=NONE, own_account=True),
    *reading("/v2", lambda *_: "/v2", needs=("ecr:GetAuthorizationToken",), on=NONE, own_account=True),
    *reading("/v2/_catalog", lambda *_: "/v2/_catalog?n=1", needs=("ecr:DescribeRepositories",), on=EVERY),
    *reading(TAGS, lambda _, stage: f"/v2/{stage.name}/tags/list", needs=("ecr:ListImages",)),
    route(
        f"POST {UPLOADS}",
        lambda _, stage: (f"/v2/{stage.name}/blobs/uploads/", b"", {}),
        needs=("ecr:InitiateLayerUpload",),
        status=202,
    ),
    route(
        f"POST {UPLOADS}",
        lambda _, stage: (
            f"/v2/{stage.name}/blobs/uploads/?digest={content.digest_of(bytes_of(stage))}",
            bytes_of(stage),
            {},
        ),
        title="POST of a whole blob",
        needs=_PUSH,
        status=201,
    ),
    route(
        f"PATCH {UPLOAD}",
        lambda world, stage: (_upload(world, stage), bytes_of(stage), {}),
        needs=("ecr:UploadLayerPart",),
        status=202,
    ),
    route(
        f"PUT {UPLOAD}",
        lambda world, stage: _finishing(world, stage, bytes_of(stage), b""),
        needs=("ecr:CompleteLayerUpload",),
        status=201,
    ),
    route(
        f"PUT {UPLOAD}",
        lambda world, stage: _finishing(world, stage, b"", bytes_of(stage)),
        title="PUT of an upload with a body",
        needs=("ecr:CompleteLayerUpload", "ecr:UploadLayerPart"),
        status=201,
    ),
    *reading(UPLOAD, _upload, needs=("ecr:UploadLayerPart",), status=204),
    route(
        f"DELETE {UPLOAD}",
        lambda world, stage: (_upload(world, stage), b"", {}),
        needs=("ecr:UploadLayerPart",),
        status=204,
    ),
    route(
        f"HEAD {BLOB}",
        lambda _, stage: (_blob(stage, stage.spare), b"", {}),
        needs=("ecr:BatchCheckLayerAvailability",),
    ),
    route(f"GET {BLOB}", lambda _, stage: (_blob(stage, stage.spare), b"", {}), needs=("ecr:GetDownloadUrlForLayer",)),
    route(
        f"DELETE {BLOB}",
        lambda _, stage: (_blob(stage, stage.spare), b"", {}),
        needs=("ecr:BatchDeleteImage",),
        status=202,
    ),
    *reading(MANIFEST, lambda _, stage: f"/v2/{stage.name}/manifests/v1", needs=("ecr:BatchGetImage",)),
    route(f"PUT {MANIFEST}", lambda _, stage: _manifest(stage, "v2"), needs=("ecr:PutImage",), status=201),
    route(
        f"PUT {MANIFEST}",
        lambda _, stage: _manifest(stage, f"{stage.image.digest}?tag=v3"),
        title="PUT of a manifest by digest, with a tag",
        needs=("ecr:PutImage",),
        status=201,
    ),
    route(
        f"DELETE {MANIFEST}",
        lambda _, stage: (f"/v2/{stage.name}/manifests/v1", b"", {}),
        needs=("ecr:BatchDeleteImage",),
        status=202,
    ),
    route(
        f"DELETE {MANIFEST}",
        lambda _, stage: (f"/v2/{stage.name}/manifests/{stage.image.digest}", b"", {}),
        title="DELETE of a manifest by digest",
        needs=("ecr:BatchDeleteImage",),
        status=202,
    ),
    *reading(
        REFERRERS, lambda _, stage: f"/v2/{stage.name}/referrers/{stage.image.digest}", needs=("ecr:BatchGetImage",)
    ),
)

OTHERWISE: Final = {"GET /layers/{token}", "HEAD /layers/{token}"}
"""Routes that are no part of the matrix, because their address is the credential: see ``test_hostile.py``."""

CALLS: Final = (*OPERATIONS, *ROUTES)
