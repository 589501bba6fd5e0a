"""The protocol, one request a line: method, path, headers, body, and what must come back."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from moorage.domain import manifests
from moorage.oci.routes import ROWS
from tests import content
from tests.oci.wire import ABSENT, NO_UPLOAD
from tests.servers import ACCOUNT

if TYPE_CHECKING:
    from tests.oci.conftest import World
    from tests.oci.wire import Answer, Door

NOTHING = b""
HELLO = b"hello"
HELLO_DIGEST = content.digest_of(HELLO)
EMPTY_DIGEST = content.digest_of(NOTHING)
ANY = "*"
JSON = "application/json"
OCTETS = "application/octet-stream"
OCI = {"Content-Type": manifests.OCI_IMAGE}
UPLOAD = {"Location": "/v2/{repo}/blobs/uploads/*", "Docker-Upload-UUID": ANY}


class Case(NamedTuple):
    """One request and its answer; paths and headers may name parts of the `World` in braces."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes | str
    status: int
    code: str | None
    answers: dict[str, str]


# fmt: off
CASES = [
    # The version check
    Case("GET",    "/v2/",                                              {}, b"", 200, None, {"Content-Type": JSON}),
    Case("HEAD",   "/v2/",                                              {}, b"", 200, None, {"Content-Type": JSON}),
    Case("POST",   "/v2/",                                              {}, b"", 405, "UNSUPPORTED", {}),
    Case("GET",    "/v2",                                               {}, b"", 200, None, {}),

    # Pull
    Case("GET",    "/v2/{repo}/manifests/{tag}",                        {}, b"", 200, None, {"Docker-Content-Digest": "{manifest}", "Content-Type": manifests.OCI_IMAGE, "ETag": '"{manifest}"'}),
    Case("GET",    "/v2/{repo}/manifests/{manifest}",                   {}, b"", 200, None, {"Docker-Content-Digest": "{manifest}", "Content-Type": manifests.OCI_IMAGE}),
    Case("HEAD",   "/v2/{repo}/manifests/{tag}",                        {}, b"", 200, None, {"Docker-Content-Digest": "{manifest}", "Content-Length": ANY}),
    Case("GET",    "/v2/{repo}/manifests/{tag}",                        {"Accept": "text/plain"}, b"", 200, None, {"Content-Type": manifests.OCI_IMAGE}),
    Case("GET",    "/v2/{repo}/manifests/{tag}",                        {"If-None-Match": '"{manifest}"'}, b"", 304, None, {"ETag": '"{manifest}"'}),
    Case("GET",    "/v2/{repo}/manifests/{tag}",                        {"If-None-Match": 'W/"x", W/"{manifest}"'}, b"", 304, None, {"ETag": '"{manifest}"'}),
    Case("GET",    "/v2/{repo}/manifests/{tag}",                        {"If-None-Match": "*"}, b"", 304, None, {}),
    Case("GET",    "/v2/{repo}/manifests/{tag}",                        {"If-None-Match": '"{blob}"'}, b"", 200, None, {}),
    Case("GET",    "/v2/{repo}/manifests/gone",                         {}, b"", 404, "MANIFEST_UNKNOWN", {}),
    Case("HEAD",   "/v2/{repo}/manifests/gone",                         {}, b"", 404, None, {}),
    Case("GET",    "/v2/{repo}/manifests/" + ABSENT,                    {}, b"", 404, "MANIFEST_UNKNOWN", {}),
    Case("GET",    "/v2/{repo}/manifests/{blob}",                       {}, b"", 404, "MANIFEST_UNKNOWN", {}),
    Case("GET",    "/v2/{repo}/manifests/a+b",                          {}, b"", 400, "TAG_INVALID", {}),
    Case("GET",    "/v2/{repo}/manifests/" + "t" * 301,                 {}, b"", 400, "TAG_INVALID", {}),
    Case("GET",    "/v2/{repo}/manifests/sha256:short",                 {}, b"", 400, "DIGEST_INVALID", {}),
    Case("GET",    "/v2/{repo}/manifests/md5:" + "0" * 32,              {}, b"", 400, "DIGEST_INVALID", {}),
    Case("GET",    "/v2/{repo}/manifests/SHA256:" + "0" * 64,           {}, b"", 400, "DIGEST_INVALID", {}),
    Case("GET",    "/v2/{repo}/blobs/{blob}",                           {}, b"", 200, None, {"Docker-Content-Digest": "{blob}", "Content-Type": OCTETS, "Accept-Ranges": "bytes", "ETag": '"{blob}"'}),
    Case("HEAD",   "/v2/{repo}/blobs/{blob}",                           {}, b"", 200, None, {"Docker-Content-Digest": "{blob}", "Content-Type": OCTETS, "Accept-Ranges": "bytes"}),
    Case("GET",    "/v2/{repo}/blobs/{loose}",                          {}, b"", 200, None, {"Docker-Content-Digest": "{loose}"}),
    Case("GET",    "/v2/{repo}/blobs/{blob}",                           {"If-None-Match": '"{blob}"'}, b"", 304, None, {"ETag": '"{blob}"'}),
    Case("HEAD",   "/v2/{repo}/blobs/{blob}",                           {"If-None-Match": '"{blob}"'}, b"", 304, None, {"ETag": '"{blob}"'}),
    Case("GET",    "/v2/{repo}/blobs/" + ABSENT,                        {}, b"", 404, "BLOB_UNKNOWN", {}),
    Case("HEAD",   "/v2/{repo}/blobs/" + ABSENT,                        {}, b"", 404, None, {}),
    Case("GET",    "/v2/{repo}/blobs/{manifest}",                       {}, b"", 404, "BLOB_UNKNOWN", {}),
    Case("GET",    "/v2/{repo}/blobs/latest",                           {}, b"", 400, "DIGEST_INVALID", {}),
    Case("GET",    "/v2/{repo}/blobs/sha256:" + "g" * 64,               {}, b"", 400, "DIGEST_INVALID", {}),
    Case("GET",    "/v2/{repo}/blobs/sha256:" + "0" * 65,               {}, b"", 400, "DIGEST_INVALID", {}),

    # Push: opening
    Case("POST",   "/v2/{repo}/blobs/uploads/",                         {}, b"", 202, None, {**UPLOAD, "Range": "0-0"}),
    Case("POST",   "/v2/{repo}/blobs/uploads/?digest-algorithm=sha512", {}, b"", 202, None, UPLOAD),
    Case("POST",   "/v2/{repo}/blobs/uploads/?digest=" + HELLO_DIGEST,  {}, HELLO, 201, None, {"Location": "/v2/{repo}/blobs/" + HELLO_DIGEST, "Docker-Content-Digest": HELLO_DIGEST}),
    Case("POST",   "/v2/{repo}/blobs/uploads/?digest=" + EMPTY_DIGEST,  {}, b"", 201, None, {"Docker-Content-Digest": EMPTY_DIGEST}),
    Case("POST",   "/v2/{repo}/blobs/uploads/?digest=" + ABSENT,        {}, HELLO, 400, "DIGEST_INVALID", {}),
    Case("POST",   "/v2/{repo}/blobs/uploads/?digest=nonsense",         {}, HELLO, 400, "DIGEST_INVALID", {}),
    Case("POST",   "/v2/{repo}/blobs/uploads/?mount={blob}",            {}, b"", 201, None, {"Docker-Content-Digest": "{blob}"}),
    Case("POST",   "/v2/{repo}/blobs/uploads/?mount={blob}&from={repo}", {}, b"", 201, None, {"Location": "/v2/{repo}/blobs/{blob}"}),
    Case("POST",   "/v2/{repo}/blobs/uploads/?mount={blob}&from=no/such", {}, b"", 202, None, UPLOAD),
    Case("POST",   "/v2/{repo}/blobs/uploads/?mount={blob}&from=../x",  {}, b"", 202, None, UPLOAD),
    Case("POST",   "/v2/{repo}/blobs/uploads/?mount=" + ABSENT,         {}, b"", 202, None, UPLOAD),
    Case("POST",   "/v2/{repo}/blobs/uploads/?mount=nonsense",          {}, b"", 202, None, UPLOAD),

    # Push: sending
    Case("PATCH",  "/v2/{repo}/blobs/uploads/{upload}",                 {}, HELLO, 202, None, {**UPLOAD, "Range": "0-4"}),
    Case("PATCH",  "/v2/{repo}/blobs/uploads/{upload}",                 {"Content-Range": "0-4"}, HELLO, 202, None, {"Range": "0-4"}),
    Case("PATCH",  "/v2/{repo}/blobs/uploads/{upload}",                 {"Content-Range": "bytes 0-4/5"}, HELLO, 202, None, {"Range": "0-4"}),
    Case("PATCH",  "/v2/{repo}/blobs/uploads/{upload}",                 {"Content-Range": "1-5"}, HELLO, 416, "BLOB_UPLOAD_INVALID", {"Location": "/v2/{repo}/blobs/uploads/{upload}", "Range": "0-0"}),
    Case("PATCH",  "/v2/{repo}/blobs/uploads/{upload}",                 {"Content-Range": "0-9"}, HELLO, 400, "UNSUPPORTED", {}),
    Case("PATCH",  "/v2/{repo}/blobs/uploads/{upload}",                 {"Content-Range": "0-3"}, HELLO, 400, "UNSUPPORTED", {}),
    Case("PATCH",  "/v2/{repo}/blobs/uploads/{upload}",                 {"Content-Range": "4-0"}, HELLO, 400, "UNSUPPORTED", {}),
    Case("PATCH",  "/v2/{repo}/blobs/uploads/{upload}",                 {"Content-Range": "all of it"}, HELLO, 400, "UNSUPPORTED", {}),
    Case("PATCH",  "/v2/{repo}/blobs/uploads/" + NO_UPLOAD,             {}, HELLO, 404, "BLOB_UPLOAD_UNKNOWN", {}),
    Case("PATCH",  "/v2/{repo}/blobs/uploads/nonsense",                 {}, HELLO, 404, "BLOB_UPLOAD_UNKNOWN", {}),
    Case("PATCH",  "/v2/{repo}/blobs/uploads/" + "f" * 32,              {}, HELLO, 404, "BLOB_UPLOAD_UNKNOWN", {}),
    Case("GET",    "/v2/{repo}/blobs/uploads/{upload}",                 {}, b"", 204, None, {**UPLOAD, "Range": "0-0"}),
    Case("GET",    "/v2/{repo}/blobs/uploads/" + NO_UPLOAD,             {}, b"", 404, "BLOB_UPLOAD_UNKNOWN", {}),
    Case("DELETE", "/v2/{repo}/blobs/uploads/{upload}",                 {}, b"", 204, None, {}),
    Case("DELETE", "/v2/{repo}/blobs/uploads/" + NO_UPLOAD,             {}, b"", 404, "BLOB_UPLOAD_UNKNOWN", {}),

    # Push: completing
    Case("PUT",    "/v2/{repo}/blobs/uploads/{upload}?digest=" + HELLO_DIGEST, {}, HELLO, 201, None, {"Location": "/v2/{repo}/blobs/" + HELLO_DIGEST, "Docker-Content-Digest": HELLO_DIGEST}),
    Case("PUT",    "/v2/{repo}/blobs/uploads/{upload}?digest=" + EMPTY_DIGEST, {}, b"", 201, None, {"Docker-Content-Digest": EMPTY_DIGEST}),
    Case("PUT",    "/v2/{repo}/blobs/uploads/{upload}?digest=" + ABSENT, {}, HELLO, 400, "DIGEST_INVALID", {}),
    Case("PUT",    "/v2/{repo}/blobs/uploads/{upload}?digest=sha256:x", {}, HELLO, 400, "DIGEST_INVALID", {}),
    Case("PUT",    "/v2/{repo}/blobs/uploads/{upload}",                 {}, HELLO, 400, "DIGEST_INVALID", {}),
    Case("PUT",    "/v2/{repo}/blobs/uploads/" + NO_UPLOAD + "?digest=" + HELLO_DIGEST, {}, HELLO, 404, "BLOB_UPLOAD_UNKNOWN", {}),

    # Push: manifests
    Case("PUT",    "/v2/{repo}/manifests/v2",                           OCI, "{body}", 201, None, {"Location": "/v2/{repo}/manifests/{manifest}", "Docker-Content-Digest": "{manifest}"}),
    Case("PUT",    "/v2/{repo}/manifests/{manifest}",                   OCI, "{body}", 201, None, {"Docker-Content-Digest": "{manifest}"}),
    Case("PUT",    "/v2/{repo}/manifests/{manifest}?tag=a&tag=b",       OCI, "{body}", 201, None, {"OCI-Tag": "a, b"}),
    Case("PUT",    "/v2/{repo}/manifests/{manifest}?tag=a+b",           OCI, "{body}", 400, "TAG_INVALID", {}),
    Case("PUT",    "/v2/{repo}/manifests/" + ABSENT,                    OCI, "{body}", 400, "DIGEST_INVALID", {}),
    Case("PUT",    "/v2/{repo}/manifests/a+b",                          OCI, "{body}", 400, "TAG_INVALID", {}),
    Case("PUT",    "/v2/{repo}/manifests/v2",                           {}, "{body}", 201, None, {}),
    Case("PUT",    "/v2/{repo}/manifests/v2",                           {"Content-Type": "text/plain"}, "{body}", 400, "MANIFEST_INVALID", {}),
    Case("PUT",    "/v2/{repo}/manifests/v2",                           {"Content-Type": manifests.OCI_INDEX}, "{body}", 400, "MANIFEST_INVALID", {}),
    Case("PUT",    "/v2/{repo}/manifests/v2",                           OCI, b"", 400, "MANIFEST_INVALID", {}),
    Case("PUT",    "/v2/{repo}/manifests/v2",                           OCI, b"not json", 400, "MANIFEST_INVALID", {}),
    Case("PUT",    "/v2/{repo}/manifests/v2",                           OCI, b"\xff\xfe", 400, "MANIFEST_INVALID", {}),
    Case("PUT",    "/v2/{repo}/manifests/v2",                           OCI, content.image().manifest, 404, "MANIFEST_BLOB_UNKNOWN", {}),
    Case("PUT",    "/v2/{repo}/manifests/v2",                           {"Content-Type": manifests.OCI_INDEX}, content.index(content.image()), 404, "MANIFEST_BLOB_UNKNOWN", {}),

    # Discovery
    Case("GET",    "/v2/{repo}/tags/list",                              {}, b"", 200, None, {"Content-Type": JSON}),
    Case("GET",    "/v2/{repo}/tags/list?n=x",                          {}, b"", 400, "UNSUPPORTED", {}),
    Case("GET",    "/v2/{repo}/tags/list?n=-1",                         {}, b"", 400, "UNSUPPORTED", {}),
    Case("GET",    "/v2/{repo}/tags/list?n=",                           {}, b"", 400, "UNSUPPORTED", {}),
    Case("GET",    "/v2/{repo}/tags/list?n=10000",                      {}, b"", 200, None, {}),
    Case("GET",    "/v2/_catalog",                                      {}, b"", 200, None, {"Content-Type": JSON}),
    Case("GET",    "/v2/_catalog?n=x",                                  {}, b"", 400, "UNSUPPORTED", {}),
    Case("GET",    "/v2/{repo}/referrers/{manifest}",                   {}, b"", 200, None, {"Content-Type": manifests.OCI_INDEX}),
    Case("GET",    "/v2/{repo}/referrers/" + ABSENT,                    {}, b"", 200, None, {"Content-Type": manifests.OCI_INDEX}),
    Case("GET",    "/v2/{repo}/referrers/{manifest}?artifactType=a/b",  {}, b"", 200, None, {"OCI-Filters-Applied": "artifactType"}),
    Case("GET",    "/v2/{repo}/referrers/{tag}",                        {}, b"", 400, "DIGEST_INVALID", {}),

    # Management
    Case("DELETE", "/v2/{repo}/manifests/{tag}",                        {}, b"", 202, None, {}),
    Case("DELETE", "/v2/{repo}/manifests/{manifest}",                   {}, b"", 202, None, {}),
    Case("DELETE", "/v2/{repo}/manifests/gone",                         {}, b"", 404, "MANIFEST_UNKNOWN", {}),
    Case("DELETE", "/v2/{repo}/manifests/" + ABSENT,                    {}, b"", 404, "MANIFEST_UNKNOWN", {}),
    Case("DELETE", "/v2/{repo}/manifests/sha256:x",                     {}, b"", 400, "DIGEST_INVALID", {}),
    Case("DELETE", "/v2/{repo}/blobs/{loose}",                          {}, b"", 202, None, {}),
    Case("DELETE", "/v2/{repo}/blobs/{blob}",                           {}, b"", 405, "UNSUPPORTED", {}),
    Case("DELETE", "/v2/{repo}/blobs/" + ABSENT,                        {}, b"", 404, "BLOB_UNKNOWN", {}),

    # No such thing
    Case("GET",    "/v2/no/such/tags/list",                             {}, b"", 404, "NAME_UNKNOWN", {}),
    Case("GET",    "/v2/Upper/tags/list",                               {}, b"", 400, "NAME_INVALID", {}),
    Case("GET",    "/v2/x/tags/list",                                   {}, b"", 400, "NAME_INVALID", {}),
    Case("GET",    "/v2//tags/list",                                    {}, b"", 400, "NAME_INVALID", {}),
    Case("GET",    "/v2/a//b/tags/list",                                {}, b"", 400, "NAME_INVALID", {}),
    Case("GET",    "/v2/../tags/list",                                  {}, b"", 400, "NAME_INVALID", {}),
    Case("GET",    "/v2/ab/../cd/tags/list",                            {}, b"", 400, "NAME_INVALID", {}),
    Case("GET",    "/v2/%2e%2e/%2e%2e/tags/list",                       {}, b"", 400, "NAME_INVALID", {}),
    Case("GET",    "/v2/..%2f..%2fetc/tags/list",                       {}, b"", 400, "NAME_INVALID", {}),
    Case("GET",    "/v2/a%00b/tags/list",                               {}, b"", 400, "NAME_INVALID", {}),
    Case("GET",    "/v2/caf%C3%A9/tags/list",                           {}, b"", 400, "NAME_INVALID", {}),
    Case("GET",    "/v2/ab%0A/tags/list",                               {}, b"", 404, "UNSUPPORTED", {}),
    Case("GET",    "/v2/" + "a" * 256 + "/tags/list",                   {}, b"", 404, "NAME_UNKNOWN", {}),
    Case("GET",    "/v2/" + "a" * 257 + "/tags/list",                   {}, b"", 400, "NAME_INVALID", {}),
    Case("POST",   "/v2/no/such/blobs/uploads/",                        {}, b"", 404, "NAME_UNKNOWN", {}),
    Case("POST",   "/v2/no/such/blobs/uploads/?digest=" + HELLO_DIGEST, {}, HELLO, 404, "NAME_UNKNOWN", {}),
    Case("PUT",    "/v2/no/such/manifests/v1",                          OCI, "{body}", 404, "NAME_UNKNOWN", {}),
    Case("GET",    "/v2/{repo}/nothing",                                {}, b"", 404, "UNSUPPORTED", {}),
    Case("GET",    "/v3/",                                              {}, b"", 404, "UNSUPPORTED", {}),
    Case("GET",    "/",                                                 {}, b"", 405, "UNSUPPORTED", {}),
    Case("GET",    "/layers/nonsense",                                  {}, b"", 401, "UNAUTHORIZED", {}),
    Case("POST",   "/v2/{repo}/manifests/{tag}",                        {}, b"", 405, "UNSUPPORTED", {}),
    Case("PATCH",  "/v2/{repo}/blobs/{blob}",                           {}, b"", 405, "UNSUPPORTED", {}),
    Case("PUT",    "/v2/{repo}/tags/list",                              {}, b"", 405, "UNSUPPORTED", {}),
    Case("OPTIONS", "/v2/_catalog",                                     {}, b"", 405, "UNSUPPORTED", {}),
]
# fmt: on


