"""The page "Access in ten minutes", followed to the letter: its commands, by a real shell and real clients."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from moorage.cli.main import app as command
from tests import content, servers
from tests.clients.tools import missing, require
from tests.servers import MOORAGE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Server

PAGE = Path(__file__).parents[2] / "docs" / "access.md"
GITHUB = "https://token.actions.githubusercontent.com"
DOCKER = """
docker() {
    case $1 in
        login) shift; skopeo login --tls-verify=false "${@: 1:3}" "${@: -1}";;
        push) skopeo copy -q --dest-tls-verify=false oci:image:v1 "docker://$2";;
        pull) rm -rf pulled; skopeo copy -q --src-tls-verify=false "docker://$2" dir:pulled;;
        tag) ;;
    esac
}
"""
"""Docker's words, carried out by skopeo: it needs no engine."""


def blocks(kind: str) -> list[str]:
    """Return the examples of the page's four steps, of one language."""
    steps = PAGE.read_text().partition("# Reference")[0]
    return re.findall(rf"^```{kind}\n(.*?)^```", steps, re.DOTALL | re.MULTILINE)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Server]:
    """A server as `make serve` starts it, but for its port."""
    with servers.running(tmp_path / "data", "--account-id", "000000000000", "--region", "us-east-1") as started:
        yield started


def test_the_page_can_be_followed(own: Server, tmp_path: Path) -> None:
    """Each example of the page does what the page says, in its order, with an issuer of our own behind GitHub's name."""
    require("skopeo", "bash")
    if not (Path(sys.executable).parent / "aws").exists():
        missing("not installed: aws")
    key = RSAKey.generate_key(2048, parameters={"kid": "one", "use": "sig"}, private=True)
    (tmp_path / "keys.json").write_text(json.dumps(KeySet([key]).as_dict(private=False)))
    now = int(time.time())
    claims = {"iss": GITHUB, "aud": "sts.amazonaws.com", "sub": "repo:acme/app:ref:refs/heads/main", "exp": now + 600}
    (tmp_path / "token").write_text(jwt.encode({"alg": "RS256", "kid": "one"}, claims, key))
    (access,) = blocks("toml")
    (tmp_path / "access.toml").write_text(access + 'keys = { file = "keys.json" }\n')
    write_layout(tmp_path / "image")
    serve, setup, user, pulls, managing, applies, by_commands, job = blocks("sh")
    assert serve.startswith("make serve ")
    assert "moorage oidc add" in by_commands
    managing = managing.replace("AKIA…", "$AWS_ACCESS_KEY_ID")
    assert "$AWS_ACCESS_KEY_ID" in managing

    done = in_bash(
        own,
        tmp_path,
        setup,
        user,
        pulls.replace("docker push", "! docker push"),
        managing,
        "! docker pull localhost:5100/hello:v1 2>/dev/null",
        applies.replace("--dry-run", "--dry-run || [ $? = 1 ]"),
        job,
        'eval "$(moorage env)"; unset AWS_ROLE_ARN AWS_WEB_IDENTITY_TOKEN_FILE',
        "aws ecr list-images --repository-name hello --query 'imageIds[].imageTag' --output text",
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "user/ci is not authorized to perform: ecr:" in done.stderr
    assert "assumed-role/ci-push/" in done.stdout
    assert done.stdout.split()[-2:] == ["v1", "v2"]


def write_layout(folder: Path) -> None:
    """Write an image as a folder that skopeo reads (OCI image layout)."""
    image = content.image()
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for part in (image.manifest, image.config, *image.layers):
        (blobs / content.digest_of(part).removeprefix("sha256:")).write_bytes(part)
    named = content.descriptor(
        image.manifest, image.media_type, annotations={"org.opencontainers.image.ref.name": "v1"}
    )
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [named]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


def in_bash(server: Server, folder: Path, *examples: str) -> subprocess.CompletedProcess[str]:
    """Run examples one after another in one real bash that ends with the first failure."""
    moorage = f'moorage() {{ {shlex.join(MOORAGE)} "$@"; }}'
    script = "\n".join([moorage, DOCKER, *examples]).replace("localhost:5100", server.host)
    script = re.sub(r"^export PATH=.*$", "", script, flags=re.MULTILINE)
    path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    environment = servers.clean_environment(
        MOORAGE_DATA=str(server.data), PATH=path, REGISTRY_AUTH_FILE=str(folder / "auth.json"), HOME=str(folder)
    )
    arguments = ["bash", "--norc", "-euo", "pipefail", "-c", script]
    return subprocess.run(
        arguments, cwd=folder, env=environment, capture_output=True, text=True, timeout=200, check=False
    )


def test_the_page_names_commands_that_are_there() -> None:
    """Every command that the page's table of identities names exists."""
    from typer.main import get_command  # noqa: PLC0415 (for this test alone)

    rows = re.findall(r"`moorage (\w+) ([\w\\|-]+)`", PAGE.read_text().partition("## Who\n")[2].partition("\n## ")[0])
    groups = getattr(get_command(command), "commands")  # noqa: B009 (of typer's own kind)
    named = {(noun, verb) for noun, verbs in rows for verb in verbs.split("\\|")}
    assert len(named) > 30
    assert {(noun, verb) for noun, verb in named if verb not in groups[noun].commands} == set()
