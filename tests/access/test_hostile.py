"""Requests that pretend: altered, late, replayed elsewhere, forged, smuggled, or of somebody who is gone."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import json
import socket
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from moorage.domain.names import EntityName, RepositoryName
from moorage.domain.policies import MAX_LENGTH
from moorage.registry import identities, keys, repositories
from moorage.registry.auth import Signed, authorize
from tests import content
from tests.access import world as worlds
from tests.access.kit import document
from tests.access.world import OTHER, Outcome, Person, Stage, World, allow, arn_of, deny
from tests.aws.wire import QuerySigner, Request, Sender
from tests.domain.test_policies_property import steps
from tests.servers import ACCOUNT, REGION
from tests.stacks import ALONE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DOMAIN: Final = "registry.test"
WORKERS_ASKED: Final = 12
"""Connections that are opened anew to ask both workers: each takes the next that comes."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A served installation with a domain; guessers are not slowed, because this guesses all the time."""
    flags = ("--domain", DOMAIN, "--failed-attempts", "0")
    with worlds.opened(tmp_path_factory.mktemp("hostile"), ALONE, *flags, domain=DOMAIN) as opened:
        yield opened


@pytest.fixture(scope="module")
def stage(world: World) -> Stage:
    """A repository of the account."""
    return world.stage()


def sender(world: World, person: Person | None = None, **more: Any) -> Sender:
    """Return who sends, by default the root."""
    who = person or world.root
    given = {"key": who.access_key_id, "secret": who.secret, "token": who.session_token} | more
    return Sender(world.server, **given)


# --- Presigned URLs -------------------------------------------------------------------


def presigned(world: World, stage: Stage, **more: Any) -> Request:
    """Return a presigned request of DescribeImages."""
    query = f"?repositoryName={stage.name.replace('/', '%2F')}"
    return sender(world, signer=QuerySigner, **more).request("DescribeImages", b"", query)


def replacing(old: str, new: str) -> Callable[[Request], Request]:
    """Return a change to a URL, which must have what is replaced."""

    def change(request: Request) -> Request:
        assert old in request.url, (old, request.url)
        return dataclasses.replace(request, url=request.url.replace(old, new))

    return change


ALTERED: Final[dict[str, Callable[[Request], Request]]] = {
    "another repository": replacing("repositoryName=stage", "repositoryName=seed"),
    "one more parameter": lambda r: dataclasses.replace(r, url=r.url + "&maxResults=1"),
    "one parameter less": lambda r: dataclasses.replace(r, url=r.url.replace("X-Amz-Expires=3600&", "")),
    "a parameter twice": lambda r: dataclasses.replace(r, url=r.url + "&repositoryName=seed"),
    "a longer life": replacing("X-Amz-Expires=3600", "X-Amz-Expires=36000"),
    "another region": replacing(f"%2F{REGION}%2Fecr", "%2Feu-west-2%2Fecr"),
    "another service": replacing("%2Fecr%2F", "%2Fsts%2F"),
    "another end of the scope": replacing("aws4_request", "aws4_requests"),
    "another algorithm": replacing("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"),
    "no algorithm": replacing("AWS4-HMAC-SHA256", "none"),
    "another key": replacing("X-Amz-Credential=", "X-Amz-Credential=X"),
    "fewer signed headers": replacing("content-type%3Bhost%3Bx-amz-target", "host"),
    "no signed host": replacing("content-type%3Bhost%3Bx-amz-target", "content-type%3Bx-amz-target"),
    "a signature of nothing": lambda r: dataclasses.replace(r, url=r.url.partition("X-Amz-Signature=")[0] + "X-Amz-Signature="),
    "no signature": lambda r: dataclasses.replace(r, url=r.url.partition("&X-Amz-Signature=")[0]),
    "a short signature": lambda r: dataclasses.replace(r, url=r.url[:-1]),
    "another signature": lambda r: dataclasses.replace(r, url=r.url[:-1] + ("0" if r.url[-1] != "0" else "1")),
    "a signature in capitals": lambda r: dataclasses.replace(r, url=r.url[:-64] + r.url[-64:].upper()),
    "another operation": lambda r: r.with_headers(x_amz_target="AmazonEC2ContainerRegistry_V20150921.DeleteRepository"),
    "another host": lambda r: r.with_headers(host=f"{OTHER}.dkr.ecr.{REGION}.{DOMAIN}"),
    "another content type": lambda r: r.with_headers(content_type="application/x-www-form-urlencoded"),
    "a body": lambda r: dataclasses.replace(r, body=b'{"repositoryName":"seed"}'),
    "another method": lambda r: dataclasses.replace(r, method="PUT"),
    "an unsigned date": lambda r: r.with_headers(x_amz_date="20260101T000000Z"),
    "an unsigned session": lambda r: r.with_headers(x_amz_security_token="x"),
    "a second credential": lambda r: r.with_headers(authorization="Basic QVdTOng="),
}  # fmt: skip


