"""Whatever is asked, of whatever operation: the answer is an answer or a modelled error, and never a fault of ours."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import pytest
from botocore.awsrequest import AWSRequest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import moorage
from moorage import app
from moorage.aws import model
from moorage.aws.table import OPERATIONS
from moorage.domain import manifests
from tests import content
from tests.aws.wire import CONTENT_TYPE, TARGET, QuerySigner, Signer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from botocore.credentials import Credentials
    from starlette.responses import Response

    from moorage.registry.core import Registry

HOST = "localhost:5100"
REGION = "us-east-1"
COMMON = {
    "AccessDeniedException",
    "InvalidParameterException",
    "SerializationException",
    "UnknownOperationException",
}
"""What any operation may answer besides the errors that the model gives it."""


class Asker:
    """Signs requests, and has them answered in this process."""

    def __init__(self, registry: Registry, client: Any) -> None:
        self._registry = registry
        self._client = client
        self._credentials: Credentials = client._request_signer._credentials

    def restore(self) -> None:
        """Put back what an earlier request may have taken away: the repository ``ab`` and the image ``a`` in it."""
        with contextlib.suppress(self._client.exceptions.RepositoryAlreadyExistsException):
            self._client.create_repository(repositoryName="ab")
            for part in (IMAGE.config, OTHER.config, *IMAGE.layers):
                content.upload_layer(self._client, "ab", part)
        with contextlib.suppress(self._client.exceptions.ImageAlreadyExistsException):
            self._client.put_image(repositoryName="ab", imageManifest=IMAGE.manifest.decode(), imageTag="a")

    def ask_members(self, operation: str, document: dict[str, Any]) -> Response:
        """Ask an operation, with a real upload's id where the document speaks of one."""
        text = json.dumps(document)
        if OPEN_UPLOAD in text:
            text = text.replace(OPEN_UPLOAD, self._client.initiate_layer_upload(repositoryName="ab")["uploadId"])
        answer = self.ask(TARGET + operation, text.encode())
        if operation.startswith(("Delete", "BatchDelete")):
            self.restore()
        return answer

    def ask(self, target: str, body: bytes, query: str = "", *, presigned: bool = False) -> Response:
        """Return the answer to a well signed request."""
        headers = {"Host": HOST, "Content-Type": CONTENT_TYPE, "X-Amz-Target": target}
        request = AWSRequest("POST", f"http://{HOST}/{query}", headers, body)
        signer = QuerySigner if presigned else Signer
        signer(self._credentials, "ecr", REGION).add_auth(request)
        pairs = [(name.lower(), str(value)) for name, value in request.headers.items()]
        return app.answer_in_process(self._registry, "POST", str(request.url), pairs, body)


@pytest.fixture(scope="module")
def asker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asker]:
    """A registry with a repository ``ab``, an image ``a`` in it and the layers of another."""
    with moorage.Session(tmp_path_factory.mktemp("arbitrary"), region=REGION) as session:
        client: Any = session.create_client("ecr")
        registry = session._registry
        assert registry is not None
        asker = Asker(registry, client)
        asker.restore()
        yield asker


IMAGE = content.image()

OTHER = content.image(IMAGE.layers[0])
INDEX = content.index(IMAGE)
OPEN_UPLOAD = "$upload"
"""Stands for the id of an upload that has been begun and not finished."""

# --- Documents -------------------------------------------------------------------


def wire_name(keyword: str) -> str:
    """Return a member as it is spelled on the wire."""
    first, *rest = keyword.split("_")
    return first + "".join(part.capitalize() for part in rest)


