"""Names: parsed once, and afterwards never dangerous."""

from __future__ import annotations

import hashlib
import re
import uuid
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from moorage.domain import names
from moorage.domain.errors import Failure, InvalidParameter, UploadNotFound
from moorage.domain.names import Digest, RepositoryName, Tag, parse_reference, parse_upload_id

if TYPE_CHECKING:
    from collections.abc import Callable

# The model of ECR, as botocore ships it: the judge of what a repository name is.
SHAPES: Any = botocore.session.Session().get_service_model("ecr")
NAME: dict[str, Any] = SHAPES.shape_for("RepositoryName").metadata
TAG: dict[str, Any] = SHAPES.shape_for("ImageTag").metadata

PARTS = st.sampled_from(["a", "b9", "0", ".", "_", "__", "___", "-", "--", "---", "/", "//", "A", "é", "..", " ", "\n"])
NEARLY_NAMES = st.lists(PARTS, max_size=12).map("".join) | st.text(max_size=20) | st.text("a-_./", max_size=260)
HEX = st.text("0123456789abcdef", min_size=62, max_size=66)
NEARLY_DIGESTS = st.builds(
    "{}:{}".format,
    st.sampled_from(["sha256", "sha512", "SHA256", "md5", "", "sha256:", "sha1+b64"]),
    HEX | HEX.map(lambda h: h * 2),
) | st.text(max_size=80)


def parses(parse: Callable[[str], object], text: str) -> bool:
    """Tell whether a text is taken; what is refused is refused with a `Failure`."""
    try:
        parse(text)
    except Failure:
        return False
    return True


# --- Repository names ----------------------------------------------------------------


@given(NEARLY_NAMES)
@example("a")
@example("aa")
@example("a" * 256)
@example("a" * 257)
@example("a/b")
@example("a__b")
@example("a___b")
@example("a._b")
@example("a-----b")
@example("aa\n")
@example("٠٠")
def test_a_repository_name_is_what_the_model_says(text: str) -> None:
    """A text is a name exactly if ECR's service model takes it: bounds and pattern."""
    fits = NAME["min"] <= len(text) <= NAME["max"] and re.fullmatch(NAME["pattern"], text, re.ASCII) is not None

    assert parses(RepositoryName.parse, text) == fits


def test_the_bounds_are_the_models() -> None:
    """Lengths are those of ECR's service model."""
    assert (NAME["min"], NAME["max"]) == (names.MIN_NAME, names.MAX_NAME)
    assert (TAG["min"], TAG["max"]) == (1, names.MAX_TAG)


@given(NEARLY_NAMES)
def test_a_name_is_no_path(text: str) -> None:
    """A name never leads out of a folder, however it is joined to one."""
    if not parses(RepositoryName.parse, text):
        return
    assert not {"", ".", ".."} & set(text.split("/"))
    assert text.isascii()
    assert text.isprintable()
    assert not set(text) & set("\\ %?#:@\0")


def test_the_messages_are_ecrs() -> None:
    """A name that is too short, too long or malformed is refused in ECR's words."""
    cases = {
        "a": "must have length greater than or equal to 2",
        "a" * 257: "must have length less than or equal to 256",
        "A/b": "must satisfy regular expression '[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*)*'",
    }
    for text, constraint in cases.items():
        with pytest.raises(InvalidParameter) as caught:
            RepositoryName.parse(text)
        assert caught.value.message == (
            f"Invalid parameter at 'repositoryName' failed to satisfy constraint: '{constraint}'"
        )


def test_no_name_takes_long(subtests: pytest.Subtests) -> None:
    """Texts that are hard for backtracking patterns are decided like any other (a hang is the test's failure)."""
    for text in ("a-" * 128, "a" * 255 + "!", "a" + "-" * 254 + "!", "a_" * 127 + "__", "a/" * 127 + "//", "a." * 128):
        with subtests.test(text=text[:6]):
            assert not parses(RepositoryName.parse, text)


# --- Tags and digests ----------------------------------------------------------------


