"""A TAP server that behaves as ESA's archive does, good days and bad, before any backend.

It speaks ESA's dialect at ``/tap-server/tap`` and plain TAP at ``/tap``, and plays faults. The
rows come from memory (`MemoryTap`, for fast tests) or from a real server (`RealTap`).
"""

from __future__ import annotations

import gzip
import http.client
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import NamedTuple, Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit

import numpy as np
import pyarrow as pa
from astropy.io import votable
from astropy.table import MaskedColumn, Table

from viamachinae.query.parquet import arrow_values

VOTABLE = "application/x-votable+xml"


class Reply(NamedTuple):
    """An HTTP answer."""

    status: int
    body: bytes = b""
    kind: str = "text/plain"
    location: str = ""  # below the root of the service, as `async/17`


class Backend(Protocol):
    """What holds the rows: paths are those below the root of a TAP service."""

    def reply(self, method: str, path: str, form: dict[str, str]) -> Reply: ...


@dataclass
class Faults:
    """How often each fault is played, or how far it goes; the first requests get it."""

    errors: int = 0  # HTTP 500 to a request for a job
    empties: int = 0  # 202 and nothing, to a request for a job
    hangs: int = 0  # no answer to a look at a job
    cuts: int = 0  # a result that breaks off half-way
    lost: int = 0  # a job that is gone once it was started
    wrong_counts: int = 0  # a count that is one too high
    silent_cap: int | None = None  # rows beyond are left out
    loud_cap: int | None = None  # rows beyond are left out, and the VOTable says so
    hang_s: float = 3.0
    delay_s: float = 0.0  # before every answer

    def play(self, name: str) -> bool:
        """Whether it is played now; counts it."""
        left = getattr(self, name)
        setattr(self, name, max(left - 1, 0))
        return left > 0


@dataclass
class Front:
    """The server: where it is, what it was asked, and what it does wrong."""

    backend: Backend
    faults: Faults = field(default_factory=Faults)
    url: str = ""
    asked: list[str] = field(default_factory=list)  # queries of the jobs that were started
    n_requests: int = 0
    account: tuple[str, str] | None = None
    _queries: dict[str, str] = field(default_factory=dict)
    _zipped: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def esa(self) -> str:
        """Where it speaks ESA's dialect."""
        return f"{self.url}/tap-server/tap"

    @property
    def plain(self) -> str:
        """Where it speaks plain TAP."""
        return f"{self.url}/tap"

    def reply(self, method: str, path: str, form: dict[str, str], cookie: str) -> Reply:
        """Answer a request, or play a fault."""
        time.sleep(self.faults.delay_s)
        with self._lock:
            self.n_requests += 1
        if path == "login":
            right = (form["username"], form["password"]) == self.account
            return Reply(200, location="cookie") if right else Reply(401, b"Wrong password")
        if self.account is not None and "JSESSIONID=open" not in cookie:
            return Reply(401, b"Log in first")
        if path == "deletejobs":
            self.backend.reply("DELETE", f"async/{form['JOB_IDS']}", {})
            return Reply(200)
        if (method, path) == ("POST", "async"):
            return self._create(form)
        if path.endswith("/phase"):
            return self._phase(method, path, form)
        if "/results/" in path:
            return self._result(path)
        return self.backend.reply(method, path, form)

    def _create(self, form: dict[str, str]) -> Reply:
        with self._lock:
            if self.faults.play("errors"):
                return Reply(500, b"<html><body>Internal <b>error</b></body></html>")
            if self.faults.play("empties"):
                return Reply(202)
            query = form["QUERY"]
            if "COUNT(*)" in query and self.faults.play("wrong_counts"):
                query = query.replace("COUNT(*)", "COUNT(*) + 1")
        cap = self.faults.silent_cap or self.faults.loud_cap
        sent = {"REQUEST": "doQuery", "LANG": "ADQL", "QUERY": query}
        if "MAXREC" in form or cap:
            most = int(form.get("MAXREC", cap or 0))
            sent["MAXREC"] = str(min(most, cap) if cap else most)
        reply = self.backend.reply("POST", "async", sent)
        job = reply.location.rpartition("/")[2]
        self._queries[job] = form["QUERY"]
        if form.get("FORMAT") == "votable_gzip":
            self._zipped.add(job)
        return reply

    def _phase(self, method: str, path: str, form: dict[str, str]) -> Reply:
        job = path.split("/")[1]
        with self._lock:
            hangs = method == "GET" and self.faults.play("hangs")
            lost = method == "POST" and self.faults.play("lost")
            if method == "POST":
                self.asked.append(self._queries[job])
        if hangs:
            time.sleep(self.faults.hang_s)
        reply = self.backend.reply(method, path, form)
        if lost:
            self.backend.reply("DELETE", f"async/{job}", {})
        return reply

    def _result(self, path: str) -> Reply:
        reply = self.backend.reply("GET", path, {})
        body = reply.body
        if self.faults.silent_cap:
            body = body.replace(b'"OVERFLOW"', b'"OK"')
        if path.split("/")[1] in self._zipped:
            body = gzip.compress(body)
        return reply._replace(body=body)


