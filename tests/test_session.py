"""The embedded client: botocore's own, over a data folder, with no server and no socket."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.client
import botocore.session
import pytest
from botocore.exceptions import ClientError, NoCredentialsError

import moorage
from moorage.config import SettingsError
from tests import content, servers
from tests.aws.wire import CONTENT_TYPE, TARGET
from tests.servers import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Server


@pytest.fixture
def session(tmp_path: Path) -> Iterator[moorage.Session]:
    """A session over a new data folder."""
    with moorage.Session(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def client(session: moorage.Session) -> Any:
    """Its client."""
    return session.create_client("ecr")


# --- Over a data folder ----------------------------------------------------------


def test_the_client_is_botocores(client: Any) -> None:
    """What create_client gives is a client of botocore, with all of its methods."""
    assert isinstance(client, botocore.client.BaseClient)
    assert client.meta.service_model.service_name == "ecr"
    assert set(client.meta.method_to_api_mapping) >= {"put_image", "describe_images", "get_authorization_token"}


def test_a_folder_is_all_it_takes(tmp_path: Path) -> None:
    """A folder that is not there yet is made into a registry, with the account and region of the defaults."""
    with moorage.Session(tmp_path / "new" / "folder") as opened:
        client: Any = opened.create_client("ecr")
        made = client.create_repository(repositoryName="project-a/nginx-web-app")["repository"]
    assert made["repositoryArn"] == "arn:aws:ecr:us-east-1:000000000000:repository/project-a/nginx-web-app"
    assert made["repositoryUri"] == "localhost:5100/project-a/nginx-web-app"


def test_a_folder_can_be_text(tmp_path: Path) -> None:
    """The folder may be given as text."""
    with moorage.Session(str(tmp_path)) as opened:
        assert opened.settings.data == tmp_path


def test_settings_are_taken_by_name(tmp_path: Path) -> None:
    """Account, region, domain and all other settings are keyword arguments."""
    with moorage.Session(tmp_path, account_id=ACCOUNT, region="cn-north-1", domain="example.test", port=80) as opened:
        client: Any = opened.create_client("ecr")
        made = client.create_repository(repositoryName="ab")["repository"]
    assert made["repositoryArn"] == f"arn:aws-cn:ecr:cn-north-1:{ACCOUNT}:repository/ab"
    assert made["repositoryUri"] == f"{ACCOUNT}.dkr.ecr.cn-north-1.example.test:80/ab"


def test_an_unknown_setting_is_refused(tmp_path: Path) -> None:
    """A setting that does not exist is refused by its name, before anything is made."""
    with pytest.raises(SettingsError, match="unknown settings: reigon"):
        moorage.Session(tmp_path / "data", reigon="eu-west-1")
    assert not (tmp_path / "data").exists()


def test_what_is_made_stays(tmp_path: Path) -> None:
    """A later session over the folder finds what an earlier one made, layers too."""
    image = content.image()
    with moorage.Session(tmp_path) as first:
        client: Any = first.create_client("ecr")
        client.create_repository(repositoryName="ab")
        for part in (image.config, *image.layers):
            content.upload_layer(client, "ab", part)
        client.put_image(repositoryName="ab", imageManifest=image.manifest.decode(), imageTag="v1")
    with moorage.Session(tmp_path) as second:
        again: Any = second.create_client("ecr")
        (found,) = again.batch_get_image(repositoryName="ab", imageIds=[{"imageTag": "v1"}])["images"]
        assert found["imageManifest"].encode() == image.manifest


def test_two_sessions_share_a_folder(tmp_path: Path) -> None:
    """What one session does another over the same folder sees at once."""
    with moorage.Session(tmp_path) as one, moorage.Session(tmp_path) as other:
        first, second = (opened.create_client("ecr") for opened in (one, other))
        writer: Any = first
        reader: Any = second
        for name in ("ab", "cd"):
            writer.create_repository(repositoryName=name)
            assert reader.describe_repositories(repositoryNames=[name])["repositories"]
        reader.delete_repository(repositoryName="ab")
        assert [one["repositoryName"] for one in writer.describe_repositories()["repositories"]] == ["cd"]


def test_threads_share_a_client(client: Any) -> None:
    """A client may be used by several threads at once, as botocore's clients may."""
    made = sorted(f"repo-{number:02}" for number in range(32))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: client.create_repository(repositoryName=name), made))
    assert [one["repositoryName"] for one in client.describe_repositories()["repositories"]] == made