def test_a_presigned_url_is_good(world: World, stage: Stage) -> None:
    """What is altered below works as it was signed."""
    answer = presigned(world, stage).send(world.server)

    assert [image["imageTags"] for image in answer.document["imageDetails"]] == [["v1"]]


@pytest.mark.parametrize("change", ALTERED)
def test_an_altered_presigned_url(world: World, stage: Stage, change: str) -> None:
    """A presigned URL with anything about it changed is refused, and nothing of it is done."""
    answer = ALTERED[change](presigned(world, stage)).send(world.server)

    assert answer.status in {400, 403, 405}
    assert "imageDetails" not in answer.http.data.decode()
    assert world.rows(stage)["repositories"]


@pytest.mark.parametrize(
    ("late", "word"), [(timedelta(hours=2), "expired"), (-timedelta(minutes=20), "not yet current")]
)
def test_a_presigned_url_has_its_time(world: World, stage: Stage, late: timedelta, word: str) -> None:
    """A presigned URL is refused when its hour is over, and before it has begun."""
    refused = presigned(world, stage, late=late).send(world.server)

    assert word in refused.refused("InvalidSignatureException")


# --- Signed requests, sent again elsewhere ----------------------------------------------

AGAIN: Final[dict[str, Callable[[Request], Request]]] = {
    "in another region's scope": lambda r: r.with_headers(
        authorization=r.headers["Authorization"].replace(f"/{REGION}/", "/eu-west-2/")
    ),
    "in another service's scope": lambda r: r.with_headers(authorization=r.headers["Authorization"].replace("/ecr/", "/sts/")),
    "with another body": lambda r: dataclasses.replace(r, body=r.body.replace(b'"force": false', b'"force": true ')),
    "without a body": lambda r: dataclasses.replace(r, body=b""),
    "for another operation": lambda r: r.with_headers(x_amz_target=r.headers["X-Amz-Target"].replace("Delete", "Create")),
    "without its target": lambda r: r.with_headers(x_amz_target=None),
    "to another host": lambda r: r.with_headers(host=f"{OTHER}.dkr.ecr.{REGION}.{DOMAIN}"),
    "with another date": lambda r: r.with_headers(x_amz_date=r.headers["X-Amz-Date"].replace("Z", "Z ")[:-3] + "0Z")
    if not r.headers["X-Amz-Date"].endswith("00Z")
    else r.with_headers(x_amz_date=r.headers["X-Amz-Date"][:-2] + "1Z"),
    "with a target that is not signed": lambda r: r.with_headers(
        authorization=r.headers["Authorization"].replace(";x-amz-target", "")
    ),
    "with a header of AWS that is not signed": lambda r: r.with_headers(x_amz_account_id=OTHER),
    "with a hash of another body": lambda r: r.with_headers(x_amz_content_sha256=hashlib.sha256(b"{}").hexdigest()),
    "with no hash of its body": lambda r: r.with_headers(x_amz_content_sha256="UNSIGNED-PAYLOAD"),
    "with a second credential": lambda r: r.with_headers(authorization=r.headers["Authorization"] + ", Signature=" + "0" * 64),
    "as a form": lambda r: r.with_headers(content_type="application/x-www-form-urlencoded"),
    "by another method": lambda r: dataclasses.replace(r, method="GET"),
    "at another path": lambda r: dataclasses.replace(r, url=r.url + "v2/"),
    "with a query": lambda r: dataclasses.replace(r, url=r.url + "?registryId=" + OTHER),
}  # fmt: skip


