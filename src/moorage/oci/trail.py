"""What the audit trail tells of a request to the distribution door: the ECR operation that it amounts to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moorage.registry import audit
from moorage.registry.auth import SignedUrl

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from moorage.oci.door import Row
    from moorage.registry.audit import Entry
    from moorage.registry.auth import Credential
    from moorage.registry.core import Registry

_PINGS = frozenset({"/v2/", "/v2"})
_OF_QUERY = {"mount": "mount", "from": "from", "last": "last", "n": "maxResults", "artifactType": "artifactType"}


def begin(registry: Registry, row: Row, request: Request) -> Entry | None:
    """
    Begin the entry of a request, if there is a trail.

    Nobody asks for anything with a ping without a credential: it is how
    clients learn that they need one.
    """
    if registry.trail is None or (row.path in _PINGS and "authorization" not in request.headers):
        return None
    entry = registry.trail.begin(audit.ECR, row.action.partition(":")[2], request.state.request_id, request.state.facts)
    entry.parameters = _parameters(entry.name, request)
    entry.presented = audit.UNREADABLE if "authorization" in request.headers else None
    entry.extra["httpMethod"] = request.method
    return entry


def presented(entry: Entry, credential: Credential) -> None:
    """Note what the request presents; of a download URL, what it is for."""
    entry.presented = credential
    if isinstance(credential, SignedUrl):
        entry.parameters = {"layerDigest": credential.claims.get("digest")}


def answered(entry: Entry, response: Response) -> None:
    """Note what came of it, as the operation at the AWS door would have answered."""
    entry.extra["httpStatus"] = response.status_code
    entry.answer = _answer(entry, response)


def _parameters(name: str, request: Request) -> dict[str, Any]:
    path, query, headers = request.path_params, request.query_params, request.headers
    found: dict[str, Any] = {"repositoryName": path["name"]} if "name" in path else {}
    if "reference" in path:
        found |= _image(name, path["reference"])
    if "upload" in path:
        found["uploadId"] = path["upload"]
    digests = [value for value in (path.get("digest"), query.get("digest")) if value]
    if digests:
        found |= {"layerDigest": digests[0]} if name == "GetDownloadUrlForLayer" else {"layerDigests": digests}
    found |= {ours: query[theirs] for theirs, ours in _OF_QUERY.items() if theirs in query}
    if name == "BatchGetImage" and "accept" in headers:
        found["acceptedMediaTypes"] = [one.strip() for one in ",".join(headers.getlist("accept")).split(",")]
    if name == "PutImage":
        found["imageManifestMediaType"] = headers.get("content-type")
        if tags := query.getlist("tag"):
            found["imageTags"] = tags
    if "content-range" in headers:
        found["contentRange"] = headers["content-range"]
    return found


def _image(name: str, reference: str) -> dict[str, Any]:
    image = {"imageDigest" if ":" in reference else "imageTag": reference}
    return image if name == "PutImage" else {"imageIds": [image]}


def _answer(entry: Entry, response: Response) -> dict[str, Any] | None:
    headers, asked = response.headers, entry.parameters
    found = {"registryId": entry.registry_id, "repositoryName": asked.get("repositoryName")}
    digest = headers.get("docker-content-digest")
    if entry.name == "PutImage":
        tags = {"imageTag": asked["imageTag"]} if "imageTag" in asked else {}
        return {"image": {**found, "imageId": {"imageDigest": digest, **tags}}}
    if upload := headers.get("docker-upload-uuid") or asked.get("uploadId"):
        found["uploadId"] = upload
    if digest is not None:
        found["layerDigest"] = digest
    if entry.name == "UploadLayerPart" and "range" in headers:
        found["lastByteReceived"] = int(headers["range"].partition("-")[2])
    return found
