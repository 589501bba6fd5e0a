"""An account pulls from another one's registry with a real client, as far as the registry policy lets it."""

from __future__ import annotations

import base64
import uuid
from typing import TYPE_CHECKING

from tests import content
from tests.access.kit import OTHER_ACCOUNT, READ_ONLY, attempt, credentials, document, moorage
from tests.clients.layouts import Layout
from tests.servers import ACCOUNT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clients.tools import Tool
    from tests.servers import Server


def test_skopeo_pulls_by_registry_policy(skopeo_of_nobody: Tool, server: Server, tmp_path: Path) -> None:
    """With a login to another account's registry skopeo pulls what that registry's policy shares, and nothing else."""
    name = f"stranger-{uuid.uuid4().hex[:8]}"
    attempt(server, "account", "create", OTHER_ACCOUNT)  # unless another test has
    moorage(server, "user", "create", name, account=OTHER_ACCOUNT)
    moorage(server, "user", "attach", name, READ_ONLY, account=OTHER_ACCOUNT)
    # A region of its own: the policy of a registry is for all tests in it.
    region = f"clients-{name[-8:]}-1"
    owner, image = server.client(region_name=region), content.image()
    token = server.token(region_name=region)
    for repository in ("shared/app", "app"):
        owner.create_repository(repositoryName=repository)
        content.push_blobs(server, repository, image, token)
        content.put_manifest(server, repository, "v1", image.manifest, image.media_type, token)
    owner.put_registry_policy(
        policyText=document(
            {
                "Effect": "Allow",
                "Principal": {"AWS": OTHER_ACCOUNT},
                "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
                "Resource": f"arn:aws:ecr:{region}:{ACCOUNT}:repository/shared/*",
            }
        )
    )
    stranger = server.client(region_name=region, **credentials(server, name, OTHER_ACCOUNT))
    given = stranger.get_authorization_token(registryIds=[ACCOUNT])["authorizationData"][0]["authorizationToken"]
    pull = ("copy", "--src-tls-verify=false", "--src-creds", base64.b64decode(given).decode())

    skopeo_of_nobody(*pull, f"docker://{server.host}/shared/app:v1", Layout(tmp_path).at("v1"))
    said = skopeo_of_nobody.refused(*pull, f"docker://{server.host}/app:v1", Layout(tmp_path).at("v2"))

    assert (tmp_path / "blobs" / "sha256" / image.digest.partition(":")[2]).read_bytes() == image.manifest
    assert "because no resource-based policy allows the ecr:BatchGetImage action" in said
