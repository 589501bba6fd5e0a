"""Who is let in: the challenge, the token, and everything that only looks like one."""

from __future__ import annotations

import base64
import contextlib
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from moorage import app, keyfile
from moorage.config import Settings
from moorage.registry.keys import new_access_key
from moorage.registry.secrets import Keyring
from moorage.registry.tables import access_keys, repositories
from tests import content
from tests.servers import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moorage.registry.core import Registry
    from moorage.registry.keys import AccessKey
    from tests.oci.conftest import World
    from tests.oci.wire import Door
    from tests.servers import Server


def basic(username: str, password: str) -> str:
    """Return the value of an Authorization header."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def segment(value: Any) -> str:
    """Return one part of a JWT."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.fixture
def keyring(server: Server) -> Keyring:
    """The keyring of the server's own master key."""
    return Keyring(keyfile.read(Settings(data=server.data)), os.urandom)


@pytest.fixture
def claims(server: Server) -> dict[str, Any]:
    """What a good token says."""
    return {"key": server.key.access_key_id, "registry": ACCOUNT, "region": REGION}


@contextlib.contextmanager
def opened(server: Server) -> Iterator[Registry]:
    """Open the server's installation from this process."""
    settings = Settings(data=server.data, database=server.database, account_id=ACCOUNT, region=REGION)
    registry = app.open_registry(settings)
    try:
        yield registry
    finally:
        registry.close()


@pytest.fixture
def other_key(server: Server) -> AccessKey:
    """A second access key of the root."""
    key = new_access_key(ACCOUNT)
    with opened(server) as registry, registry.database.write() as tx:
        row = tx.execute(sa.select(access_keys).where(access_keys.c.id == server.key.access_key_id)).one()
        sealed = registry.keyring.seal(key.secret_access_key, key.access_key_id)
        tx.execute(sa.insert(access_keys).values({**row._mapping, "id": key.access_key_id, "secret": sealed}))
    return key


def test_the_challenge(anonymous: Door, server: Server) -> None:
    """Without a credential the answer is 401 with the challenge that makes clients send Basic."""
    answer = anonymous("GET", "/v2/")

    assert answer.status == 401
    assert answer.code == "UNAUTHORIZED"
    assert answer.headers["WWW-Authenticate"] == f'Basic realm="{server.url}/",service="ecr.amazonaws.com"'
    assert answer.headers["Docker-Distribution-Api-Version"] == "registry/2.0"


def test_the_token_is_the_header(anonymous: Door, server: Server) -> None:
    """What GetAuthorizationToken gives goes behind Basic as it is."""
    assert anonymous.but(f"Basic {server.token()}")("GET", "/v2/").status == 200


def test_the_scheme_has_no_case(anonymous: Door, server: Server) -> None:
    """The scheme may be written in any case (RFC 9110, 11.1)."""
    assert anonymous.but(f"bASIC {server.token()}")("GET", "/v2/").status == 200


def test_the_password_as_a_bearer_token(anonymous: Door, server: Server) -> None:
    """A client that only knows Bearer may send the password so."""
    assert anonymous.but(f"Bearer {server.password()}")("GET", "/v2/").status == 200


@pytest.mark.parametrize(
    "authorization",
    [
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic " + base64.b64encode(b"no colon").decode(),
        "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode(),
        "Basic " + "A" * 20_000,
        "Basic QVdTOg==",
        "Digest username=AWS",
        "Bearer",
        "Bearer x.y.z",
        "nonsense",
        "AWS4-HMAC-SHA256 Credential=x",
        "",
    ],
)
def test_what_is_no_credential_is_challenged(anonymous: Door, authorization: str) -> None:
    """A header that holds no credential gets the challenge."""
    answer = anonymous.but(authorization)("GET", "/v2/")

    assert (answer.status, answer.code) == (401, "UNAUTHORIZED")
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")


