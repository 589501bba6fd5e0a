"""
The whole distribution protocol in one table, each row with the IAM action it needs.

A row without an action cannot be written. Rows on a path with ``{name}`` are
asked of that repository; the others of the registry as a whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from moorage.oci import blobs, listings, manifests, uploads
from moorage.oci.door import Door, Reading, Repeating, Row, Streaming, Writing
from moorage.oci.signed import serve_signed

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from moorage.registry.core import Registry

UPLOAD = "/v2/{name:path}/blobs/uploads/{upload}"
BLOB = "/v2/{name:path}/blobs/{digest}"
MANIFEST = "/v2/{name:path}/manifests/{reference}"

# fmt: off
ROWS: tuple[Row, ...] = (
    Row("GET",    "/v2/",                              "ecr:GetAuthorizationToken",       Reading(listings.ping)),
    Row("GET",    "/v2",                               "ecr:GetAuthorizationToken",       Reading(listings.ping)),
    Row("GET",    "/v2/_catalog",                      "ecr:DescribeRepositories",        Reading(listings.catalog)),
    Row("GET",    "/v2/{name:path}/tags/list",         "ecr:ListImages",                  Reading(listings.tags)),

    Row("POST",   "/v2/{name:path}/blobs/uploads/",    "ecr:InitiateLayerUpload",         Streaming(uploads.begin)),
    Row("PATCH",  UPLOAD,                              "ecr:UploadLayerPart",             Streaming(uploads.append)),
    Row("PUT",    UPLOAD,                              "ecr:CompleteLayerUpload",         Streaming(uploads.complete)),
    Row("GET",    UPLOAD,                              "ecr:UploadLayerPart",             Reading(uploads.status)),
    Row("DELETE", UPLOAD,                              "ecr:UploadLayerPart",             Writing(uploads.cancel)),

    Row("HEAD",   BLOB,                                "ecr:BatchCheckLayerAvailability", Reading(blobs.head)),
    Row("GET",    BLOB,                                "ecr:GetDownloadUrlForLayer",      Repeating(blobs.get)),
    Row("DELETE", BLOB,                                "ecr:BatchDeleteImage",            Writing(blobs.delete)),

    Row("HEAD",   MANIFEST,                            "ecr:BatchGetImage",               Repeating(manifests.head)),
    Row("GET",    MANIFEST,                            "ecr:BatchGetImage",               Repeating(manifests.get)),
    Row("PUT",    MANIFEST,                            "ecr:PutImage",                    Writing(manifests.put)),
    Row("DELETE", MANIFEST,                            "ecr:BatchDeleteImage",            Writing(manifests.delete)),

    Row("GET",    "/v2/{name:path}/referrers/{digest}", "ecr:BatchGetImage",              Reading(listings.referrers)),

    Row("GET",    "/layers/{token}",                   "ecr:GetDownloadUrlForLayer",      Reading(serve_signed)),
)
# fmt: on


def routes(registry: Registry) -> list[BaseRoute]:
    """Return the door as Starlette routes."""
    return Door(registry, ROWS).routes()
