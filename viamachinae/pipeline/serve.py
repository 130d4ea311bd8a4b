"""The pages of a run on this machine alone, and the verdicts that are set on them.

A page that is served carries a token; without it no verdict is taken, so that no other page in
the same browser can set one. For the same reason the host must be the local one by name.
"""

from __future__ import annotations

import functools
import json
import secrets
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from astropy.table import Table

from viamachinae.errors import BadInputError
from viamachinae.inspect.vetting import current
from viamachinae.pipeline.vetting import read_vetting, vet
from viamachinae.store.files import read_table
from viamachinae.store.run import RunFolder

HOST = "127.0.0.1"
# The longest verdict that is taken, bytes.
MAX_BODY = 20_000
_TYPES = {".html": "text/html; charset=utf-8", ".ecsv": "text/plain; charset=utf-8"}


def server(out: Path, port: int = 0, who: str | None = None) -> ThreadingHTTPServer:
    """A server of the pages of a run, bound to 127.0.0.1 and not yet running.

    Parameters
    ----------
    out : Path
        Folder of a run with a report.
    port : int
        0 for any that is free.
    who : str, optional
        Whose verdicts they are; by default the user's name on this machine.

    Raises
    ------
    BadInputError
        If the port cannot be had.
    """
    handler = functools.partial(_Handler, RunFolder(out), secrets.token_urlsafe(), who)
    try:
        return ThreadingHTTPServer((HOST, port), handler)
    except OSError as error:
        raise BadInputError(f"--port {port}: {error.strerror}; give another one") from None


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, run: RunFolder, token: str, who: str | None, *request: Any) -> None:
        self.run, self.token, self.who = run, token, who
        super().__init__(*request)

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if not self._is_local():
            return
        if path == "/vetting.json":
            self._send_json(_verdicts(self.run))
            return
        file = _page_file(self.run, path)
        if file is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        content = file.read_bytes()
        if file.suffix == ".html":
            mark = f'<html lang="en" data-vetting="{self.token}"'.encode()
            content = content.replace(b'<html lang="en"', mark, 1)
        self._send(HTTPStatus.OK, _TYPES.get(file.suffix, "application/octet-stream"), content)

    def do_POST(self) -> None:
        if not self._is_local():
            return
        if self.path != "/vetting.json" or self.headers.get("X-Vetting-Token") != self.token:
            self._send_json({"error": "reload the page"}, HTTPStatus.FORBIDDEN)
            return
        try:
            said = self._body()
            vet(self.run, said["candidate"], said["verdict"], said["note"], self.who)
        except BadInputError as error:
            self._send_json({"error": str(error)}, HTTPStatus.BAD_REQUEST)
            return
        except (KeyError, ValueError):
            self._send_json({"error": "not a verdict"}, HTTPStatus.BAD_REQUEST)
            return
        self._send_json(_verdicts(self.run))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing: the terminal is for the address alone."""

    def _body(self) -> dict[str, str]:
        length = int(self.headers.get("Content-Length", 0))
        if not 0 < length <= MAX_BODY:
            raise ValueError("length")
        content = json.loads(self.rfile.read(length))
        if not isinstance(content, dict) or not all(isinstance(x, str) for x in content.values()):
            raise ValueError("content")
        return content

    def _is_local(self) -> bool:
        """Whether the browser was sent here by this name: another site's name may lead here too."""
        host = urlsplit(f"//{self.headers.get('Host', '')}").hostname
        if host in (HOST, "localhost"):
            return True
        self.send_error(HTTPStatus.FORBIDDEN)
        return False

    def _send_json(self, content: Any, status: HTTPStatus = HTTPStatus.OK) -> None:
        self._send(status, "application/json", json.dumps(content).encode())

    def _send(self, status: HTTPStatus, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(content)


def _page_file(run: RunFolder, path: str) -> Path | None:
    """The page, or a file beside a dossier; None for all else in the folder and outside it."""
    if path in ("/", "/index.html"):
        return run.page if run.page.is_file() else None
    file = (run.root / path.lstrip("/")).resolve()
    folder = run.candidate("").resolve()
    return file if file.parent.parent == folder and file.is_file() else None


def _verdicts(run: RunFolder) -> dict[str, dict[str, str]]:
    candidates = Table.read(run.candidates, format="ascii.ecsv")
    said = current(read_vetting(run), candidates, read_table(run.members))
    return {
        name: {"verdict": row.verdict, "note": row.note, "who": row.who, "when": row.when}
        for name, row in said.items()
    }