def test_a_region_is_a_registry(session: moorage.Session, client: Any) -> None:
    """A client for another region has another registry."""
    other: Any = session.create_client("ecr", region_name="eu-north-1")
    other.create_repository(repositoryName="ab")
    assert client.describe_repositories()["repositories"] == []


def test_sts_knows_the_caller(session: moorage.Session) -> None:
    """The session has a client of STS too."""
    client: Any = session.create_client("sts")
    assert client.get_caller_identity()["Arn"] == "arn:aws:iam::000000000000:root"


def test_other_services_are_refused(session: moorage.Session) -> None:
    """A client for a service that a registry does not have is refused, and not sent to Amazon."""
    with pytest.raises(ValueError, match="not for 's3'"):
        session.create_client("s3")


# --- Its errors and events -------------------------------------------------------


def test_errors_are_the_clients(client: Any) -> None:
    """An error is one of the client's own exceptions, with code, message, status and request id."""
    with pytest.raises(client.exceptions.RepositoryNotFoundException) as caught:
        client.list_images(repositoryName="not/here")
    response = caught.value.response
    assert response["Error"] == {
        "Code": "RepositoryNotFoundException",
        "Message": "The repository with name 'not/here' does not exist in the registry with id '000000000000'",
    }
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert response["ResponseMetadata"]["RetryAttempts"] == 0
    assert len(response["ResponseMetadata"]["RequestId"]) == 36


def test_extra_members_of_errors_arrive(client: Any) -> None:
    """What an error has beside its message arrives in its response."""
    client.create_repository(repositoryName="ab")
    upload = client.initiate_layer_upload(repositoryName="ab")["uploadId"]
    with pytest.raises(client.exceptions.InvalidLayerPartException) as caught:
        client.upload_layer_part(
            repositoryName="ab", uploadId=upload, partFirstByte=5, partLastByte=5, layerPartBlob=b"x"
        )
    assert caught.value.response["uploadId"] == upload
    assert caught.value.response["lastValidByteReceived"] == 0


def test_keys_are_checked(session: moorage.Session) -> None:
    """A key that is given and is not of this registry is refused, as it is by a server."""
    client: Any = session.create_client("ecr", aws_access_key_id="AKIA" + "A" * 16, aws_secret_access_key="b" * 40)
    with pytest.raises(ClientError, match="UnrecognizedClientException"):
        client.describe_repositories()


def test_dev_takes_any_key(tmp_path: Path) -> None:
    """With ``dev`` any key will do."""
    with moorage.Session(tmp_path, dev=True) as opened:
        client: Any = opened.create_client("ecr", aws_access_key_id="a", aws_secret_access_key="b")
        assert client.describe_repositories()["repositories"] == []


EVENTS = [
    "provide-client-params.ecr.CreateRepository",
    "before-parameter-build.ecr.CreateRepository",
    "before-call.ecr.CreateRepository",
    "request-created.ecr.CreateRepository",
    "before-sign.ecr.CreateRepository",
    "before-send.ecr.CreateRepository",
    "response-received.ecr.CreateRepository",
    "after-call.ecr.CreateRepository",
]


def heard(client: Any, name: str) -> list[str]:
    """Return the events that botocore sends out while a repository is created."""
    seen: list[str] = []

    def note(event_name: str, **_named: Any) -> None:
        seen.append(event_name)

    for event in EVENTS:
        client.meta.events.register_first(event, note)
    client.create_repository(repositoryName=name)
    return seen


def test_hooks_hear_what_they_hear_of_a_server(client: Any, server: Server, name: str) -> None:
    """Hooks on botocore's events are called as they are for a request over a socket, in the same order."""
    assert heard(client, name) == EVENTS
    assert heard(server.client(), name) == EVENTS