ALLOW = json.dumps({"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "ecr:ListImages"}]})
LIKELY = [
    "ab",
    "cd",
    "a",
    "",
    "000000000000",
    "999999999999",
    "01234567-89ab-cdef-0123-456789abcdef",
    IMAGE.digest,
    content.digest_of(IMAGE.layers[0]),
    "sha256:" + "0" * 64,
    "sha512:00",
    IMAGE.manifest.decode(),
    IMAGE.media_type,
    "{}",
    "[]",
    "QQ==",
    "TAGGED",
    "UNTAGGED",
    "ANY",
    "ARCHIVED",
    "MUTABLE",
    "IMMUTABLE_WITH_EXCLUSION",
    "WILDCARD",
    "KMS",
    "AES256",
    "a" * 257,
    "a" * 301,
    "../..",
    "\0",
    "é\U0001f600",
    ALLOW,
]
OF_MODEL = sorted({wire_name(keyword) for shape in model.load().values() for keyword in shape.parameters})
KEYS = [
    *OF_MODEL,
    "imageDigest",
    "imageTag",
    "Key",
    "Value",
    "tagStatus",
    "imageStatus",
    "filterType",
    "scanOnPush",
    "encryptionType",
    "kmsKey",
]

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(LIKELY)
    | st.text(max_size=20)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=8,
)
DIGESTS = st.sampled_from(
    [IMAGE.digest, OTHER.digest, content.digest_of(IMAGE.layers[0]), content.digest_of(b"A"), "sha256:00"]
)
NAMES = st.sampled_from(["a", "b", "c", "é"])
PREFIXES = st.sampled_from(["ROOT", "ab", "c/"])
RULES = json.dumps(
    {
        "rules": [
            {
                "rulePriority": 1,
                "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 9},
                "action": {"type": "expire"},
            }
        ]
    }
)
FITTING: dict[str, st.SearchStrategy[Any]] = {
    "repositoryName": st.sampled_from(["ab", "ab", "ab", "cd"]),
    "repositoryNames": st.lists(st.sampled_from(["ab", "cd"]), min_size=1, max_size=2),
    "registryId": st.none() | st.just("000000000000"),
    "registryIds": st.lists(st.sampled_from(["000000000000", "999999999999"]), min_size=1),
    "imageIds": st.lists(
        st.fixed_dictionaries({}, optional={"imageDigest": DIGESTS, "imageTag": NAMES}), min_size=1, max_size=3
    ),
    "layerDigests": st.lists(DIGESTS, min_size=1, max_size=3),
    "layerDigest": DIGESTS,
    "imageDigest": DIGESTS,
    "imageManifest": st.sampled_from([IMAGE.manifest.decode(), OTHER.manifest.decode(), INDEX.decode()])
    | VALUES.map(json.dumps),
    "imageManifestMediaType": st.sampled_from([IMAGE.media_type, manifests.OCI_INDEX]),
    "acceptedMediaTypes": st.just([IMAGE.media_type]),
    "policyText": VALUES.map(json.dumps) | st.just(ALLOW),
    "imageTag": NAMES,
    "nextToken": st.text(max_size=40),
    "maxResults": st.integers(1, 1000),
    # Without this the repository is soon gone, and what is not there refuses everything.
    "force": st.just(False),
    "uploadId": st.just(OPEN_UPLOAD) | st.just("01234567-89ab-cdef-0123-456789abcdef"),
    "partFirstByte": st.integers(0, 2),
    "partLastByte": st.integers(0, 2),
    "layerPartBlob": st.sampled_from(["QQ==", "QUI=", "QUJD"]),
    "filter": st.fixed_dictionaries(
        {},
        optional={
            "tagStatus": st.sampled_from(["TAGGED", "UNTAGGED", "ANY"]),
            "imageStatus": st.sampled_from(["ACTIVE", "ARCHIVED", "ANY"]),
            "artifactTypes": st.just([content.CONFIG]),
            "artifactStatus": st.sampled_from(["ACTIVE", "ARCHIVED", "ANY"]),
        },
    ),
    "tags": st.lists(st.fixed_dictionaries({"Key": st.sampled_from(LIKELY), "Value": st.sampled_from(LIKELY)})),
    "imageTagMutability": st.sampled_from(["MUTABLE", "IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION"]),
    "imageTagMutabilityExclusionFilters": st.lists(
        st.fixed_dictionaries({"filterType": st.just("WILDCARD"), "filter": st.sampled_from(["*", "v*"])}), min_size=1
    ),
    "imageScanningConfiguration": st.fixed_dictionaries({"scanOnPush": st.booleans()}),
    "encryptionConfiguration": st.fixed_dictionaries({"encryptionType": st.sampled_from(["AES256", "KMS"])}),
    "resourceArn": st.sampled_from(["ab", "cd"]).map("arn:aws:ecr:us-east-1:000000000000:repository/{}".format),
    "tagKeys": st.lists(st.sampled_from(LIKELY), max_size=3),
    "imageId": st.fixed_dictionaries({}, optional={"imageDigest": DIGESTS, "imageTag": NAMES}),
    "targetStorageClass": st.sampled_from(["STANDARD", "ARCHIVE"]),
    "subjectId": st.fixed_dictionaries({"imageDigest": DIGESTS}),
    "prefix": PREFIXES,
    "prefixes": st.lists(PREFIXES, max_size=3),
    "appliedFor": st.lists(st.sampled_from(["CREATE_ON_PUSH", "REPLICATION"]), max_size=2),
    "description": st.text(max_size=5),
    "resourceTags": st.lists(st.fixed_dictionaries({"Key": st.sampled_from(LIKELY), "Value": st.just("v")})),
    "repositoryPolicy": st.sampled_from(["", ALLOW, "{}"]),
    "lifecyclePolicy": st.sampled_from(["", RULES, "{}"]),
    "customRoleArn": st.sampled_from(["", "arn:aws:iam::000000000000:role/r"]),
    "lifecyclePolicyText": VALUES.map(json.dumps) | st.just(RULES),
    "scanType": st.sampled_from(["BASIC", "ENHANCED"]),
    "rules": st.lists(
        st.fixed_dictionaries(
            {
                "scanFrequency": st.sampled_from(["SCAN_ON_PUSH", "MANUAL", "CONTINUOUS_SCAN"]),
                "repositoryFilters": st.just([{"filter": "a*", "filterType": "WILDCARD"}]),
            }
        ),
        max_size=2,
    ),
    "principalArn": st.sampled_from(["alice", "bob"]).map("arn:aws:iam::000000000000:user/{}".format),
    "name": st.sampled_from(["BLOB_MOUNTING", "REGISTRY_POLICY_SCOPE", "BASIC_SCAN_TYPE_VERSION"]),
    "value": st.sampled_from(["ENABLED", "DISABLED", "V1", "V2", "AWS_NATIVE"]),
}


def test_every_member_has_values_that_fit() -> None:
    """Each member of each operation that there is can be drawn."""
    members = {wire_name(keyword) for name in OPERATIONS for keyword in model.load()[name].parameters}
    assert members <= set(FITTING)


@st.composite
def requests(draw: Callable[[st.SearchStrategy[Any]], Any]) -> tuple[str, dict[str, Any]]:
    """An operation and members for it, all of which fit but sometimes one, which may be anything."""
    operation = draw(st.sampled_from(sorted(OPERATIONS)))
    parameters = model.load()[operation].parameters
    chosen = [wire_name(keyword) for keyword, required in parameters.items() if required or draw(st.booleans())]
    document = {name: draw(FITTING[name]) for name in chosen}
    if chosen and draw(st.integers(0, 2)) == 0:
        name = draw(st.sampled_from(chosen))
        document[name] = draw(VALUES) if name != "force" else "no"
    return operation, document


def check(answer: Response, operation: str) -> None:
    """Assert that this is an answer of the operation, or one of its errors."""
    document = json.loads(bytes(answer.body))
    if answer.status_code == 200:
        assert "__type" not in document
        return
    assert answer.status_code == 400, document
    assert document["__type"] in COMMON | model.load()[operation].errors
    assert document["__type"] == answer.headers["x-amzn-ErrorType"]
    assert document["message"]


FAST = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@settings(FAST, max_examples=400)
@given(request=requests())
def test_no_request_of_the_right_form_is_our_fault(asker: Asker, request: tuple[str, dict[str, Any]]) -> None:
    """Members that fit, all or all but one, are answered or refused with an error of the operation's."""
    operation, document = request
    check(asker.ask_members(operation, document), operation)


@settings(FAST, max_examples=200)
@given(operation=st.sampled_from(sorted(model.load())), document=VALUES)
def test_no_document_is_our_fault(asker: Asker, operation: str, document: Any) -> None:
    """Any JSON at all, sent to any of ECR's operations, is answered or refused."""
    check(asker.ask(TARGET + operation, json.dumps(document).encode()), operation)


@settings(FAST, max_examples=200)
@given(operation=st.sampled_from(sorted(OPERATIONS)), body=st.binary(max_size=200))
def test_no_body_is_our_fault(asker: Asker, operation: str, body: bytes) -> None:
    """Any bytes, sent to any operation, are answered or refused."""
    check(asker.ask(TARGET + operation, body), operation)


@settings(FAST, max_examples=200)
@given(
    operation=st.sampled_from(sorted(OPERATIONS)),
    pairs=st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from(LIKELY) | VALUES.map(repr) | st.text(max_size=20))),
)
def test_no_presigned_query_is_our_fault(asker: Asker, operation: str, pairs: list[tuple[str, str]]) -> None:
    """Any parameters in a presigned URL are answered or refused."""
    kept = [(key, value.encode("utf-8", "replace").decode()) for key, value in pairs if key != "force"]
    answer = asker.ask(TARGET + operation, b"", f"?{urlencode(kept, quote_via=quote)}", presigned=True)
    check(answer, operation)


@settings(FAST, max_examples=100)
@given(target=st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=40))
def test_no_target_is_our_fault(asker: Asker, target: str) -> None:
    """Any target that is no operation is refused."""
    answer = asker.ask(target, b"{}")
    assert answer.status_code == 400, bytes(answer.body)