def deleting(world: World, target: Stage, **more: Any) -> Request:
    """Return a signed request that deletes a repository."""
    return sender(world, **more).request("DeleteRepository", {"repositoryName": target.name, "force": False})


@pytest.mark.parametrize("change", AGAIN)
def test_a_signed_request_is_good_for_itself_alone(world: World, change: str) -> None:
    """A request that is taken down and sent again with anything changed is refused, and does nothing."""
    target = world.stage()
    before = world.rows(target)

    answer = AGAIN[change](deleting(world, target)).send(world.server)

    assert answer.status in {400, 403, 404, 405, 401}
    assert world.rows(target) == before


@pytest.mark.parametrize("late", [timedelta(minutes=15), -timedelta(minutes=15), timedelta(days=1), timedelta(days=-1)])
def test_a_signed_request_is_good_for_minutes(world: World, late: timedelta) -> None:
    """A request that was signed a quarter of an hour ago, or in time to come, is refused."""
    target = world.stage()

    deleting(world, target, late=late).send(world.server).refused("InvalidSignatureException")

    assert world.rows(target)["repositories"]


def test_another_region_is_another_registry(world: World) -> None:
    """Signing for another region reaches its registry, never this one's repository."""
    target = world.stage()

    deleting(world, target, region="eu-west-2").send(world.server).refused("RepositoryNotFoundException")

    assert world.rows(target)["repositories"]


# --- What would name another account, host or client -------------------------------------


def raw(world: World, lines: list[str]) -> Outcome:
    """Send a request as it is written; return what came back."""
    text = "\r\n".join([*lines, "Connection: close", "", ""])
    with socket.create_connection(("127.0.0.1", world.server.port), timeout=30) as connection:
        connection.sendall(text.encode("latin-1"))
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = received.partition(b"\r\n\r\n")
    return Outcome(int(head.split()[1]), body=body) if head else Outcome(0)


def host(account: str = ACCOUNT, region: str = REGION) -> str:
    """Return a registry's host name."""
    return f"{account}.dkr.ecr.{region}.{DOMAIN}"


SMUGGLED: Final[dict[str, list[str]]] = {
    "a forwarded host": [f"X-Forwarded-Host: {host(OTHER)}"],
    "a forwarded request": [f"Forwarded: for=1.2.3.4;host={host(OTHER)}"],
    "an original host": [f"X-Original-Host: {host(OTHER)}", f"X-Host: {host(OTHER)}"],
    "a rewritten address": ["X-Original-URL: /v2/_catalog", "X-Rewrite-URL: /v2/_catalog"],
    "another method": ["X-HTTP-Method-Override: DELETE"],
    "an account": [f"X-Amz-Account-Id: {OTHER}", f"X-Amz-Source-Account: {OTHER}"],
    "a region": ["X-Amz-Region: eu-west-2"],
    "a principal": [f"X-Amz-Principal-Arn: arn:aws:iam::{OTHER}:root", f"X-Remote-User: {OTHER}"],
}


@pytest.mark.parametrize("kind", SMUGGLED)
def test_headers_do_not_say_where_or_who(world: World, stage: Stage, kind: str) -> None:
    """No header but Host and Authorization changes which registry is meant, or who asks."""
    token = world.token(world.root)
    path = f"/v2/{stage.name}/tags/list"
    head = [f"GET {path} HTTP/1.1", f"Host: {host()}", f"Authorization: Basic {token}"]

    plain, more = raw(world, head), raw(world, head + SMUGGLED[kind])

    assert (plain.status, plain.body) == (200, more.body)
    assert more.status == 200
    theirs = world.token(world.other_root, OTHER)
    denied = raw(world, [head[0], head[1], f"Authorization: Basic {theirs}", *SMUGGLED[kind]])
    assert denied.status == 403
    assert f"on resource: {stage.arn}".encode() in denied.body