def test_two_credentials_are_none(anonymous: Door, server: Server) -> None:
    """A request with two Authorization headers is challenged, whichever of them is good."""
    connection = anonymous.connect()
    connection.putrequest("GET", "/v2/")
    connection.putheader("Authorization", f"Basic {server.token()}")
    connection.putheader("Authorization", "Basic QVdTOng=")
    connection.endheaders()

    assert connection.getresponse().status == 401
    connection.close()


def test_the_user_is_aws(anonymous: Door, server: Server) -> None:
    """The right password does not let in another user name."""
    for username in ("aws", "root", "", server.key.access_key_id):
        answer = anonymous.but(basic(username, server.password()))("GET", "/v2/")
        assert (answer.status, answer.code) == (401, "UNAUTHORIZED")


def test_a_secret_key_is_no_password(anonymous: Door, server: Server) -> None:
    """The access key's secret itself opens nothing here."""
    assert anonymous.but(basic("AWS", server.key.secret_access_key))("GET", "/v2/").status == 401


def test_an_expired_token_is_denied_in_ecrs_words(
    anonymous: Door, keyring: Keyring, claims: dict[str, Any], world: World
) -> None:
    """A token past its time gets no new challenge but ECR's message, on every path."""
    late = anonymous.but(basic("AWS", keyring.sign("authorization", claims, lifetime=-1)))

    for path in ("/v2/", f"/v2/{world.repo}/manifests/v1", "/v2/no/such/tags/list"):
        answer = late("GET", path)
        assert (answer.status, answer.code) == (403, "DENIED")
        assert answer.message == "Your authorization token has expired. Reauthenticate and try again."
        assert answer.headers["WWW-Authenticate"] is None


def test_a_token_for_a_minute_is_good(anonymous: Door, keyring: Keyring, claims: dict[str, Any]) -> None:
    """The same token with time left lets in: so the tests beside this one refuse for their own reasons."""
    assert anonymous.but(basic("AWS", keyring.sign("authorization", claims, lifetime=60)))("GET", "/v2/").status == 200


@pytest.mark.parametrize("purpose", ["download", "page", "seal", ""])
def test_a_token_for_another_purpose_is_no_password(
    anonymous: Door, keyring: Keyring, claims: dict[str, Any], purpose: str
) -> None:
    """What we signed as a download URL or a page token opens nothing, whatever it says."""
    answer = anonymous.but(basic("AWS", keyring.sign(purpose, claims, lifetime=60)))("GET", "/v2/")

    assert (answer.status, answer.code) == (401, "UNAUTHORIZED")


def test_a_real_page_token_and_a_real_url_are_no_passwords(
    anonymous: Door, server: Server, ecr: Any, world: World, door: Door
) -> None:
    """The page token and the download URL that the AWS door gives are refused as passwords."""
    door.image(world.repo, "v2")
    page = ecr.list_images(repositoryName=world.repo, maxResults=1)["nextToken"]
    url = ecr.get_download_url_for_layer(repositoryName=world.repo, layerDigest=world.blob)["downloadUrl"]

    for password in (page, url.rpartition("/")[2]):
        assert anonymous.but(basic("AWS", password))("GET", "/v2/").status == 401
    assert anonymous("GET", f"/layers/{server.password()}").status == 401


def test_an_unsigned_token_is_forged(anonymous: Door, claims: dict[str, Any]) -> None:
    """A token that says it needs no signature needs one."""
    for algorithm in ("none", "None", "NONE", "HS512", "RS256"):
        for signature in ("", "x"):
            forged = f"{segment({'alg': algorithm})}.{segment(claims)}.{signature}"
            assert anonymous.but(basic("AWS", forged))("GET", "/v2/").status == 401


def test_a_token_signed_with_another_key_is_forged(anonymous: Door, claims: dict[str, Any]) -> None:
    """A token of another installation opens nothing."""
    stranger = Keyring(os.urandom(32), os.urandom).sign("authorization", claims, lifetime=60)

    assert anonymous.but(basic("AWS", stranger))("GET", "/v2/").status == 401