def test_a_hook_may_change_a_request(client: Any) -> None:
    """What a hook does to parameters and headers has its effect."""

    def rename(params: dict[str, Any], **_named: Any) -> None:
        params["repositoryName"] = "renamed"

    client.meta.events.register("provide-client-params.ecr.CreateRepository", rename)
    assert client.create_repository(repositoryName="ab")["repository"]["repositoryName"] == "renamed"


# --- Closed ----------------------------------------------------------------------


def test_a_closed_session_says_so(tmp_path: Path) -> None:
    """A client of a session that has been closed says so, and closing twice is fine."""
    opened = moorage.Session(tmp_path)
    client: Any = opened.create_client("ecr")
    opened.close()
    opened.close()
    with pytest.raises(RuntimeError, match="this session has been closed"):
        client.describe_repositories()


def test_an_error_closes_the_session(tmp_path: Path) -> None:
    """Leaving the block by an error closes the session too, and the error goes on."""

    def fail() -> None:
        with moorage.Session(tmp_path) as opened:
            clients.append(opened.create_client("ecr"))
            raise LookupError("of the test")

    clients: list[Any] = []
    with pytest.raises(LookupError, match="of the test"):
        fail()
    with pytest.raises(RuntimeError, match="closed"):
        clients[0].describe_repositories()


def open_files(folder: Path) -> list[str]:
    """Return the files of a folder that this process has open (Linux)."""
    links = Path("/proc/self/fd").iterdir()
    return [str(link.readlink()) for link in links if link.exists() and str(link.readlink()).startswith(str(folder))]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux's /proc")
def test_a_closed_session_lets_go_of_the_folder(tmp_path: Path) -> None:
    """After close no file of the folder is open, and the folder can be taken away."""
    with moorage.Session(tmp_path / "data") as opened:
        client: Any = opened.create_client("ecr")
        client.create_repository(repositoryName="ab")
        content.upload_layer(client, "ab", b"a layer")
        assert open_files(tmp_path)
    assert open_files(tmp_path) == []
    shutil.rmtree(tmp_path / "data")


# --- No socket -------------------------------------------------------------------


def test_no_server_is_asked(tmp_path: Path) -> None:
    """The address that the client is told need not be anybody's."""
    with moorage.Session(tmp_path, public_url="http://192.0.2.1:9") as opened:
        client: Any = opened.create_client("ecr")
        client.create_repository(repositoryName="ab")
        assert client.describe_repositories()["repositories"][0]["repositoryUri"] == "192.0.2.1:9/ab"