def test_the_address_of_a_client_is_the_sockets(world: World, stage: Stage) -> None:
    """A policy about addresses looks at the connection: no header makes somebody come from elsewhere."""
    person = world.user(allow("ecr:*", Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}))
    token = world.token(person)
    given = ["X-Forwarded-For: 10.0.0.1", "X-Real-IP: 10.0.0.1", "Forwarded: for=10.0.0.1", "True-Client-IP: 10.0.0.1"]

    denied = raw(
        world,
        [f"GET /v2/{stage.name}/tags/list HTTP/1.1", f"Host: {host()}", f"Authorization: Basic {token}", *given],
    )

    assert denied.status == 403


def test_a_plain_connection_is_not_called_secure(world: World, stage: Stage) -> None:
    """No header makes a connection pass for TLS."""
    person = world.user(allow("ecr:*", Condition={"Bool": {"aws:SecureTransport": "true"}}))
    head = [f"GET /v2/{stage.name}/tags/list HTTP/1.1", f"Host: {host()}"]
    given = ["X-Forwarded-Proto: https", "X-Forwarded-Ssl: on", "Front-End-Https: on"]

    assert raw(world, [*head, f"Authorization: Basic {world.token(person)}", *given]).status == 403


@pytest.mark.parametrize(
    "named",
    [
        host().upper(), host() + ":80", f"{host()}:{5100}", "localhost", "127.0.0.1", "anything.example", DOMAIN,
        f"evil-{DOMAIN}", f"x.{host()}", f"{ACCOUNT}.dkr.ecr.{REGION}.{DOMAIN}.evil.example",
    ],
)  # fmt: skip
def test_hosts_that_mean_this_registry_or_none(world: World, stage: Stage, named: str) -> None:
    """A registry's host name counts in any case; one that is no registry's leaves it to the token."""
    head = [f"GET /v2/{stage.name}/tags/list HTTP/1.1", f"Host: {named}"]

    assert raw(world, [*head, f"Authorization: Basic {world.token(world.root)}"]).status == 200
    theirs = raw(world, [*head, f"Authorization: Basic {world.token(world.other_root, OTHER)}"])
    assert theirs.status in {403, 404}
    assert b"v1" not in theirs.body


@pytest.mark.parametrize("named", [host(OTHER), host(OTHER).upper(), host(OTHER) + ":5100"])
def test_the_host_of_another_account_is_not_this_one(world: World, stage: Stage, named: str) -> None:
    """A request to another account's host name is about that account, however good the token is here."""
    token = world.token(world.root)

    denied = raw(world, [f"GET /v2/{stage.name}/tags/list HTTP/1.1", f"Host: {named}", f"Authorization: Basic {token}"])

    assert denied.status == 403
    assert f"on resource: {arn_of(stage.name, OTHER)}".encode() in denied.body


@pytest.mark.parametrize(
    "lines",
    [
        ["Host: {host}", "Host: {other}"],
        ["Host: {other}", "Host: {host}"],
        ["Host: {host}, {other}"],
        ["Host: {host}\t{other}"],
        ["Host : {other}", "Host: {host}"],
        ["Host: {host}", "Content-Length: 5", "Transfer-Encoding: chunked"],
        ["Host: {host}", "Authorization: Basic {theirs}"],
        ["Host: {host}", "Authorization: Bearer {theirs}"],
    ],
)
def test_two_of_what_there_is_one_of(world: World, stage: Stage, lines: list[str]) -> None:
    """Two hosts, two lengths or two credentials never let somebody into what neither of them could see."""
    words = {"host": host(), "other": host(OTHER), "theirs": world.token(world.other_root, OTHER)}
    mine = world.token(world.user())
    head = [f"GET /v2/{stage.name}/tags/list HTTP/1.1", f"Authorization: Basic {mine}"]

    answer = raw(world, [*head, *(line.format(**words) for line in lines)])

    assert answer.status in {0, 400, 401, 403}
    assert b'"v1"' not in answer.body


