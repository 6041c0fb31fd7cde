"""The Hub's protocol as `huggingface_hub` speaks it: each request, and how the Hub answers it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from tests.hub_server import HubServer

TOKEN = "hf_loopback"
"""The one token that may read private repositories and write."""

LARGE = (".safetensors", ".onnx")
"""Names of files that are kept in the store, as git LFS does."""


@dataclass
class Repo:
    private: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)

    def resolve(self, revision: str) -> str | None:
        """The commit that a branch, a tag or a commit names."""
        return self.branches.get(revision) or (revision if revision in self.commits else None)


@dataclass(frozen=True)
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    host: str
    authorization: str | None
    range: str | None


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"

    @property
    def hub(self) -> HubServer:
        return self.server.hub  # type: ignore[attr-defined]

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._handle()

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def do_PUT(self) -> None:
        self._handle()

    def _handle(self) -> None:
        self.route = unquote(urlsplit(self.path).path)
        self.body = self._read_body()
        told = (self.headers[name] for name in ("Host", "Authorization", "Range"))
        self.hub.seen.append(Seen(self.command, self.route, *told))
        try:
            if self.hub.interfere(self):
                return
            for method, pattern, answer in ROUTES:
                match = re.fullmatch(pattern, self.route)
                if match and self.command in method:
                    answer(self, *match.groups())
                    return
            self.fail(404, "NotFound")
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(
        self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> None:
        """Send a whole answer; no body to HEAD."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def json(self, value: Any, status: int = 200) -> None:
        self.answer(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def fail(self, status: int, code: str, message: str = "", **headers: str) -> None:
        """As the Hub tells an error."""
        told = {"X-Error-Code": code, "X-Error-Message": message or code, **headers}
        self.answer(status, json.dumps({"error": message or code}).encode(), told)

    def token_is(self, wanted: str | None) -> bool:
        sent = self.headers["Authorization"]
        return sent == (f"Bearer {wanted}" if wanted else None)

    def open_repo(self, repo: str, *, write: bool = False) -> Repo | None:
        """The repository, or None after the refusal was sent."""
        if self.headers["Authorization"] and not self.token_is(TOKEN):
            self.fail(401, "", "Invalid credentials in Authorization header")
            return None
        if target := self.hub.renamed.get(repo):
            self.answer(307, headers={"Location": self.path.replace(repo, target, 1)})
            return None
        found = self.hub.repos.get(repo)
        known = self.token_is(TOKEN)
        if found is None or ((found.private or write) and not known):
            self.fail(404 if known else 401, "RepoNotFound", "Repository not found")
            return None
        return found

    def open_commit(self, repo: str, revision: str) -> tuple[Repo, str] | None:
        found = self.open_repo(repo)
        if found is None:
            return None
        oid = found.resolve(revision)
        if oid is None:
            self.fail(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return None
        return found, oid

    # Downloads

    def resolve(self, repo: str, revision: str, path: str) -> None:
        opened = self.open_commit(repo, revision)
        if opened is None:
            return
        found, oid = opened
        told = {"X-Repo-Commit": oid, "Accept-Ranges": "bytes"}
        data = found.commits[oid].get(path)
        if data is None:
            self.fail(404, "EntryNotFound", "Entry not found", **told)
            return
        if path.endswith(LARGE):
            digest = hashlib.sha256(data).hexdigest()
            told |= {
                "X-Linked-Etag": f'"{digest}"',
                "X-Linked-Size": str(len(data)),
                "Location": f"{self.hub.store_url}/{digest}",
            }
            self.answer(302, headers=told)
            return
        blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        self.send_range(data, {**told, "ETag": f'"{blob}"'})

    def from_store(self, digest: str) -> None:
        data = self.hub.store.get(digest)
        if data is None:
            self.answer(404)
        else:
            self.send_range(data, {"ETag": f'"{digest}"'})

    def send_range(self, data: bytes, headers: Mapping[str, str]) -> None:
        """The whole of `data`, or the part that was asked for."""
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers["Range"] or "")
        if not asked:
            self.answer(200, data, headers)
            return
        first, last = int(asked[1]), int(asked[2] or len(data) - 1)
        span = {"Content-Range": f"bytes {first}-{last}/{len(data)}"}
        self.answer(206, data[first : last + 1], {**headers, **span})

    def info(self, repo: str, revision: str | None = None) -> None:
        opened = self.open_commit(repo, revision or "main")
        if opened is None:
            return
        found, oid = opened
        files = [{"rfilename": name} for name in found.commits[oid]]
        about = {"id": repo, "modelId": repo, "sha": oid, "private": found.private, "tags": []}
        self.json({**about, "siblings": files, "downloads": 0, "likes": 0})

    def tree(self, repo: str, revision: str) -> None:
        opened = self.open_commit(repo, revision)
        if opened:
            files = opened[0].commits[opened[1]]
            self.json(
                [
                    {"type": "file", "path": name, "size": len(data), "oid": "0" * 40}
                    for name, data in files.items()
                ]
            )

    def commits(self, repo: str, revision: str) -> None:
        opened = self.open_commit(repo, revision)
        if opened:
            about = {"message": "", "authors": [], "date": "2026-01-01T00:00:00.000Z"}
            history = reversed(opened[0].messages.items())
            self.json([{"id": oid, "title": title, **about} for oid, title in history])

    # Uploads

    def create(self) -> None:
        wanted = json.loads(self.body)
        repo = f"{wanted['organization'] or 'me'}/{wanted['name']}"
        if not self.token_is(TOKEN):
            self.fail(401, "", "Invalid credentials in Authorization header")
        elif repo in self.hub.repos:
            self.json({"error": "exists", "url": f"{self.hub.url}/{repo}"}, 409)
        else:
            private = wanted.get("visibility") == "private" or bool(wanted.get("private"))
            self.hub.repos[repo] = Repo(private)
            self.hub.commit(repo, {".gitattributes": b""}, message="initial commit")
            self.json({"url": f"{self.hub.url}/{repo}"})

    def validate_yaml(self) -> None:
        text = json.loads(self.body)["content"]
        if text.startswith("---\n") and "\n---\n" in text:
            self.json({"warnings": [], "errors": []})
        else:
            self.json({"errors": [{"message": "no metadata"}]}, 400)

    def preupload(self, repo: str, revision: str) -> None:
        if self.open_repo(repo, write=True):
            files = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["path"].endswith(LARGE) else "regular",
                    "shouldIgnore": False,
                }
                for file in json.loads(self.body)["files"]
            ]
            self.json({"files": files})

    def lfs_batch(self, repo: str) -> None:
        if self.open_repo(repo, write=True):
            objects = []
            for wanted in json.loads(self.body)["objects"]:
                upload = {"href": f"{self.hub.url}/upload/{wanted['oid']}"}
                new = wanted["oid"] not in self.hub.store
                objects.append({**wanted, **({"actions": {"upload": upload}} if new else {})})
            self.json({"transfer": "basic", "objects": objects})

    def upload(self, digest: str) -> None:
        if hashlib.sha256(self.body).hexdigest() != digest:
            self.answer(400)
        else:
            self.hub.store[digest] = self.body
            self.answer(200)

    def make_commit(self, repo: str, revision: str) -> None:
        found = self.open_repo(repo, write=True)
        if found is None:
            return
        files = dict(found.commits[found.branches[revision]])
        message = ""
        for line in self.body.splitlines():
            operation = json.loads(line)
            value = operation["value"]
            match operation["key"]:
                case "header":
                    message = value["summary"]
                case "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    files[value["path"]] = self.hub.store[value["oid"]]
                case "deletedFile":
                    del files[value["path"]]
        oid = self.hub.commit(repo, files, branch=revision, message=message)
        url = f"{self.hub.url}/{repo}/commit/{oid}"
        self.json({"success": True, "commitOid": oid, "commitUrl": url})


REPO = r"([\w.-]+/[\w.-]+)"

ROUTES: tuple[tuple[tuple[str, ...], str, Callable[..., None]], ...] = (
    (("GET", "HEAD"), rf"/{REPO}/resolve/(.+?)/([^/]+)", Handler.resolve),
    (("GET", "HEAD"), r"/store/(\w+)", Handler.from_store),
    (("GET",), rf"/api/models/{REPO}", Handler.info),
    (("GET",), rf"/api/models/{REPO}/revision/(.+)", Handler.info),
    (("GET",), rf"/api/models/{REPO}/tree/([^/]+)", Handler.tree),
    (("GET",), rf"/api/models/{REPO}/commits/([^/]+)", Handler.commits),
    (("POST",), r"/api/repos/create", Handler.create),
    (("POST",), r"/api/validate-yaml", Handler.validate_yaml),
    (("POST",), rf"/api/models/{REPO}/preupload/([^/]+)", Handler.preupload),
    (("POST",), rf"/{REPO}\.git/info/lfs/objects/batch", Handler.lfs_batch),
    (("PUT",), r"/upload/(\w+)", Handler.upload),
    (("POST",), rf"/api/models/{REPO}/commit/([^/]+)", Handler.make_commit),
)
