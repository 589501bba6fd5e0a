"""The page of the ECR client that this registry set out from: all that it says works, in process and over a socket."""

from __future__ import annotations

import ast
import json
import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import botocore.exceptions
import pytest
from botocore import xform_name
from typer.testing import CliRunner

import moorage
from moorage.cli.main import app
from tests import content, seed_document
from tests.access import kit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import urllib3

    from tests.servers import Server

    Call = dict[str, Any]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[moorage.Session]:
    """A data folder, opened in this process."""
    data = tmp_path_factory.mktemp("embedded")
    with moorage.Session(data) as opened:
        settle("--data", str(data))
        yield opened


OTHER = "012345678901"
"""The account whose role the page's policy names. A policy may name only who is there."""


def settle(*options: str, env: dict[str, str] | None = None) -> None:
    """Make that account and its role."""
    owner = {"AWS": f"arn:aws:iam::{OTHER}:root"}
    trust = kit.document({"Effect": "Allow", "Principal": owner, "Action": "sts:AssumeRole"})
    role = ["role", "create", "CodeDeployDemo", "--trust", "-", "--account-id", OTHER]
    for command, text in ((["account", "create", OTHER], None), (role, trust)):
        done = CliRunner().invoke(app, [*command, *options], input=text, env=env)
        assert done.exit_code == 0, done.output


@pytest.fixture(scope="module")
def settled(server: Server) -> Server:
    """The server of all tests, with that account and its role."""
    settle("--data", str(server.data), env=server.variables)
    return server


@pytest.fixture(params=["embedded", "socket"])
def client(request: pytest.FixtureRequest, session: moorage.Session) -> Any:
    """A client of an empty registry: the embedded one, and then boto3's own over a socket."""
    if request.param == "embedded":
        return session.create_client("ecr", region_name=new_region())
    return socket_client(request.getfixturevalue("settled"))


def new_region() -> str:
    """Return a region that nobody else uses, so that its registry is empty."""
    return f"seed-{uuid.uuid4().hex[:8]}"


def socket_client(server: Server) -> Any:
    """Return boto3's own client of an empty registry of the server."""
    return server.client(region_name=new_region())


class Stage(NamedTuple):
    """What the page takes for granted: a repository ``ubuntu`` with images and a policy."""

    client: Any
    account: str
    precise: content.Image
    trusty: content.Image

    @property
    def named(self) -> Call:
        """The parameters that name the repository."""
        return {"registryId": self.account, "repositoryName": "ubuntu"}

    @property
    def layer(self) -> str:
        """The digest of a layer of the image ``precise``."""
        return content.digest_of(self.precise.layers[0])

    def upload(self, data: bytes | None = None) -> str:
        """Begin an upload, and send it ``data``; return its id."""
        upload: str = self.client.initiate_layer_upload(repositoryName="ubuntu")["uploadId"]
        if data is not None:
            self.client.upload_layer_part(
                repositoryName="ubuntu",
                uploadId=upload,
                partFirstByte=0,
                partLastByte=len(data) - 1,
                layerPartBlob=data,
            )
        return upload


@pytest.fixture
def stage(client: Any) -> Stage:
    """What the page takes for granted, in either kind of registry."""
    return prepared(client)


def prepared(client: Any) -> Stage:
    """Make ``ubuntu`` with the page's policy and images ``precise`` and ``trusty``, and ``test``."""
    account = client.create_repository(repositoryName="ubuntu")["repository"]["registryId"]
    policy = output_of("get_repository_policy")["policyText"]
    client.set_repository_policy(repositoryName="ubuntu", policyText=policy)
    client.create_repository(repositoryName="test")
    layer = content.layer()
    images = [content.image(layer), content.image(layer)]
    for part in (layer, *(image.config for image in images)):
        content.upload_layer(client, "ubuntu", part)
    for image, tag in zip(images, ("precise", "trusty"), strict=True):
        client.put_image(repositoryName="ubuntu", imageManifest=image.manifest.decode(), imageTag=tag)
    return Stage(client, account, *images)


# --- The examples ---------------------------------------------------------------


def output_of(operation: str) -> Any:
    """Return the output that the page expects of its example."""
    (text,) = [example.output for example in seed_document.EXAMPLES if example.operation == operation]
    return literal(ast.parse(text.strip(), mode="eval").body)


