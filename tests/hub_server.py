"""A small Hub on the loopback interface: the part of its HTTP interface that its client uses.

Repositories are dictionaries of files by commit. Files of at least ``LARGE`` bytes are redirected
to another host, as the real Hub does with what it keeps in object storage.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGE = 4096
PAGE = 3
"""Entries of a page of a listing."""

_API = re.compile(r"/api/(?P<kind>model|dataset)s/(?P<name>[^/]+/[^/]+)(?P<rest>/.*)?")
_FILE = re.compile(
    r"(?P<kind>/datasets)?/(?P<name>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)"
)


@dataclass
class Repository:
    """A model or dataset: the files of every commit, and the names of commits."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    gated: bool = False

    def commit(self, files: dict[str, bytes], branch: str = "main") -> str:
        """Make files the content of a branch; return the commit."""
        digest = hashlib.sha1(f"{branch} {len(self.commits)}".encode(), usedforsecurity=False)
        self.commits[digest.hexdigest()] = files
        self.names[branch] = digest.hexdigest()
        return digest.hexdigest()

    def resolve(self, revision: str) -> str | None:
        """Return the commit that a revision names."""
        return revision if revision in self.commits else self.names.get(revision)


@dataclass(frozen=True)
class Asked:
    """A request, and how many bytes of a file were sent in answer to it."""

    method: str
    path: str
    sent: int