@pytest.mark.parametrize(
    "target",
    [
        "http://{other}/v2/{name}/tags/list", "//{other}/v2/{name}/tags/list", "/v2/%2e%2e/v2/{name}/tags/list",
        "/v2/seed/%2e%2e/{name}/tags/list", "/v2/seed/../{name}/tags/list", "/v2//{name}/tags/list",
        "/V2/{name}/tags/list", "/v2/{name}%2Ftags%2Flist", "/v2/{name}/tags/list/", "/v2/{name}/./tags/list",
        "/v2/{name}/tags/list;x=1", "/v2/{name}%00/tags/list", "/v2/{name}%0d%0aHost:%20x/tags/list", "/v2/{name}\\tags\\list",
    ],
)  # fmt: skip
def test_no_way_of_writing_an_address_leads_round_access(world: World, stage: Stage, target: str) -> None:
    """However a path is written, who may do nothing is shown nothing."""
    token = world.token(world.user())
    line = target.format(name=stage.name, other=host(OTHER))

    answer = raw(world, [f"GET {line} HTTP/1.1", f"Host: {host()}", f"Authorization: Basic {token}"])

    assert answer.status in {0, 400, 403, 404}
    assert b'"v1"' not in answer.body


def test_an_absolute_address_is_its_path(world: World, stage: Stage) -> None:
    """A request target with scheme and host is answered as its path is, for the host in Host."""
    token = world.token(world.root)
    line = f"GET http://{host(OTHER)}/v2/{stage.name}/tags/list HTTP/1.1"

    answer = raw(world, [line, f"Host: {host(OTHER)}", f"Authorization: Basic {token}"])

    assert answer.status == 403
    assert arn_of(stage.name, OTHER).encode() in answer.body


# --- Tokens ---------------------------------------------------------------------------


def b64(data: bytes) -> str:
    """Encode as a JWT's parts are."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def parts_of(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a token's header and claims."""
    head, body, _ = token.split(".")
    return tuple(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in (head, body))


def resigned(token: str, secret: bytes, algorithm: str = "HS256", **claims: Any) -> str:
    """Return a token's claims, changed, signed with another secret; unsigned by ``none``."""
    head, held = parts_of(token)
    text = f"{b64(json.dumps(head | {'alg': algorithm}).encode())}.{b64(json.dumps(held | claims).encode())}"
    return f"{text}.{b64(hmac.digest(secret, text.encode(), 'sha256')) if algorithm == 'HS256' else ''}"