def literal(node: ast.expr) -> Any:
    """Return the value that a literal of the page writes; its datetimes are times, whatever they say."""
    match node:
        case ast.Dict(keys, values):
            return {literal(key): literal(value) for key, value in zip(keys, values, strict=True) if key is not None}
        case ast.List(items):
            return [literal(item) for item in items]
        case ast.Call(ast.Name("datetime")):
            return datetime
        case _:
            return ast.literal_eval(node)


def check_like(documented: Any, answered: Any, where: str = "response") -> None:
    """Assert that the answer has the shape of the documented one, and the names that the page gives."""
    if where.endswith("['ResponseMetadata']"):
        assert answered["HTTPStatusCode"] == 200
        assert str(uuid.UUID(answered["RequestId"])) == answered["RequestId"]
    elif isinstance(documented, dict):
        assert documented.keys() <= answered.keys(), where
        for key, value in documented.items():
            check_like(value, answered[key], f"{where}['{key}']")
    elif isinstance(documented, list):
        assert len(answered) == len(documented), where
        for left, right in zip(documented, answered, strict=True):
            check_like(left, right, f"{where}[]")
    elif documented is datetime:
        assert isinstance(answered, datetime), where
    else:
        check_text(documented, answered, where)


def check_text(documented: str, answered: str, where: str) -> None:
    """Assert that a text is of the documented kind; names of repositories and tags are those of the page."""
    assert isinstance(answered, str), where
    key = where.rpartition("['")[2].removesuffix("']")
    if key in {"repositoryName", "imageTag"}:
        assert answered == documented
    elif key == "repositoryArn":
        assert answered.split(":")[:3] == ["arn", "aws", "ecr"]
        assert answered.split(":")[5] == documented.split(":")[5]
    elif key == "registryId":
        assert len(answered) == 12
        assert answered.isdigit()
    elif key == "imageDigest":
        assert len(answered) == len("sha256:") + 64
        assert answered.startswith("sha256:")
    else:
        assert answered


@pytest.mark.parametrize("example", seed_document.EXAMPLES, ids=lambda example: example.operation)
def test_an_example_runs_as_written(stage: Stage, example: seed_document.Example) -> None:
    """Each example of the page runs word for word, and its answer has the shape and names of the expected output."""
    if example.operation == "list_images":
        stage.client.batch_delete_image(repositoryName="ubuntu", imageIds=[{"imageTag": "trusty"}])
    scope = {"client": stage.client}
    exec(example.call, scope)  # noqa: S102 (the page's own words are what is tested)
    response: Any = scope["response"]

    expected = output_of(example.operation)
    if example.operation == "create_repository":
        assert response["repository"]["registryId"] == stage.account
    if "repositories" in response:
        for answer in (expected, response):
            answer["repositories"].sort(key=lambda one: one["repositoryName"])
    check_like(expected, response)


def test_the_second_tag_of_the_example_goes_too(stage: Stage) -> None:
    """Deleting ``precise`` and ``trusty``, of which the example's text speaks, leaves the repository empty."""
    tags = [{"imageTag": "precise"}, {"imageTag": "trusty"}]
    response = stage.client.batch_delete_image(imageIds=tags, repositoryName="ubuntu")

    assert response["failures"] == []
    assert stage.client.list_images(repositoryName="ubuntu")["imageIds"] == []


# --- Request Syntax and Response Syntax ------------------------------------------


def paths(node: ast.expr, at: str = "") -> set[str]:
    """Return the members that a syntax of the page names, such as ``imageIds[].imageTag``."""
    match node:
        case ast.Dict(keys, values):
            named = [(f"{at}.{literal(key)}", value) for key, value in zip(keys, values, strict=True) if key]
        case ast.Call(keywords=keywords) if keywords and at == "":
            named = [(f".{word.arg}", word.value) for word in keywords]
        case ast.List([item]):
            return paths(item, f"{at}[]") | {at}
        case _:
            return {at}
    return {at, *(path for name, value in named for path in paths(value, name))}


def used(value: Any, at: str = "") -> set[str]:
    """Return the members that a value has, in the same form."""
    if isinstance(value, dict):
        return {at, *(path for key, item in value.items() for path in used(item, f"{at}.{key}"))}
    if isinstance(value, list):
        return {at, *(path for item in value for path in used(item, f"{at}[]"))}
    return {at}


def members(path_set: set[str]) -> set[str]:
    """Leave out what is only a step on the way: the whole, and items of lists."""
    return {path for path in path_set if path and not path.endswith("[]")}