@dataclass
class Hub:
    """What a server has, what it is to do wrong, and what it was asked.

    Attributes
    ----------
    repositories
        By kind and name.
    cuts
        How many bytes of a file the next answers send before the connection is cut, by the last
        part of its path; an answer for every entry.
    failing
        Status of all answers but listings, None for what is right.
    ranges
        Whether a part of a file is sent when only that is asked for.
    """

    url: str
    repositories: dict[tuple[str, str], Repository] = field(default_factory=dict)
    cuts: dict[str, list[int]] = field(default_factory=dict)
    failing: int | None = None
    ranges: bool = True
    asked: list[Asked] = field(default_factory=list)

    def add(self, kind: str, name: str, files: dict[str, bytes]) -> Repository:
        """Add a repository with one commit."""
        repository = self.repositories[kind, name] = Repository()
        repository.commit(files)
        return repository

    def sent(self, name: str = "") -> dict[str, int]:
        """Return the bytes that were sent of every file of a repository, by its path."""
        found: dict[str, int] = {}
        for one in self.asked:
            parts = _FILE.fullmatch(one.path.replace("/cdn/", "/"))
            if parts and one.sent and name in ("", parts["name"]):
                found[parts["path"]] = found.get(parts["path"], 0) + one.sent
        return found


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    hub: Hub

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  as it is called
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self._answer(parse_qs(body))

    def _answer(self, body: dict[str, list[str]] | None = None) -> None:
        self.sent = 0
        url = urlsplit(self.path)
        if found := _API.fullmatch(url.path):
            self._api(found["kind"], found["name"], found["rest"] or "", parse_qs(url.query), body)
        elif found := _FILE.fullmatch(url.path.removeprefix("/cdn")):
            self._file(found, stored=url.path.startswith("/cdn"))
        else:
            self._refuse(404, "RepoNotFound", "Not here")
        self.hub.asked.append(Asked(self.command, unquote(url.path), self.sent))

    def _repository(self, kind: str, name: str) -> Repository | None:
        found = self.hub.repositories.get((kind, name))
        if found is None:
            # The real one does not tell strangers what exists.
            self._refuse(401, "RepoNotFound", "Invalid username or password.")
        return found

    def _api(
        self,
        kind: str,
        name: str,
        rest: str,
        query: dict[str, list[str]],
        body: dict[str, list[str]] | None,
    ) -> None:
        repository = self._repository(kind, name)
        if repository is None:
            return
        verb, revision, folder = map(unquote, (*rest.removeprefix("/").split("/"), "", "")[:3])
        commit = repository.resolve(revision or "main")
        if commit is None:
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return
        files = repository.commits[commit]
        if verb == "tree":
            self._tree(files, folder, query)
        elif verb == "paths-info":
            found = [_entry(files, one) for one in (body or {}).get("paths", [])]
            self._json([one for one in found if one])
        else:
            self._json(
                {
                    "id": name,
                    "sha": commit,
                    "gated": "auto" if repository.gated else False,
                    "siblings": [{"rfilename": path} for path in files],
                }
            )

    def _tree(self, files: dict[str, bytes], folder: str, query: dict[str, list[str]]) -> None:
        start = int(query.get("cursor", ["0"])[0])
        prefix = f"{folder}/" if folder else ""
        below = [path for path in files if path.startswith(prefix)]
        if prefix and not below:
            self._refuse(404, "EntryNotFound", f"{folder} does not exist")
            return
        if query.get("recursive", ["false"])[0].lower() != "true":
            below = [path for path in below if "/" not in path.removeprefix(prefix)]
        page = [_entry(files, path) for path in below[start : start + PAGE]]
        headers = {}
        if start + PAGE < len(below):
            base = self.path.partition("?")[0]
            rest = "&".join(f"{key}={value[0]}" for key, value in query.items() if key != "cursor")
            headers["Link"] = f'<{self.hub.url}{base}?{rest}&cursor={start + PAGE}>; rel="next"'
        self._json(page, headers)

    def _file(self, found: re.Match[str], *, stored: bool) -> None:
        kind = "dataset" if found["kind"] else "model"
        repository = self._repository(kind, found["name"])
        if repository is None:
            return
        if self.hub.failing:
            self._refuse(self.hub.failing, "", "Something went wrong")
            return
        if repository.gated:
            self._refuse(403, "GatedRepo", f"Access to {kind} {found['name']} is restricted")
            return
        commit = repository.resolve(unquote(found["revision"]))
        if commit is None:
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {found['revision']}")
            return
        content = repository.commits[commit].get(unquote(found["path"]))
        if content is None:
            self._refuse(404, "EntryNotFound", "Entry not found", {"X-Repo-Commit": commit})
            return
        headers = {"X-Repo-Commit": commit, "ETag": f'"{_etag(content)}"', "Accept-Ranges": "bytes"}
        if len(content) >= LARGE and not stored:
            other = self.hub.url.replace("127.0.0.1", "localhost")
            headers |= {
                "X-Linked-ETag": headers["ETag"],
                "X-Linked-Size": str(len(content)),
                "Location": f"{other}/cdn{self.path}",
            }
            self._reply(302, b"", headers)
            return
        self._content(found["path"], content, headers)

    def _content(self, path: str, content: bytes, headers: dict[str, str]) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked is None or not self.hub.ranges:
            self._reply(200, content, headers, path)
            return
        first = int(asked[1])
        last = min(int(asked[2] or len(content) - 1), len(content) - 1)
        headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
        self._reply(206, content[first : last + 1], headers, path)

    def _json(self, value: Any, headers: dict[str, str] | None = None) -> None:
        kind = {"Content-Type": "application/json"}
        self._reply(200, json.dumps(value).encode(), kind | (headers or {}))
        self.sent = 0

    def _refuse(
        self, status: int, code: str, message: str, headers: dict[str, str] | None = None
    ) -> None:
        error = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
        self._reply(status, json.dumps({"error": message}).encode(), error | (headers or {}))
        self.sent = 0

    def _reply(
        self, status: int, content: bytes, headers: dict[str, str], path: str | None = None
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "HEAD":
            return
        cuts = self.hub.cuts.get(path.rpartition("/")[2], []) if path else []
        if cuts:
            content = content[: cuts.pop(0)]
            self.close_connection = True
        self.wfile.write(content)
        self.sent = len(content)


def _entry(files: dict[str, bytes], path: str) -> dict[str, Any] | None:
    content = files.get(path)
    if content is None:
        folder = any(one.startswith(f"{path}/") for one in files)
        return {"type": "directory", "oid": _etag(b""), "path": path} if folder else None
    entry = {"type": "file", "oid": _etag(content)[:40], "size": len(content), "path": path}
    if len(content) >= LARGE:
        entry["lfs"] = {"oid": _etag(content), "size": len(content), "pointerSize": 134}
    return entry


@lru_cache(maxsize=16)
def _etag(content: bytes) -> str:
    """Return what tells contents apart: of a large file the SHA-256, else as long as of git."""
    digest = hashlib.sha256(content).hexdigest()
    return digest if len(content) >= LARGE else digest[:40]


@contextmanager
def serving() -> Iterator[Hub]:
    """Run a server for the time of a test."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    hub = Hub(f"http://127.0.0.1:{server.server_port}")
    server.RequestHandlerClass = type("Handler", (_Handler,), {"hub": hub})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
