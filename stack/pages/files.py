"""The front end's own files: what its builds made for the browser, and what it has in public."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any
from wsgiref.headers import Headers

from django.http import HttpResponse
from whitenoise import WhiteNoise  # type: ignore[import-untyped]

NEXT = "/_next/"
STATIC = "/_next/static/"
_FOR_EVER = "public, max-age=31536000, immutable"
_SHORT = 60


class Files(WhiteNoise):  # type: ignore[misc]
    """Files by their address, found once: a build is never changed, another one lies in another folder.

    The renderer's build and the exported one have static files of their own, whose names hold a hash of what is in
    them. A file beside which lies a compressed one (``.gz``, ``.br``) is sent as that to who takes it.
    """

    def __init__(self, build: Path | None) -> None:
        super().__init__(None, max_age=_SHORT, allow_all_origins=False, add_headers_function=_cache)
        if build is None:
            return
        for folder, prefix in (
            (build / "web", "/"),
            (build / "web" / "_next" / "static", STATIC),
            (build / "renderer" / ".next" / "static", STATIC),
        ):
            if folder.is_dir():
                self.add_files(folder, prefix)

    def add_file_to_dictionary(self, url: str, path: str, stat_cache: Any = None) -> None:
        # Exported pages are shells: they have addresses of their own.
        if not url.endswith(".html") and (url.startswith(STATIC) or not url.startswith(NEXT)):
            super().add_file_to_dictionary(url, path, stat_cache=stat_cache)

    async def answer(self, path: str, method: str, meta: Mapping[str, Any]) -> HttpResponse | None:
        """The file at an address; None if there is none."""
        found = self.files.get(path)
        return None if found is None else await asyncio.to_thread(_read, found, method, meta)


def _read(file: Any, method: str, meta: Mapping[str, Any]) -> HttpResponse:
    found = file.get_response(method, meta)
    with found.file or BytesIO() as opened:
        response = HttpResponse(opened.read(), status=int(found.status))
    del response["Content-Type"]
    for name, value in found.headers:
        response[name] = value
    return response


def _cache(headers: Headers, _path: str, url: str) -> None:
    if url.startswith(STATIC):
        headers["Cache-Control"] = _FOR_EVER
