"""What there is: the version check, tags, the catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.responses import JSONResponse, Response

from moorage.domain.errors import InvalidParameter
from moorage.domain.manifests import OCI_INDEX
from moorage.domain.names import Digest
from moorage.registry import listing
from moorage.registry.catalog import names
from moorage.registry.paging import DEFAULT_PAGE, MAX_PAGE
from moorage.registry.referrers import referrers as referrers_of

if TYPE_CHECKING:
    from starlette.datastructures import QueryParams

    from moorage.oci.door import Call


def ping(_call: Call) -> Response:
    """Tell that this is a registry, and that the credential is good (``docker login``)."""
    return JSONResponse({})


def tags(call: Call) -> Response:
    """List a repository's tags in order, after ``last``, at most ``n`` of them."""
    count = _count(call.query)
    found = listing.tag_names(call.ctx, call.repository, limit=count + 1, after=call.query.get("last", ""))
    name = call.repository.name
    return _page(f"/v2/{name}/tags/list", {"name": name, "tags": found[:count]}, found, count)


def catalog(call: Call) -> Response:
    """List the registry's repositories in order, after ``last``, at most ``n`` of them."""
    count = _count(call.query)
    found = names(call.ctx, limit=count + 1, after=call.query.get("last", ""))
    return _page("/v2/_catalog", {"repositories": found[:count]}, found, count)


def referrers(call: Call) -> Response:
    """List what refers to a digest as its subject, as an index (distribution-spec: listing referrers)."""
    subject = Digest.parse(call.params["digest"])
    artifact_type = call.query.get("artifactType")
    found = referrers_of(
        call.ctx, call.repository, subject, artifact_type=artifact_type, after=call.query.get("last", "")
    )
    body = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": found.items}
    response = JSONResponse(body, media_type=OCI_INDEX)
    if artifact_type is not None:
        response.headers["OCI-Filters-Applied"] = "artifactType"
    if found.after:
        query = urlencode(({"artifactType": artifact_type} if artifact_type else {}) | {"last": found.after})
        response.headers["Link"] = f'</v2/{call.repository.name}/referrers/{subject}?{query}>; rel="next"'
    return response


def _page(path: str, body: dict[str, Any], found: list[str], count: int) -> Response:
    response = JSONResponse(body)
    if len(found) > count > 0:
        query = urlencode({"n": count, "last": found[count - 1]})
        response.headers["Link"] = f'<{path}?{query}>; rel="next"'
    return response


def _count(query: QueryParams) -> int:
    text = query.get("n")
    if text is None:
        return DEFAULT_PAGE
    if not (text.isascii() and text.isdigit()):
        raise InvalidParameter("maxResults", "Member must be a whole number")
    # Shorter pages than asked for are allowed, and a client that asks for more follows the Link.
    return min(int(text[:9]), MAX_PAGE)