@given(st.text(max_size=20) | st.text("aA0-_.", max_size=310))
@example("")
@example("t" * 300)
@example("t" * 301)
@example("a\n")
def test_a_tag_is_what_the_grammar_says(text: str) -> None:
    """A text is a tag if it has 1 to 300 of ECR's characters, and `is_tag` says the same."""
    fits = re.fullmatch(r"[a-zA-Z0-9_.\-]{1,300}", text, re.ASCII) is not None

    assert parses(Tag.parse, text) == names.is_tag(text) == fits


@given(NEARLY_DIGESTS)
@example("sha256:" + "0" * 64)
@example("sha256:" + "0" * 64 + "\n")
@example("sha512:" + "0" * 64)
@example("sha256:" + "٠" * 64)
def test_a_digest_is_algorithm_and_hexadecimal(text: str) -> None:
    """A digest is sha256 or sha512 and exactly as many lower-case hexadecimal digits as that has."""
    fits = re.fullmatch(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}", text) is not None

    assert parses(Digest.parse, text) == fits
    if fits:
        assert Digest.parse(text).algorithm == text[:6]
        assert names.is_loose_digest(text)


@given(st.binary(), st.sampled_from(sorted(names.DIGEST_LENGTHS)))
def test_a_digest_comes_from_bytes(data: bytes, algorithm: str) -> None:
    """The digest of bytes parses, and is what hashlib says."""
    digest = Digest.of(data, algorithm)

    assert Digest.parse(digest) == f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"
    assert len(digest.partition(":")[2]) == names.DIGEST_LENGTHS[algorithm]


@given(st.text(max_size=20) | NEARLY_DIGESTS | st.text("aA0-_.", max_size=310))
def test_a_reference_is_a_tag_or_a_digest(text: str) -> None:
    """What a manifest is asked by is one of the two, never both, or it is refused."""
    if not parses(parse_reference, text):
        assert not parses(Tag.parse, text)
        assert not parses(Digest.parse, text)
        return
    reference = parse_reference(text)
    assert isinstance(reference, Digest) == (":" in text)
    assert reference == text


# --- Ids -----------------------------------------------------------------------------


@given(
    st.text(max_size=40)
    | st.uuids().map(str)
    | st.uuids().map(lambda u: u.hex)
    | st.uuids().map(lambda u: str(u).upper())
)
def test_an_upload_id_has_one_form(text: str) -> None:
    """Only the canonical form of a UUID is an upload's id: it is a file's name too."""
    try:
        parsed = parse_upload_id(text, name="a/b", registry_id="123456789012")
    except UploadNotFound:
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text) is None
        return
    assert str(uuid.UUID(parsed)) == text


@given(st.text(max_size=14) | st.text("0123456789", min_size=11, max_size=13))
@example("١" * 12)
@example("123456789012\n")
def test_a_registry_id_is_twelve_digits(text: str) -> None:
    """An account's id is twelve ASCII digits and nothing else."""
    assert names.is_registry_id(text) == (re.fullmatch(r"[0-9]{12}", text) is not None)


@given(st.text(max_size=40) | st.text("ab1-", max_size=40))
def test_a_region_is_words_and_hyphens(text: str) -> None:
    """A region's name is short, lower case, and safe in an ARN."""
    if names.is_region(text):
        assert re.fullmatch(r"[a-z0-9-]{1,32}", text) is not None
        assert not text.startswith("-")
        assert not text.endswith("-")


@pytest.mark.parametrize(
    ("region", "partition"),
    [
        ("eu-west-1", "aws"),
        ("us-gov-west-1", "aws-us-gov"),
        ("cn-north-1", "aws-cn"),
        ("us-iso-east-1", "aws-iso"),
        ("us-isob-east-1", "aws-iso-b"),
        ("eusc-de-east-1", "aws-eusc"),
        ("home", "aws"),
    ],
)
def test_an_arn_has_its_partition(region: str, partition: str) -> None:
    """A repository's ARN carries the partition of its region."""
    arn = names.repository_arn(region, "123456789012", "a/b")

    assert arn == f"arn:{partition}:ecr:{region}:123456789012:repository/a/b"