def test_an_altered_token_is_forged(anonymous: Door, server: Server, claims: dict[str, Any]) -> None:
    """Claims exchanged under a good signature are refused."""
    head, _, signature = server.password().split(".")
    altered = f"{head}.{segment(claims | {'registry': '999999999999'})}.{signature}"

    assert anonymous.but(basic("AWS", altered))("GET", "/v2/").status == 401


@pytest.mark.parametrize(
    "change",
    [
        {"key": "AKIANOBODY"},
        {"registry": "12"},
        {"registry": "no digits"},
        {"region": "../x"},
        {"region": ""},
        {"exp": "soon"},
        {"exp": None},
        {"key": None},
        {"key": []},
        {"key": {}},
        {"registry": 5},
        {"region": None},
    ],
)
def test_a_token_of_ours_with_odd_claims_lets_nobody_in(
    anonymous: Door, keyring: Keyring, claims: dict[str, Any], change: dict[str, Any]
) -> None:
    """Even under our own signature, claims that mean nothing open nothing."""
    token = keyring.sign("authorization", {**claims, "exp": 4_000_000_000, **change})

    answer = anonymous.but(basic("AWS", token))("GET", "/v2/")

    assert answer.status in {401, 403} or change == {"exp": None}


@pytest.mark.parametrize("dropped", ["key", "registry", "region"])
def test_a_token_of_ours_without_a_claim_lets_nobody_in(
    anonymous: Door, keyring: Keyring, claims: dict[str, Any], dropped: str
) -> None:
    """A token that says less than it must is refused."""
    token = keyring.sign("authorization", {k: v for k, v in claims.items() if k != dropped}, lifetime=60)

    assert anonymous.but(basic("AWS", token))("GET", "/v2/").status == 401


def test_a_token_dies_with_its_key(server: Server, anonymous: Door, other_key: AccessKey, world: World) -> None:
    """Deactivating an access key ends its tokens at once on every worker, and its download URLs with them."""
    client = server.client(aws_access_key_id=other_key.access_key_id, aws_secret_access_key=other_key.secret_access_key)
    token = client.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    url = client.get_download_url_for_layer(repositoryName=world.repo, layerDigest=world.blob)["downloadUrl"]
    guest, path = anonymous.but(f"Basic {token}"), url.partition(server.host)[2]
    assert {guest("GET", "/v2/").status for _ in range(20)} == {200}
    assert anonymous("GET", path).data == world.pushed.layers[0]

    with opened(server) as registry, registry.database.write() as tx:
        tx.execute(sa.update(access_keys).where(access_keys.c.id == other_key.access_key_id).values(active=False))

    assert {guest("GET", "/v2/").status for _ in range(20)} == {401}
    assert anonymous("GET", path).status == 401


def test_a_download_url_ends(anonymous: Door, keyring: Keyring, server: Server, world: World) -> None:
    """A download URL past its time is refused."""
    with opened(server) as registry, registry.database.read() as tx:
        repository = tx.execute(sa.select(repositories.c.id).where(repositories.c.name == world.repo)).scalar_one()
    claims = {
        "key": server.key.access_key_id,
        "registry": ACCOUNT,
        "region": REGION,
        "repository": repository,
        "digest": world.blob,
    }

    good = anonymous("GET", "/layers/" + keyring.sign("download", claims, lifetime=60))
    late = anonymous("GET", "/layers/" + keyring.sign("download", claims, lifetime=-1))
    gone = anonymous("GET", "/layers/" + keyring.sign("download", claims | {"digest": content.digest_of(b"")}))

    assert good.data == world.pushed.layers[0]
    assert (late.status, late.data == world.pushed.layers[0]) == (401, False)
    assert gone.status == 404
