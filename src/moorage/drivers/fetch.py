"""Small documents from addresses that the operator gave: an issuer's keys."""

from __future__ import annotations

from typing import Final

import urllib3

_MAX: Final = 1024 * 1024
_TIMEOUT: Final = urllib3.Timeout(connect=3, read=5)


def fetch(url: str) -> bytes:
    """Return the document at an http(s) URL, at most 1 MiB; raise OSError if it cannot be had."""
    try:
        with urllib3.PoolManager(retries=urllib3.Retry(1, redirect=3)) as pool:
            answer = pool.request("GET", url, timeout=_TIMEOUT, preload_content=False)
            try:
                body = answer.read(_MAX + 1)
            finally:
                answer.release_conn()
    except urllib3.exceptions.HTTPError as problem:
        raise OSError(f"{url}: {problem}") from None
    if answer.status != 200 or len(body) > _MAX:  # noqa: PLR2004 (HTTP)
        raise OSError(f"{url}: answered {answer.status} with {len(body)} bytes")
    return body