class _Handler(BaseHTTPRequestHandler):
    front: Front

    def log_message(self, *_: object) -> None:
        pass

    def _handle(self) -> None:
        n_bytes = int(self.headers.get("Content-Length") or 0)
        form = dict(parse_qsl(self.rfile.read(n_bytes).decode(), keep_blank_values=True))
        path = re.sub(r"^/(tap-server/)?(tap/)?", "", urlsplit(self.path).path)
        reply = self.front.reply(self.command, path, form, self.headers.get("Cookie", ""))
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.kind)
        self.send_header("Content-Length", str(len(reply.body)))
        if reply.location == "cookie":
            self.send_header("Set-Cookie", "JSESSIONID=open; Path=/tap-server; HttpOnly")
        elif reply.location:
            root = urlsplit(self.path).path.partition("/async")[0]
            self.send_header("Location", f"{self.front.url}{root}/{reply.location}")
        self.end_headers()
        cut = "/results/" in path and self.front.faults.play("cuts")
        self.wfile.write(reply.body[: len(reply.body) // 2] if cut else reply.body)

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def do_DELETE(self) -> None:
        self._handle()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a client that went away


@contextmanager
def serving(backend: Backend, port: int = 0) -> Iterator[Front]:
    """Serve on this machine until the end of the block."""
    front = Front(backend)
    handler = type("Handler", (_Handler,), {"front": front})
    server = _Server(("127.0.0.1", port), handler)
    front.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield front
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class RealTap:
    """A real TAP server, to which everything is passed on."""

    def __init__(self, url: str) -> None:
        self._where = urlsplit(url)

    def reply(self, method: str, path: str, form: dict[str, str]) -> Reply:
        """Ask the server."""
        connection = http.client.HTTPConnection(self._where.netloc, timeout=120)
        body = urlencode(form) if method == "POST" else None
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
        connection.request(method, f"{self._where.path}/{path}", body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        found = re.search(r"/async(/.*)?$", answer.getheader("Location") or "")
        location = found[0].strip("/") if found else ""
        return Reply(answer.status, content, answer.getheader("Content-Type", ""), location)


class MemoryTap:
    """Rows in memory, and the few kinds of queries that the package sends."""

    def __init__(self, rows: pa.Table, table: str = "gaiadr3.gaia_source") -> None:
        self.rows = rows
        self.table = table
        self.jobs: dict[str, dict[str, str]] = {}
        self._lock = threading.Lock()

    def reply(self, method: str, path: str, form: dict[str, str]) -> Reply:
        """Answer as UWS 1.1 has it."""
        if (method, path) == ("GET", "async"):
            return Reply(
                200, b"<uws:jobs xmlns:uws='http://www.ivoa.net/xml/UWS/v1.0'/>", "text/xml"
            )
        if path == "async":
            with self._lock:
                number = str(len(self.jobs) + 1)
                self.jobs[number] = {"PHASE": "PENDING", **form}
            return Reply(303, location=f"async/{number}")
        number, *rest = path.split("/")[1:]
        job = self.jobs.get(number)
        if not job:
            return Reply(404, b"no such job")
        if method == "DELETE":
            self.jobs[number] = {}
            return Reply(303, location="async")
        if rest == ["phase"]:
            if method == "POST":
                job["PHASE"] = "COMPLETED" if self._understands(job["QUERY"]) else "ERROR"
                return Reply(303, location=f"async/{number}")
            return Reply(200, job["PHASE"].encode())
        if rest == ["results", "result"]:
            return Reply(200, self._run(job["QUERY"], int(job.get("MAXREC", 10**9))), VOTABLE)
        return Reply(200, _job_text(number, job["PHASE"]).encode(), "text/xml")

    def _understands(self, query: str) -> bool:
        return f"FROM {self.table} AS g" in query

    def _run(self, query: str, most_rows: int) -> bytes:
        rows = self._chosen(query)
        if "COUNT(*)" in query:
            width = re.search(r"/ (\d+) AS pixel", query)
            assert width
            pixels, counts = np.unique(
                rows["source_id"].to_numpy() // int(width[1]), return_counts=True
            )
            rows = pa.table({"pixel": pixels, "n_stars": counts + ("COUNT(*) + 1" in query)})
        else:
            selected = re.search(r"SELECT (.*)\nFROM", query)
            assert selected
            rows = rows.select([name.removeprefix("g.") for name in selected[1].split(", ")])
        return to_votable(rows.slice(0, most_rows), is_cut=rows.num_rows > most_rows)

    def _chosen(self, query: str) -> pa.Table:
        ids = self.rows["source_id"].to_numpy()
        chosen = np.zeros(ids.size, dtype=np.bool_)
        for first, last in re.findall(r"g\.source_id BETWEEN (\d+) AND (\d+)", query):
            chosen |= (ids >= int(first)) & (ids <= int(last))
        for name in re.findall(r"g\.(\w+) IS NOT NULL", query):
            chosen &= self.rows[name].is_valid().to_numpy()
        for name, bound in re.findall(r"AND g\.(\w+) < ([\d.]+)", query):
            chosen &= self.rows[name].to_numpy() < float(bound)
        return self.rows.filter(pa.array(chosen))


def to_votable(rows: pa.Table, is_cut: bool = False) -> bytes:
    """A VOTable as ESA sends it: BINARY2, with the standard's word on completeness."""
    table = Table({name: MaskedColumn(arrow_values(rows[name])) for name in rows.column_names})
    document = votable.from_table(table)
    status = "OVERFLOW" if is_cut else "OK"
    resource = document.resources[0]
    resource.infos.append(votable.tree.Info(name="QUERY_STATUS", value=status))
    text = BytesIO()
    document.to_xml(text, tabledata_format="binary2")
    return text.getvalue()


def _job_text(number: str, phase: str) -> str:
    error = "<uws:errorSummary type='fatal'><uws:message>Cannot parse it</uws:message>"
    return (
        "<uws:job xmlns:uws='http://www.ivoa.net/xml/UWS/v1.0' version='1.1' "
        "xmlns:xlink='http://www.w3.org/1999/xlink' "
        "xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'>"
        f"<uws:jobId>{number}</uws:jobId><uws:phase>{phase}</uws:phase>"
        f"{error + '</uws:errorSummary>' if phase == 'ERROR' else ''}</uws:job>"
    )
