"""
OCI image layouts, as folders and as tarballs: repositories go out into them and come in from them.

A way into the registry like a door: what comes in passes the same uploads and the same `images.put`.
"""

from __future__ import annotations

from moorage.layouts.format import LayoutError

__all__ = ["LayoutError"]