def fill(text: str, world: World) -> str:
    """Put the parts of the world where a case names them."""
    for name, value in asdict(world).items():
        if isinstance(value, str):
            text = text.replace("{" + name + "}", value)
    return text


def check_headers(answer: Answer, expected: dict[str, str], world: World) -> None:
    """Check that the answer has the headers, ``*`` at the end standing for anything."""
    for name, wanted in expected.items():
        value, text = ", ".join(answer.headers.get_all(name, [])), fill(wanted, world)
        if text.endswith("*"):
            assert value.startswith(text[:-1]), f"{name}: {value!r} instead of {text!r}"
            assert value != text[:-1], f"{name} is missing"
        else:
            assert value == text, f"{name}: {value!r} instead of {text!r}"


@pytest.mark.parametrize("case", CASES, ids=[f"{n}-{c.method}-{c.path[:60]}-{c.status}" for n, c in enumerate(CASES)])
def test_the_protocol(door: Door, world: World, case: Case) -> None:
    """Each request gets its status, its error code, its headers, and the version of the protocol."""
    body = world.pushed.manifest if case.body == "{body}" else case.body
    assert isinstance(body, bytes)
    headers = {name: fill(value, world) for name, value in case.headers.items()}

    answer = door(case.method, fill(case.path, world), headers=headers, body=body)

    assert (answer.status, answer.code) == (case.status, case.code), answer.data
    assert answer.headers["Docker-Distribution-Api-Version"] == "registry/2.0"
    check_headers(answer, case.answers, world)