def syntax(text: str) -> set[str]:
    """Return the members that a Request Syntax or a Response Syntax names."""
    (statement,) = ast.parse(text.strip()).body
    assert isinstance(statement, ast.Assign | ast.Expr)
    return members(paths(statement.value))


TAGGED = {"tagStatus": "TAGGED"}

CALLS: dict[str, Callable[[Stage], list[Call]]] = {
    "batch_check_layer_availability": lambda s: [{**s.named, "layerDigests": [s.layer, "no digest"]}],
    "batch_delete_image": lambda s: [
        {
            **s.named,
            "imageIds": [
                {"imageDigest": s.precise.digest, "imageTag": "precise"},
                {"imageDigest": s.trusty.digest, "imageTag": "precise"},
            ],
        }
    ],
    "batch_get_image": lambda s: [
        {
            **s.named,
            "imageIds": [
                {"imageDigest": s.precise.digest, "imageTag": "precise"},
                {"imageDigest": s.trusty.digest, "imageTag": "precise"},
            ],
            "acceptedMediaTypes": [s.precise.media_type],
        }
    ],
    "complete_layer_upload": lambda s: [
        {**s.named, "uploadId": s.upload(b"a layer"), "layerDigests": [content.digest_of(b"a layer")]}
    ],
    "create_repository": lambda _: [{"repositoryName": "another"}],
    "delete_repository": lambda s: [{**s.named, "force": True}],
    "delete_repository_policy": lambda s: [s.named],
    "describe_images": lambda s: [
        {
            **s.named,
            "imageIds": [{"imageDigest": s.precise.digest, "imageTag": "precise"}],
            "nextToken": s.client.describe_images(**s.named, maxResults=1)["nextToken"],
            "maxResults": 1,
            "filter": TAGGED,
        },
        {**s.named, "maxResults": 1},
    ],
    "describe_repositories": lambda s: [
        {
            "registryId": s.account,
            "repositoryNames": ["ubuntu"],
            "nextToken": s.client.describe_repositories(maxResults=1)["nextToken"],
            "maxResults": 1,
        },
        {"maxResults": 1},
    ],
    "get_authorization_token": lambda s: [{"registryIds": [s.account]}],
    "get_download_url_for_layer": lambda s: [{**s.named, "layerDigest": s.layer}],
    "get_repository_policy": lambda s: [s.named],
    "initiate_layer_upload": lambda s: [s.named],
    "list_images": lambda s: [
        {
            **s.named,
            "nextToken": s.client.list_images(**s.named, maxResults=1, filter=TAGGED)["nextToken"],
            "maxResults": 1,
            "filter": TAGGED,
        },
        {**s.named, "maxResults": 1},
    ],
    "put_image": lambda s: [{**s.named, "imageManifest": s.precise.manifest.decode(), "imageTag": "lucid"}],
    "set_repository_policy": lambda s: [
        {**s.named, "policyText": output_of("get_repository_policy")["policyText"], "force": True}
    ],
    "upload_layer_part": lambda s: [
        {**s.named, "uploadId": s.upload(), "partFirstByte": 0, "partLastByte": 4, "layerPartBlob": b"bytes"}
    ],
}


@pytest.mark.parametrize("operation", seed_document.OPERATIONS)
def test_an_operation_takes_and_gives_what_is_documented(stage: Stage, operation: str) -> None:
    """One call with every documented parameter is answered, and no documented member of the response is missing."""
    documented = seed_document.OPERATIONS[operation]
    calls = CALLS[operation](stage)
    answers = [getattr(stage.client, operation)(**call) for call in calls]

    assert members(used(calls[0])) == syntax(documented.request)
    assert syntax(documented.response) <= set().union(*(used(answer) for answer in answers))


def test_every_method_of_the_page_is_there(client: Any) -> None:
    """The client has every method that the page lists, and the operations among them are the seventeen."""
    assert all(callable(getattr(client, name)) for name in seed_document.METHODS)
    generic = {"can_paginate", "generate_presigned_url", "get_paginator", "get_waiter"}
    assert set(seed_document.METHODS) - generic == set(seed_document.OPERATIONS) == set(CALLS)


# --- Paginators and waiters ------------------------------------------------------

RESULTS = {"describe_images": "imageDetails", "describe_repositories": "repositories", "list_images": "imageIds"}


def test_can_paginate_tells_the_three(client: Any) -> None:
    """Of the page's operations, those can be paged that it names paginators for, and no others."""
    assert {name for name in seed_document.OPERATIONS if client.can_paginate(name)} == set(seed_document.PAGINATORS)


