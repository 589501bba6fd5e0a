"""
The names of things: parsed at a door, trusted afterwards.

Each is a ``str`` that can only be made by ``parse`` from outside text, so a
value of type `Digest` or `Tag` never needs to be looked at again. None of
them ever becomes a path or an SQL fragment.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import uuid
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Self

from moorage.domain.errors import InvalidParameter, UploadNotFound

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

DIGEST_LENGTHS: Final = {"sha256": 64, "sha512": 128}
"""The algorithms that address content here, with their length in hexadecimal digits."""

_REPOSITORY_NAME: Final = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*"
_REPOSITORY_NAME_RE: Final = re.compile(_REPOSITORY_NAME)
_TAG: Final = "[a-zA-Z0-9-_.]+"
_TAG_RE: Final = re.compile(r"[a-zA-Z0-9_.-]+")
_DIGEST_RE: Final = re.compile(r"(sha256):([0-9a-f]{64})|(sha512):([0-9a-f]{128})")
_LOOSE_DIGEST_RE: Final = re.compile(r"[a-zA-Z0-9_+.-]+:[a-fA-F0-9]+")
_REGISTRY_ID_RE: Final = re.compile(r"[0-9]{12}")
_ENTITY_RE: Final = re.compile(r"[a-zA-Z0-9+=,.@_-]{1,64}")
_REGION_RE: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

MIN_NAME: Final = 2
MAX_NAME: Final = 256
MAX_TAG: Final = 300
MAX_REGION: Final = 32


class RepositoryName(str):
    """A repository's name: 2-256 characters, lower case, segments joined by ``/``."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the name; raise `InvalidParameter` in ECR's words."""
        if len(text) < MIN_NAME:
            raise InvalidParameter("repositoryName", f"must have length greater than or equal to {MIN_NAME}")
        if len(text) > MAX_NAME:
            raise InvalidParameter("repositoryName", f"must have length less than or equal to {MAX_NAME}")
        if _REPOSITORY_NAME_RE.fullmatch(text) is None:
            raise InvalidParameter("repositoryName", f"must satisfy regular expression '{_REPOSITORY_NAME}'")
        return cls(text)


class Tag(str):
    """An image tag: ECR's grammar, 1-300 characters (docker clients stop at 128)."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the tag; raise `InvalidParameter` in ECR's words."""
        if not 1 <= len(text) <= MAX_TAG:
            raise InvalidParameter("imageTag", f"Member must have length less than or equal to {MAX_TAG}")
        if _TAG_RE.fullmatch(text) is None:
            raise InvalidParameter("imageTag", f"must satisfy regular expression '{_TAG}'")
        return cls(text)


class Digest(str):
    """The address of content: ``sha256:`` or ``sha512:`` and the hash in lower-case hexadecimal digits."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str, *, field: str = "imageDigest") -> Self:
        """Return the digest; raise `InvalidParameter` at ``field`` for anything else."""
        if _DIGEST_RE.fullmatch(text) is None:
            raise InvalidParameter(field, "must satisfy regular expression 'sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}'")
        return cls(text)

    @classmethod
    def of(cls, data: ReadableBuffer, algorithm: str = "sha256") -> Self:
        """Return the digest of ``data``."""
        return cls(f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}")

    @property
    def algorithm(self) -> str:
        """``sha256`` or ``sha512``."""
        return self.partition(":")[0]


class EntityName(str):
    """The name of a user, group, role or policy (IAM: letters, digits and ``+=,.@_-``, 64 characters here)."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the name; raise `InvalidParameter`."""
        if _ENTITY_RE.fullmatch(text) is None:
            raise InvalidParameter("name", "must satisfy regular expression '[a-zA-Z0-9+=,.@_-]{1,64}'")
        return cls(text)


def is_loose_digest(text: str) -> bool:
    """Tell whether the text has the form that ECR accepts as a digest, resolvable or not."""
    return _LOOSE_DIGEST_RE.fullmatch(text) is not None


def is_tag(text: str) -> bool:
    """Tell whether the text has the form of a tag."""
    return 1 <= len(text) <= MAX_TAG and _TAG_RE.fullmatch(text) is not None


def parse_reference(text: str) -> Tag | Digest:
    """Return the tag or digest that a manifest route names (a tag holds no colon, so there is no doubt)."""
    return Digest.parse(text) if ":" in text else Tag.parse(text)


def parse_upload_id(text: str, *, name: str, registry_id: str) -> str:
    """Return the upload id in its one canonical form; raise `UploadNotFound` for what cannot be one."""
    try:
        parsed = uuid.UUID(text)
    except ValueError:
        parsed = None
    if parsed is None or str(parsed) != text:
        raise UploadNotFound(upload_id=text[:64], name=name, registry_id=registry_id)
    return text


def is_registry_id(text: str) -> bool:
    """Tell whether the text is an account id: twelve digits."""
    return _REGISTRY_ID_RE.fullmatch(text) is not None and text.isascii()


def is_region(text: str) -> bool:
    """Tell whether the text has the form of a region name (any such name is a region here)."""
    return len(text) <= MAX_REGION and _REGION_RE.fullmatch(text) is not None


_PARTITIONS: Final = {
    "us-gov-": "aws-us-gov",
    "cn-": "aws-cn",
    "us-iso-": "aws-iso",
    "us-isob-": "aws-iso-b",
    "eusc-": "aws-eusc",
}


@lru_cache(maxsize=256)
def partition_of(region: str) -> str:
    """Return the AWS partition that a region's ARNs carry."""
    return next((partition for prefix, partition in _PARTITIONS.items() if region.startswith(prefix)), "aws")


def repository_arn(region: str, registry_id: str, name: str) -> str:
    """Return the ARN of a repository (``name`` may be a pattern)."""
    return f"arn:{partition_of(region)}:ecr:{region}:{registry_id}:repository/{name}"


def parse_repository_arn(text: str, region: str) -> tuple[str, RepositoryName]:
    """Return the registry and the name that a repository's ARN in that region has; raise `InvalidParameter`."""
    prefix = f"arn:{partition_of(region)}:ecr:{region}:"
    registry_id, _, name = text.removeprefix(prefix).partition(":repository/")
    if text.startswith(prefix) and is_registry_id(registry_id):
        with contextlib.suppress(InvalidParameter):
            return registry_id, RepositoryName.parse(name)
    raise InvalidParameter("resourceArn", "Invalid ARN")