# --- What holds for every row of the route table ----------------------------------------

PARTS = {"name:path": "{repo}", "digest": "{blob}", "reference": "{tag}", "upload": "{upload}"}
ROUTES = [row for row in ROWS if "{token}" not in row.path]
NAMED = [row for row in ROUTES if row.on_repository]


def path_of(row: Any, **replaced: str) -> str:
    """Return a path of a row, in which everything exists but what is replaced."""
    path = str(row.path)
    for parameter, value in {**PARTS, **replaced}.items():
        path = path.replace("{" + parameter + "}", value)
    return path + ("?digest=" + ABSENT if row.method == "PUT" and "uploads" in path else "")


def ids(rows: list[Any]) -> list[str]:
    """Return names for rows."""
    return [f"{row.method} {row.path}" for row in rows]


@pytest.mark.parametrize("row", ROUTES, ids=ids(ROUTES))
def test_no_row_without_a_credential(anonymous: Door, world: World, row: Any) -> None:
    """Every row challenges who sends no credential."""
    answer = anonymous(row.method, fill(path_of(row), world))

    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")
    assert answer.headers["Docker-Distribution-Api-Version"] == "registry/2.0"


@pytest.mark.parametrize("row", ROUTES, ids=ids(ROUTES))
def test_no_row_with_a_wrong_password(anonymous: Door, world: World, row: Any) -> None:
    """Every row challenges who sends a wrong password."""
    answer = anonymous.but("Basic QVdTOndyb25n")(row.method, fill(path_of(row), world))

    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")