def test_what_has_no_pages_has_no_paginator(client: Any) -> None:
    """A paginator of an operation without pages is refused with OperationNotPageableError."""
    with pytest.raises(botocore.exceptions.OperationNotPageableError):
        client.get_paginator("put_image")


@pytest.mark.parametrize("operation", seed_document.PAGINATORS)
def test_a_paginator_goes_through_all(stage: Stage, operation: str) -> None:
    """With a page size of one, a paginator gives every item once, and its pages have the documented members."""
    documented = seed_document.PAGINATORS[operation]
    named = {} if operation == "describe_repositories" else {"repositoryName": "ubuntu"}
    pages = list(stage.client.get_paginator(operation).paginate(**named, PaginationConfig={"PageSize": 1}))

    items = [item for page in pages for item in page[RESULTS[operation]]]
    assert [len(page[RESULTS[operation]]) for page in pages] == [1, 1]
    assert items == getattr(stage.client, operation)(**named)[RESULTS[operation]]
    # "NextToken" is what the page writes for where build_full_result can go on.
    assert syntax(documented.response) - {".NextToken"} <= set().union(*map(used, pages))


@pytest.mark.parametrize("operation", seed_document.PAGINATORS)
def test_a_paginator_stops_and_goes_on(stage: Stage, operation: str) -> None:
    """A paginator stopped by MaxItems gives a NextToken, and goes on from it as a StartingToken."""
    result, paginator = RESULTS[operation], stage.client.get_paginator(operation)
    given = {"registryId": stage.account} if operation == "describe_repositories" else stage.named
    config = {"MaxItems": 1, "PageSize": 1}

    first = paginator.paginate(**given, PaginationConfig=config).build_full_result()
    token = first["NextToken"]
    second = paginator.paginate(**given, PaginationConfig=config | {"StartingToken": token}).build_full_result()

    assert "NextToken" not in second
    assert first[result] + second[result] == getattr(stage.client, operation)(**given)[result]


@pytest.mark.parametrize("operation", seed_document.PAGINATORS)
def test_a_paginator_takes_all_that_is_documented(stage: Stage, operation: str) -> None:
    """Every parameter that the page gives a paginator is accepted, all of them in one call."""
    call = {key: value for key, value in CALLS[operation](stage)[0].items() if key not in {"nextToken", "maxResults"}}
    token = stage.client.get_paginator(operation).paginate(
        **{key: value for key, value in call.items() if key not in {"imageIds", "repositoryNames"}},
        PaginationConfig={"MaxItems": 1, "PageSize": 1},
    )
    start = token.build_full_result()["NextToken"]
    call["PaginationConfig"] = {"MaxItems": 1, "PageSize": 1, "StartingToken": start}

    assert members(used(call)) == syntax(seed_document.PAGINATORS[operation].request)
    result = stage.client.get_paginator(operation).paginate(**call).build_full_result()
    assert len(result[RESULTS[operation]]) == 1


def test_waiters_are_botocores(client: Any) -> None:
    """Today's botocore has two waiters for ECR, which the page's does not have; another name is refused."""
    assert sorted(client.waiter_names) == ["image_scan_complete", "lifecycle_policy_preview_complete"]
    assert client.get_waiter("image_scan_complete").name == "ImageScanComplete"
    with pytest.raises(ValueError, match="Waiter does not exist"):
        client.get_waiter("repository_exists")


def test_a_waiter_for_what_is_not_offered_ends_at_once(stage: Stage) -> None:
    """A waiter on an operation that this version does not have fails with that operation's error, and does not wait."""
    with pytest.raises(botocore.exceptions.WaiterError, match="not available in this version of Moorage"):
        stage.client.get_waiter("image_scan_complete").wait(repositoryName="ubuntu", imageId={"imageTag": "precise"})


# --- Presigned URLs --------------------------------------------------------------


@pytest.fixture
def signed(settled: Server) -> Stage:
    """What the page takes for granted, at the server."""
    return prepared(socket_client(settled))


def post(server: Server, url: str, operation: str) -> urllib3.BaseHTTPResponse:
    """Send what a presigned URL stands for: a POST with the two headers that are signed, and no body."""
    target = f"AmazonEC2ContainerRegistry_V20150921.{_model_name(operation)}"
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target}
    return server.http.request("POST", url, headers=headers, body=b"")