def forgeries(world: World, token: str) -> Iterator[str]:
    """Return what somebody who has a token, but not our key, can make of it."""
    for algorithm in ("none", "None", "NONE", ""):
        yield resigned(token, b"", algorithm)
    for secret in (b"", b"secret", b"\0" * 32, world.root.secret.encode(), ACCOUNT.encode()):
        yield resigned(token, secret)
    yield resigned(token, b"x" * 32, registry=OTHER)
    head, body, signature = token.split(".")
    _, claims = parts_of(token)
    yield f"{head}.{b64(json.dumps(claims | {'exp': int(time.time()) + 10**6}).encode())}.{signature}"
    yield f"{b64(json.dumps({'alg': 'HS256', 'kid': 'x', 'jwk': {'kty': 'oct', 'k': b64(b'x' * 32)}}).encode())}.{body}.{signature}"
    yield f"{head}.{body}."
    yield f"{head}.{body}"
    yield token[:-1]
    yield token[:-1] + ("A" if token[-1] not in "ABCD" else "Q")
    yield token[: len(token) // 2]
    yield ""


def purposes(world: World, stage: Stage) -> dict[str, str]:
    """Return a good token of every purpose that there is, all the root's."""
    world.make(dataclasses.replace(stage, name=f"{stage.name}/{world.number()}"), "v1")
    page = json.loads(world.call(world.root, "describe_repositories", maxResults=1).body)["nextToken"]
    layer = content.digest_of(stage.image.layers[0])
    given = {"repositoryName": stage.name, "layerDigest": layer}
    url = json.loads(world.call(world.root, "get_download_url_for_layer", **given).body)["downloadUrl"]
    login = base64.b64decode(world.token(world.root)).decode().removeprefix("AWS:")
    sts = world.server.client("sts", **world.root.credentials).get_session_token()["Credentials"]
    return {
        "login": login,
        "page": page,
        "layer": url.rpartition("/")[2],
        "session": sts["SessionToken"],
        "upload": world.upload(stage),
        "secret": world.root.secret,
    }


def opens(world: World, stage: Stage, purpose: str, token: str) -> bool:
    """Tell whether a token is taken for one purpose."""
    if purpose == "login":
        basic = base64.b64encode(f"AWS:{token}".encode()).decode()
        return world.send(basic, "GET", f"/v2/{stage.name}/tags/list").status == 200
    if purpose == "page":
        answer = world.call(world.root, "describe_repositories", nextToken=token) if token else Outcome(400)
        return answer.status == 200
    if purpose == "layer":
        return world.send(None, "GET", f"/layers/{token}").status == 200
    person = dataclasses.replace(world.root, session_token=token or "x")
    return world.call(person, "describe_images", repositoryName=stage.name).status == 200


@pytest.mark.parametrize("purpose", ["login", "page", "layer", "session"])
def test_a_token_is_good_for_its_purpose_alone(world: World, stage: Stage, purpose: str) -> None:
    """A page token is no password, a password no layer's address, and so on, each with each."""
    tokens = purposes(world, stage)

    taken = {kind for kind, token in tokens.items() if opens(world, stage, purpose, token)}

    # A session's token needs the session's own key and secret beside it.
    assert taken == ({purpose} if purpose != "session" else set())


@pytest.mark.parametrize("purpose", ["login", "page", "layer"])
def test_forged_tokens(world: World, stage: Stage, purpose: str) -> None:
    """No token that was signed by another, not signed, altered or cut short is taken."""
    token = purposes(world, stage)[purpose]
    assert opens(world, stage, purpose, token)

    assert [forged for forged in forgeries(world, token) if opens(world, stage, purpose, forged)] == []


def test_forged_session_tokens(world: World, stage: Stage) -> None:
    """A session token that is altered anywhere, or cut short, is refused with the session's own key and secret."""
    person = world.session(allow("ecr:*"))
    given = {"repositoryName": stage.name}
    assert world.call(person, "describe_images", **given).status == 200
    token = person.session_token or ""

    for at in range(0, len(token) - 4, max(1, len(token) // 40)):
        changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        refused = world.call(dataclasses.replace(person, session_token=changed), "describe_images", **given)
        assert refused.code == "UnrecognizedClientException", (at, refused)
    for short in (token[:-4], token[:40], token + "AAAA", "A" * len(token)):
        refused = world.call(dataclasses.replace(person, session_token=short), "describe_images", **given)
        assert refused.code == "UnrecognizedClientException"


def test_the_master_key_itself_signs_nothing(world: World, stage: Stage) -> None:
    """Every purpose has a key of its own: what is signed with the key that they are made from is forged."""
    master = world.registry.keyring._keys[0][0].key
    for purpose, token in purposes(world, stage).items():
        if purpose in {"login", "page", "layer"}:
            assert not opens(world, stage, purpose, resigned(token, master))


# --- Who is gone -----------------------------------------------------------------------


def everywhere(world: World, ask: Callable[[], int]) -> set[int]:
    """Return what all workers answer: each question comes by a connection of its own."""
    found = set()
    for _ in range(WORKERS_ASKED):
        world.server.http.clear()
        found.add(ask())
    return found


def end_key(world: World, person: Person, _name: EntityName) -> None:
    """Disable a key."""
    with world.writing() as ctx:
        keys.set_active(ctx, person.access_key_id, active=False)


def delete_key(world: World, person: Person, _name: EntityName) -> None:
    """Delete a key."""
    with world.writing() as ctx:
        keys.delete(ctx, person.access_key_id)


def delete_user(world: World, _person: Person, name: EntityName) -> None:
    """Delete a user."""
    with world.writing() as ctx:
        identities.delete(ctx, identities.USER, name)


def delete_role(world: World, _person: Person, name: EntityName) -> None:
    """Delete a role."""
    with world.writing() as ctx:
        identities.delete(ctx, identities.ROLE, name)


def replace_role(world: World, person: Person, name: EntityName) -> None:
    """Delete a role and make another of that name that may do as much."""
    delete_role(world, person, name)
    again = world.session(allow("ecr:*"), name=name)
    assert again.arn == person.arn


@pytest.mark.parametrize("end", [end_key, delete_key, delete_user, delete_role, replace_role])
def test_what_somebody_left_is_dead_on_every_worker(
    world: World, stage: Stage, end: Callable[[World, Person, EntityName], None]
) -> None:
    """With a key, a user or a role end its signatures, logins and layer URLs, at once, in each worker that knew them."""
    person = world.session(allow("ecr:*")) if "role" in end.__name__ else world.user(allow("ecr:*"))
    name = EntityName(person.arn.split("/")[1])
    token = world.token(person)
    given = {"repositoryName": stage.name, "layerDigest": content.digest_of(stage.image.layers[0])}
    url = json.loads(world.call(person, "get_download_url_for_layer", **given).body)["downloadUrl"]
    layer = "/layers/" + url.rpartition("/")[2]
    tags, put = f"/v2/{stage.name}/tags/list", f"/v2/{stage.name}/blobs/uploads/"

    def statuses() -> list[set[int]]:
        return [
            everywhere(world, lambda: world.send(token, "GET", tags).status),
            everywhere(world, lambda: world.send(None, "GET", layer).status),
            everywhere(world, lambda: sender(world, person).send("DescribeRepositories").status),
        ]

    assert statuses() == [{200}, {200}, {200}]
    before = world.rows(stage)

    end(world, person, name)

    assert statuses() == [{401}, {401}, {400}]
    assert world.send(token, "POST", put).status == 401
    assert world.rows(stage) == before


def test_what_is_taken_away_counts_on_every_worker(world: World, stage: Stage) -> None:
    """A policy that is detached, or replaced, ends what it gave with the next request, in each worker."""
    person = world.user(allow("ecr:*"))
    name = EntityName(person.arn.rpartition("/")[2])
    token, tags = world.token(person), f"/v2/{stage.name}/tags/list"
    assert everywhere(world, lambda: world.send(token, "GET", tags).status) == {200}

    with world.writing() as ctx:
        identities.detach(ctx, identities.USER, name, f"user-{name}")

    assert everywhere(world, lambda: world.send(token, "GET", tags).status) == {403}


# --- Policies that are as large as they may be ---------------------------------------------


def worst(world: World, *, many: int) -> Person:
    """Return a user with some policies, each of the greatest length and of the worst wildcards."""
    person = world.user(allow("ecr:*"))
    name = EntityName(person.arn.rpartition("/")[2])
    for number in range(many):
        agents = ["*?" + "a?" * 4_500 + "b"] if number % 2 else ["?${aws:UserAgent}*b"] * 430
        statement = deny("*", Condition={"StringLike": {"aws:UserAgent": agents}})
        policy = EntityName(f"worst-{name}-{number}")
        with world.writing() as ctx:
            identities.put_policy(ctx, policy, document(statement))
            identities.attach(ctx, identities.USER, name, policy)
    return person


def lines_run(world: World, person: Person, stage: Stage) -> int:
    """Count the lines of the engine that run when somebody, with the longest agent there is, asks for something."""
    presented = Signed(
        access_key_id=person.access_key_id,
        region=REGION,
        service="ecr",
        session_token=None,
        verify=lambda _secret, _now: None,
    )
    with world.registry.read(presented, facts={"aws:UserAgent": "a" * 512}) as ctx:
        need, _ = repositories.need(ctx, "ecr:ListImages", RepositoryName(stage.name))
        return steps(lambda: authorize(ctx, need))


def test_the_worst_policies_cost_what_they_weigh(world: World, stage: Stage) -> None:
    """Ten policies of the worst kind and greatest length take five times the steps of two, and those are few."""
    two, ten = (lines_run(world, worst(world, many=many), stage) for many in (2, 10))

    assert two <= 50 * (MAX_LENGTH + 512)
    assert ten <= 6 * two