@pytest.mark.parametrize("row", NAMED, ids=ids(NAMED))
def test_every_named_row_knows_a_missing_repository(door: Door, world: World, row: Any) -> None:
    """Every row of a repository says NAME_UNKNOWN, in ECR's words, where there is none."""
    body = world.pushed.manifest if row.path.endswith("{reference}") and row.method == "PUT" else None
    path = fill(path_of(row, **{"name:path": "no/such"}), world)

    answer = door(row.method, path, headers={"Content-Type": manifests.OCI_IMAGE}, body=body)

    assert answer.status == 404
    if row.method != "HEAD":
        assert answer.json() == {
            "errors": [
                {
                    "code": "NAME_UNKNOWN",
                    "message": f"The repository with name 'no/such' does not exist in the registry with id '{ACCOUNT}'",
                }
            ]
        }


@pytest.mark.parametrize("name", ["..", "A", "a..b", "a/", "-a", "a" * 257, "%2e%2e", "a%2f..%2fb"])
@pytest.mark.parametrize("row", NAMED, ids=ids(NAMED))
def test_every_named_row_refuses_what_is_no_name(door: Door, row: Any, name: str) -> None:
    """Every row of a repository says NAME_INVALID where the path holds no name."""
    path = path_of(row, **{"name:path": name, "digest": ABSENT, "reference": "v1", "upload": NO_UPLOAD})

    answer = door(row.method, path, body=b"" if row.method in {"PUT", "POST", "PATCH"} else None)

    assert answer.status == 400
    assert answer.code == (None if row.method == "HEAD" else "NAME_INVALID")