def _model_name(operation: str) -> str:
    return "".join(word.capitalize() for word in operation.split("_"))


@pytest.mark.parametrize("operation", seed_document.OPERATIONS)
def test_a_presigned_url_gives_the_answer_of_its_operation(server: Server, signed: Stage, operation: str) -> None:
    """A URL of generate_presigned_url, POSTed with its two headers and no body, is answered as the call itself."""
    call = CALLS[operation](signed)[0]
    url = signed.client.generate_presigned_url(operation, Params=call)

    answer = post(server, url, operation)

    assert answer.status == 200, answer.data
    output = signed.client.meta.service_model.operation_model(_model_name(operation)).output_shape
    assert set(json.loads(answer.data)) <= set(output.members)
    if operation.startswith(("describe", "list", "batch_get", "get_repository")):
        called = getattr(signed.client, operation)(**call)
        called.pop("ResponseMetadata")
        assert json.loads(answer.data).keys() == called.keys()


def test_nested_parameters_travel_in_a_presigned_url(server: Server, signed: Stage) -> None:
    """Lists of structures and structures in a presigned URL mean what they mean in a call."""
    ids = [{"imageTag": "trusty"}, {"imageDigest": signed.precise.digest}]
    described = signed.client.generate_presigned_url(
        "describe_images", Params={"repositoryName": "ubuntu", "imageIds": ids}
    )
    untagged = signed.client.generate_presigned_url(
        "list_images", Params={"repositoryName": "ubuntu", "filter": {"tagStatus": "UNTAGGED"}}
    )

    details = json.loads(post(server, described, "describe_images").data)["imageDetails"]
    assert {detail["imageDigest"] for detail in details} == {signed.precise.digest, signed.trusty.digest}
    assert json.loads(post(server, untagged, "list_images").data) == {"imageIds": []}


def test_the_method_of_a_presigned_url_can_be_named(server: Server, signed: Stage) -> None:
    """All four arguments of generate_presigned_url are taken."""
    url = signed.client.generate_presigned_url(
        "get_repository_policy", {"repositoryName": "ubuntu"}, ExpiresIn=60, HttpMethod="POST"
    )
    assert post(server, url, "get_repository_policy").status == 200


ALTERED: dict[str, Callable[[str], str]] = {
    "another repository": lambda url: url.replace("repositoryName=ubuntu", "repositoryName=test"),
    "another expiry": lambda url: url.replace("X-Amz-Expires=600", "X-Amz-Expires=6000"),
    "another signature": lambda url: url[:-1] + ("0" if url[-1] != "0" else "1"),
    "one more parameter": lambda url: url + "&maxResults=1",
}


@pytest.mark.parametrize("change", ALTERED)
def test_an_altered_presigned_url_is_refused(server: Server, signed: Stage, change: str) -> None:
    """A presigned URL of which anything is changed is answered with InvalidSignatureException."""
    url = signed.client.generate_presigned_url("list_images", Params={"repositoryName": "ubuntu"}, ExpiresIn=600)
    assert ALTERED[change](url) != url

    answer = post(server, ALTERED[change](url), "list_images")

    assert answer.status == 400
    assert json.loads(answer.data)["__type"] == "InvalidSignatureException"


def test_a_presigned_url_expires(server: Server, signed: Stage) -> None:
    """A presigned URL is good until its time is over, and then refused as expired."""
    url = signed.client.generate_presigned_url("list_images", Params={"repositoryName": "ubuntu"}, ExpiresIn=1)
    answer = post(server, url, "list_images")
    while answer.status == 200:
        answer = post(server, url, "list_images")

    refusal = json.loads(answer.data)
    assert refusal["__type"] == "InvalidSignatureException"
    assert refusal["message"].startswith("Signature expired")


def test_a_presigned_url_is_for_one_operation(server: Server, signed: Stage) -> None:
    """A presigned URL is refused for another operation than the one it was signed for."""
    url = signed.client.generate_presigned_url("list_images", Params={"repositoryName": "ubuntu"})

    answer = post(server, url, "delete_repository")

    assert json.loads(answer.data)["__type"] == "InvalidSignatureException"
    assert signed.client.list_images(repositoryName="ubuntu")["imageIds"]


def test_every_operation_has_the_name_of_its_method() -> None:
    """The names of methods and operations are one another's, as botocore turns them."""
    assert all(xform_name(_model_name(name)) == name for name in seed_document.OPERATIONS)
