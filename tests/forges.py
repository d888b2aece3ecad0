"""A small GitHub and GitLab on 127.0.0.1: as much of their APIs as pipelines ask for, with comments and statuses."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from served import answering

GITHUB_TOKEN = "ghs_ofTheWorkflow"
GITLAB_TOKEN = "glpat-ofTheProject"
BOT = "github-actions[bot]"
ME = 77
"""The id of the user that GitLab's token belongs to."""
Answer = tuple[int, Any]


@dataclass
class Forge:
    """What is kept, and what was asked: ``asked`` has method and path of each request but GET."""

    address: str = ""
    comments: list[dict[str, Any]] = field(default_factory=list)
    statuses: list[dict[str, Any]] = field(default_factory=list)
    pulls: list[dict[str, Any]] = field(default_factory=list)
    artifacts: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    tip: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)

    def clear(self) -> None:
        """Forget everything but the address."""
        for name, value in vars(Forge(self.address)).items():
            setattr(self, name, value)

    def someone_comments(self, body: str, author: str = "mallory") -> dict[str, Any]:
        """Add a comment by somebody; the user id of GitLab's follows from the name."""
        number = ME if author == BOT else 5
        user = {"login": author, "id": number}
        made = {"id": len(self.comments) + 1, "body": body, "user": user, "author": user, "system": False}
        self.comments.append(made)
        return made

    def someone_sets(self, sha: str, author: str, **fields: str) -> None:
        """Add a status by somebody."""
        number = ME if author == BOT else 5
        about = {"id": len(self.statuses) + 1, "sha": sha, "description": "", **fields}
        self.statuses.append(about | {"creator": {"login": author}, "author": {"id": number}})

    def answer(self, method: str, path: str, query: dict[str, str], body: dict[str, str]) -> Answer:
        """Answer a request whose token is right."""
        if method != "GET":
            self.asked.append((method, path))
        for pattern, act in ROUTES:
            if found := re.fullmatch(pattern, f"{method} {path}"):
                return 200 if method != "POST" else 201, act(self, found, query, body)
        return 404, {}

    def edit(self, number: int, body: str) -> dict[str, Any]:
        (comment,) = (each for each in self.comments if each["id"] == number)
        comment["body"] = body
        return comment


def _page(items: list[Any], query: dict[str, str]) -> list[Any]:
    size = min(int(query.get("per_page", 30)), 100)
    begin = (int(query.get("page", 1)) - 1) * size
    return items[begin : begin + size]


def _set(forge: Forge, sha: str, body: dict[str, str]) -> dict[str, Any]:
    forge.someone_sets(sha, BOT, **body)
    return forge.statuses[-1]


GH = "/repos/team/keys"
GL = "/projects/7"
ROUTES: list[tuple[str, Callable[[Forge, re.Match[str], dict[str, str], dict[str, str]], Any]]] = [
    (rf"GET {GH}/issues/12/comments", lambda forge, _, query, __: _page(forge.comments, query)),
    (rf"POST {GH}/issues/12/comments", lambda forge, _, __, body: forge.someone_comments(body["body"], BOT)),
    (rf"PATCH {GH}/issues/comments/(\d+)", lambda forge, found, _, body: forge.edit(int(found[1]), body["body"])),
    (rf"POST {GH}/statuses/(\w+)", lambda forge, found, _, body: _set(forge, found[1], body)),
    (
        rf"GET {GH}/commits/(\w+)/statuses",
        lambda forge, found, query, _: _page([s for s in forge.statuses[::-1] if s["sha"] == found[1]], query),
    ),
    (rf"GET {GH}/commits/\w+/pulls", lambda forge, _, query, __: _page(forge.pulls, query)),
    (rf"GET {GH}/commits/main", lambda forge, *_: {"sha": forge.tip}),
    (
        rf"GET {GH}/actions/artifacts",
        lambda forge, _, query, __: {"total_count": len(forge.artifacts), "artifacts": _page(forge.artifacts, query)},
    ),
    (r"GET /user", lambda *_: {"id": ME}),
    (rf"GET {GL}/merge_requests/12/notes", lambda forge, _, query, __: _page(forge.comments, query)),
    (rf"POST {GL}/merge_requests/12/notes", lambda forge, _, __, body: forge.someone_comments(body["body"], BOT)),
    (
        rf"PUT {GL}/merge_requests/12/notes/(\d+)",
        lambda forge, found, _, body: forge.edit(int(found[1]), body["body"]),
    ),
    (rf"POST {GL}/statuses/(\w+)", lambda forge, found, _, body: _set(forge, found[1], body)),
    (
        rf"GET {GL}/repository/commits/(\w+)/statuses",
        lambda forge, found, query, _: _page([s for s in forge.statuses if s["sha"] == found[1]], query),
    ),
    (rf"GET {GL}/repository/commits/\w+/merge_requests", lambda forge, _, query, __: _page(forge.pulls, query)),
    (rf"GET {GL}/repository/branches/main", lambda forge, *_: {"commit": {"id": forge.tip}}),
]


class _Handler(BaseHTTPRequestHandler):
    forge: Forge

    def log_message(self, *_: object) -> None:
        pass

    def _respond(self) -> None:
        url = urlsplit(self.path)
        path = unquote(url.path)
        size = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(size)) if size else {}
        if path.startswith("/storage/"):
            return self._send(400 if self.headers.get("JOB-TOKEN") else 200, self.forge.files[path[9:]])
        if path in self.forge.files:
            self.send_response(302)
            self.send_header("Location", f"{self.forge.address}/storage/{path}")
            return self.end_headers()
        right = (f"Bearer {GITHUB_TOKEN}", GITLAB_TOKEN)
        given = self.headers.get("Authorization") or self.headers.get("PRIVATE-TOKEN")
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        status, told = self.forge.answer(self.command, path, query, body) if given in right else (401, {})
        return self._send(status, json.dumps(told).encode())

    do_GET = do_POST = do_PUT = do_PATCH = _respond  # noqa: N815 # the names that the base class looks for

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def forging() -> Iterator[Forge]:
    """Serve one until the block ends."""
    forge = Forge()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"forge": forge}))
    forge.address = f"http://127.0.0.1:{server.server_port}"
    with answering(server):
        yield forge
