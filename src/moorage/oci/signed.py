"""Download URLs (GetDownloadUrlForLayer): the address itself is the credential."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moorage.domain.errors import InvalidCredential
from moorage.oci.blobs import serve
from moorage.registry import layers
from moorage.registry.secrets import Expired, Forged

if TYPE_CHECKING:
    from starlette.responses import Response

    from moorage.oci.door import Call


def serve_signed(call: Call) -> Response:
    """Serve the layer that the URL was signed for, as long as its repository has it."""
    try:
        claims = call.ctx.registry.keyring.verify("download", call.params["token"])
    except (Expired, Forged):
        raise InvalidCredential from None
    layer = layers.find(call.ctx, claims["repository"], claims["digest"])
    if layer is None:
        failure = layers.absent(call.ctx, claims["repository"], claims["digest"])
        raise failure(digest=claims["digest"], name="", registry_id=call.ctx.registry_id)
    return serve(call.ctx.registry, layer)