def test_no_socket_is_made(tmp_path: Path) -> None:
    """A program in which Python refuses to make any socket pushes and reads an image through the embedded client."""
    program = """
        import sys

        def refuse(event, arguments):
            if event.startswith("socket."):
                raise RuntimeError(event)

        sys.addaudithook(refuse)

        import moorage
        from tests import content

        image = content.image()
        with moorage.Session(sys.argv[1]) as session:
            client = session.create_client("ecr")
            client.create_repository(repositoryName="ab")
            for part in (image.config, *image.layers):
                content.upload_layer(client, "ab", part)
            client.put_image(repositoryName="ab", imageManifest=image.manifest.decode(), imageTag="v1")
            print(client.list_images(repositoryName="ab")["imageIds"][0]["imageTag"])
            print(session.create_client("sts").get_caller_identity()["Account"])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)],
        env=servers.clean_environment(),
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.split() == ["v1", "000000000000"], done.stderr


# --- With a server ---------------------------------------------------------------


@pytest.fixture
def beside(server: Server) -> Iterator[moorage.Session]:
    """A session over the folder that the server serves."""
    with moorage.Session(server.data, account_id=ACCOUNT, region=REGION, port=server.port) as opened:
        yield opened


def test_beside_a_server_both_see_the_same(server: Server, ecr: Any, beside: moorage.Session, name: str) -> None:
    """Over the folder of a running server, what either does the other sees at once, images too."""
    embedded: Any = beside.create_client("ecr")
    made = embedded.create_repository(repositoryName=name)["repository"]
    assert ecr.describe_repositories(repositoryNames=[name])["repositories"] == [made]

    image = content.push(server, name, "v1")
    (details,) = embedded.describe_images(repositoryName=name)["imageDetails"]
    assert details["imageDigest"] == image.digest
    embedded.batch_delete_image(repositoryName=name, imageIds=[{"imageTag": "v1"}])
    assert server.request("GET", f"/v2/{name}/manifests/v1").status == 404

    text = '{"Statement": [{"Effect": "Deny", "Principal": "*", "Action": "ecr:ListImages"}]}'
    embedded.set_repository_policy(repositoryName=name, policyText=text)
    assert server.request("GET", f"/v2/{name}/tags/list").status == 403


def test_an_upload_goes_on_in_the_server(server: Server, ecr: Any, beside: moorage.Session, repository: str) -> None:
    """An upload that was begun in process is continued and completed through the server."""
    embedded: Any = beside.create_client("ecr")
    parts = [bytes(5 * 1024 * 1024), b"the rest"]
    upload = {
        "repositoryName": repository,
        "uploadId": embedded.initiate_layer_upload(repositoryName=repository)["uploadId"],
    }
    first = 0
    for client, part in ((embedded, parts[0]), (ecr, parts[1])):
        client.upload_layer_part(**upload, partFirstByte=first, partLastByte=first + len(part) - 1, layerPartBlob=part)
        first += len(part)
    digest = content.digest_of(b"".join(parts))
    assert ecr.complete_layer_upload(**upload, layerDigests=[digest])["layerDigest"] == digest
    assert server.request("GET", f"/v2/{repository}/blobs/{digest}").data == b"".join(parts)


def test_what_the_session_signs_is_good_at_the_server(server: Server, beside: moorage.Session, repository: str) -> None:
    """Passwords, download addresses and presigned URLs that the embedded client gives are honoured by the server."""
    embedded: Any = beside.create_client("ecr")
    image = content.push(server, repository, "v1")
    token = embedded.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    digest = content.digest_of(image.layers[0])
    url = embedded.get_download_url_for_layer(repositoryName=repository, layerDigest=digest)["downloadUrl"]
    presigned = embedded.generate_presigned_url("list_images", Params={"repositoryName": repository})
    headers = {"Content-Type": CONTENT_TYPE, "X-Amz-Target": f"{TARGET}ListImages"}

    assert server.request("GET", f"/v2/{repository}/manifests/v1", token=token).data == image.manifest
    assert server.http.request("GET", url).data == image.layers[0]
    listed = server.http.request("POST", presigned, headers=headers, body=b"")
    assert listed.json() == {"imageIds": [{"imageDigest": image.digest, "imageTag": "v1"}]}


def test_an_address_is_all_it_takes(server: Server, repository: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an address the session's clients are of that server, and sign with what the environment has."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.key.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.key.secret_access_key)
    with moorage.Session(endpoint_url=server.url, region=REGION) as remote:
        client: Any = remote.create_client("ecr")
        sts: Any = remote.create_client("sts")
        assert client.list_images(repositoryName=repository)["imageIds"] == []
        assert sts.get_caller_identity()["Account"] == ACCOUNT


def test_an_address_and_a_folder(server: Server, repository: str) -> None:
    """With an address and a folder, clients are of that server and sign with the folder's root key."""
    with moorage.Session(server.data, endpoint_url=server.url, account_id=ACCOUNT, region=REGION) as remote:
        client: Any = remote.create_client("ecr")
        assert client.list_images(repositoryName=repository)["imageIds"] == []


def test_an_address_alone_makes_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an address alone nothing is made on this machine, and the key of a registry of ours is not used."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with moorage.Session(tmp_path / "moorage"):
        pass
    before = sorted(tmp_path.rglob("*"))
    with moorage.Session(endpoint_url="http://192.0.2.1:9") as remote:
        client: Any = remote.create_client("ecr")
        with pytest.raises(NoCredentialsError):
            client.describe_repositories()
    assert sorted(tmp_path.rglob("*")) == before