def test_an_error_is_a_line_of_json(door: Door) -> None:
    """An error's body is JSON with the code and the message alone."""
    answer = door("GET", "/v2/no/such/tags/list")

    assert answer.headers["Content-Type"].startswith("application/json")
    assert list(json.loads(answer.data)) == ["errors"]


def test_the_answer_to_head_has_no_body_but_its_length(door: Door, world: World) -> None:
    """HEAD tells the length of the manifest that GET gives."""
    answer = door("HEAD", f"/v2/{world.repo}/manifests/{world.tag}")

    assert answer.data == b""
    assert int(answer.headers["Content-Length"]) == len(world.pushed.manifest)


@pytest.mark.parametrize(
    "path", ["/v2/{repo}/manifests/{tag}", "/v2/{repo}/manifests/{manifest}", "/v2/{repo}/blobs/{blob}"]
)
def test_head_is_get_without_the_body(door: Door, world: World, path: str) -> None:
    """HEAD has every header of GET, with the same value."""
    own = {"date", "x-request-id", "server", "connection"}
    got, told = (door(method, fill(path, world)).headers.items() for method in ("GET", "HEAD"))

    assert {k.lower(): v for k, v in told if k.lower() not in own} == {
        k.lower(): v for k, v in got if k.lower() not in own
    }
