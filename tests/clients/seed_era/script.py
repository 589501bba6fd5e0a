"""What a script of 2017 did with a registry, start to end; prints what it saw as JSON."""

import base64
import hashlib
import json
import sys
import urllib.request
from typing import Any

import boto3
import botocore

CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"

url, name = sys.argv[1:]
ecr: Any = boto3.client("ecr", endpoint_url=url)
seen: dict[str, Any] = {"versions": [boto3.__version__, botocore.__version__]}


def upload(data: bytes) -> str:
    """Upload a layer in one part; return its digest."""
    upload_id = ecr.initiate_layer_upload(repositoryName=name)["uploadId"]
    part = {"partFirstByte": 0, "partLastByte": len(data) - 1, "layerPartBlob": data}
    ecr.upload_layer_part(repositoryName=name, uploadId=upload_id, **part)
    digests = ["sha256:" + hashlib.sha256(data).hexdigest()]
    done = ecr.complete_layer_upload(repositoryName=name, uploadId=upload_id, layerDigests=digests)
    return str(done["layerDigest"])


def described(data: bytes, media_type: str) -> dict[str, Any]:
    """Upload what a manifest names; return how it names it."""
    return {"mediaType": media_type, "size": len(data), "digest": upload(data)}


seen["uri"] = ecr.create_repository(repositoryName=name)["repository"]["repositoryUri"]

(authorization,) = ecr.get_authorization_token()["authorizationData"]
seen["user"], _, seen["password"] = base64.b64decode(authorization["authorizationToken"]).decode().partition(":")
seen["endpoint"] = authorization["proxyEndpoint"]

config = described(b'{"architecture": "amd64", "os": "linux"}', CONFIG)
layer = described(b"no archive, and nobody looks" * 1000, LAYER)
manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]})
for tag in ("v1", "v2", "v3"):
    image = ecr.put_image(repositoryName=name, imageManifest=manifest, imageTag=tag)["image"]
    seen.setdefault("put", []).append(image["imageId"])

(details,) = ecr.describe_images(repositoryName=name)["imageDetails"]
seen["details"] = {**details, "imagePushedAt": details["imagePushedAt"].isoformat()}
seen["sizes"] = [(part["digest"], part["size"]) for part in (config, layer)]
seen["layers"] = ecr.batch_check_layer_availability(repositoryName=name, layerDigests=[layer["digest"]])["layers"]
address = ecr.get_download_url_for_layer(repositoryName=name, layerDigest=layer["digest"])["downloadUrl"]
with urllib.request.urlopen(address) as download:  # noqa: S310 (the address is the server's)
    seen["downloaded"] = "sha256:" + hashlib.sha256(download.read()).hexdigest()

pages = ecr.get_paginator("list_images").paginate(repositoryName=name, PaginationConfig={"PageSize": 2})
seen["pages"] = [[one["imageTag"] for one in page["imageIds"]] for page in pages]

got = ecr.batch_get_image(repositoryName=name, imageIds=[{"imageTag": "v2"}])["images"]
seen["same"] = [one["imageManifest"] == manifest for one in got]

gone = ecr.batch_delete_image(repositoryName=name, imageIds=[{"imageTag": tag} for tag in ("v1", "v2", "v3")])
seen["deleted"] = sorted(one["imageTag"] for one in gone["imageIds"])
seen["repository"] = ecr.delete_repository(repositoryName=name)["repository"]["repositoryName"]
try:
    ecr.describe_images(repositoryName=name)
except ecr.exceptions.RepositoryNotFoundException as refused:
    seen["refused"] = refused.response["Error"]["Code"]
print(json.dumps(seen))  # noqa: T201 (what it is for)
