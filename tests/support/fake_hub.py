"""A Hugging Face Hub on loopback: what huggingface_hub calls to publish and to load a data set.

It keeps repositories in memory: commits are whole trees, large files lie in a store of their own
(LFS), and a commit is applied wholly or not at all. `before` may answer in its place, or do
something else first, such as kill the client.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

LARGE = (".parquet",)  # what the Hub's default .gitattributes sends to LFS


@dataclass(kw_only=True)
class Response:
    """An answer of the Hub."""

    status: int = 200
    body: bytes | dict[str, Any] | list[Any] = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(kw_only=True)
class Repo:
    """A dataset repository: its commits, the newest last, each a whole tree."""

    name: str
    private: bool
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def head(self) -> str:
        return list(self.commits)[-1]

    @property
    def files(self) -> dict[str, bytes]:
        return self.commits[self.head]

    def add(self, tree: dict[str, bytes]) -> str:
        """Put a commit on top."""
        number = str(len(self.commits)).encode()
        oid = hashlib.sha1(number + b"".join(tree.values())).hexdigest()
        self.commits[oid] = tree
        return oid

    def commit_of(self, revision: str) -> str | None:
        """Return the commit that a branch, a tag or a hash means."""
        if revision == "main":
            return self.head
        return self.tags.get(revision, revision if revision in self.commits else None)


class FakeHub:
    """Serves from a thread until `stop`.

    Args:
        tokens: Token to user; any other token gets 401.
    """

    def __init__(self, tokens: Mapping[str, str]) -> None:
        self.tokens = dict(tokens)
        self.repos: dict[str, Repo] = {}
        self.stored: dict[str, bytes] = {}  # SHA-256 to bytes: LFS
        self.requests: list[tuple[str, str]] = []
        self.before: Callable[[str, str], Response | None] = lambda method, path: None
        self._lock = threading.Lock()
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                path = unquote(urlsplit(self.path).path)
                answer = hub.before(self.command, path)
                if answer is None:
                    with hub._lock:
                        hub.requests.append((self.command, path))
                        answer = hub.answer(self.command, path, self.headers, data)
                self._send(answer)

            def _send(self, answer: Response) -> None:
                body = answer.body
                if not isinstance(body, bytes):
                    body = json.dumps(body).encode()
                    answer.headers.setdefault("Content-Type", "application/json")
                try:
                    self.send_response(answer.status)
                    for name, value in answer.headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    if self.command != "HEAD":
                        self.wfile.write(body)
                except OSError:  # the client was killed
                    self.close_connection = True

            do_GET = do_POST = do_PUT = do_HEAD = _serve

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def make(self, repo: str, *, private: bool = True, **files: bytes) -> Repo:
        """Make a repository, with a first commit as the Hub makes it."""
        self.repos[repo] = Repo(name=repo, private=private)
        self.repos[repo].add({".gitattributes": b"*.parquet filter=lfs\n", **files})
        return self.repos[repo]

    def counted(self, method: str, part: str) -> int:
        """Return how many requests had `part` in their path."""
        return sum(m == method and part in path for m, path in self.requests)

    def answer(self, method: str, path: str, headers: Mapping[str, str], data: bytes) -> Response:
        """Answer a request."""
        for pattern, verb, serve in ROUTES:
            match = re.fullmatch(pattern, path)
            if match is None or verb not in (method, "GET" if method == "HEAD" else ""):
                continue
            user = self.tokens.get(headers.get("Authorization", "").removeprefix("Bearer "))
            groups = match.groupdict()
            if user is None and not path.startswith("/storage/"):  # signed addresses need none
                return refusal(401, "RepoNotFound" if "repo" in groups else "", "Invalid token")
            repo = self.repos.get(groups.pop("repo", ""))
            if "repo" in match.groupdict():
                if repo is None:
                    return refusal(404, "RepoNotFound", "Repository not found")
                return serve(self, repo, data=data, **groups)
            return serve(self, user, data=data, **groups)
        return refusal(404, "", f"no {method} {path} on this Hub")

    # --- the account, and making a repository

    def _whoami(self, user: str, data: bytes) -> Response:
        return Response(body={"type": "user", "name": user, "orgs": [], "auth": {}})

    def _create(self, user: str, data: bytes) -> Response:
        wanted = json.loads(data)
        name = f"{wanted.get('organization') or user}/{wanted['name']}"
        if not name.startswith(f"{user}/"):
            return refusal(403, "", f"You don't have the rights to create {name}")
        if name in self.repos:
            return refusal(409, "", "You already created this dataset repo")
        hidden = wanted.get("private") or wanted.get("visibility") == "private"
        self.make(name, private=bool(hidden))
        return Response(body={"url": f"{self.url}/datasets/{name}", "name": name})

    def _validate_yaml(self, user: str, data: bytes) -> Response:
        content = json.loads(data)["content"]
        errors = [] if content.startswith("---\n") else [{"message": "no YAML"}]
        return Response(status=400 if errors else 200, body={"errors": errors, "warnings": []})

    # --- reading

    def _info(self, repo: Repo, data: bytes, revision: str | None = None) -> Response:
        commit = repo.commit_of(revision or "main")
        if commit is None:
            return refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return Response(
            body={
                "_id": "0" * 24,
                "id": repo.name,
                "sha": commit,
                "private": repo.private,
                "gated": False,
                "disabled": False,
                "tags": [],
                "downloads": 0,
                "likes": 0,
                "siblings": [{"rfilename": path} for path in repo.commits[commit]],
            }
        )

    def _refs(self, repo: Repo, data: bytes) -> Response:
        def refs(kind: str, named: Mapping[str, str]) -> list[dict[str, str]]:
            return [
                {"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": commit}
                for name, commit in named.items()
            ]

        body = {"branches": refs("heads", {"main": repo.head}), "tags": refs("tags", repo.tags)}
        return Response(body={**body, "converts": []})

    def _tree(self, repo: Repo, data: bytes, revision: str, folder: str | None = None) -> Response:
        commit = repo.commit_of(revision)
        if commit is None:
            return refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        below = f"{folder}/" if folder else ""
        tree = {p: data for p, data in repo.commits[commit].items() if p.startswith(below)}
        if not tree:
            return refusal(404, "EntryNotFound", f"no {folder}")
        folders = sorted({p.rpartition("/")[0] for p in tree} - {"", folder})
        entries = [{"type": "directory", "path": p, "oid": "0" * 40, "size": 0} for p in folders]
        return Response(body=[*entries, *(entry(path, tree[path]) for path in tree)])

    def _paths_info(self, repo: Repo, data: bytes, revision: str) -> Response:
        tree = repo.commits[repo.commit_of(revision) or repo.head]
        paths = json.loads(data)["paths"]
        return Response(body=[entry(path, tree[path]) for path in paths if path in tree])

    def _resolve(self, repo: Repo, data: bytes, revision: str, path: str) -> Response:
        commit = repo.commit_of(revision)
        if commit is None:
            return refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if path not in repo.commits[commit]:
            return refusal(404, "EntryNotFound", f"no {path} in {commit}")
        content = repo.commits[commit][path]
        is_large = path.endswith(LARGE)
        etag = content_hash(path, content)
        headers = {"ETag": f'"{etag}"', "X-Repo-Commit": commit}
        if is_large:
            headers |= {"X-Linked-Etag": f'"{etag}"', "X-Linked-Size": str(len(content))}
        return Response(body=content, headers=headers)

    # --- writing

    def _preupload(self, repo: Repo, data: bytes, revision: str) -> Response:
        files = []
        for file in json.loads(data)["files"]:
            there = repo.files.get(file["path"])
            is_large = file["path"].endswith(LARGE)
            files.append(
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if is_large else "regular",
                    "shouldIgnore": False,
                    "oid": None if there is None else content_hash(file["path"], there),
                }
            )
        return Response(body={"files": files})

    def _lfs_batch(self, repo: Repo, data: bytes) -> Response:
        objects = []
        for each in json.loads(data)["objects"]:
            known = {"oid": each["oid"], "size": each["size"]}
            if each["oid"] not in self.stored:
                href = f"{self.url}/storage/{each['oid']}"
                known |= {"authenticated": True, "actions": {"upload": {"href": href}}}
            objects.append(known)
        return Response(
            body={"transfer": "basic", "objects": objects},
            headers={"Content-Type": "application/vnd.git-lfs+json"},
        )

    def _store(self, user: str, data: bytes, oid: str) -> Response:
        if hashlib.sha256(data).hexdigest() != oid:
            return refusal(400, "", "The content does not match its hash")
        self.stored[oid] = data
        return Response()

    def _commit(self, repo: Repo, data: bytes, revision: str) -> Response:
        lines = [json.loads(line) for line in data.splitlines()]
        header = lines[0]["value"]
        if header.get("parentCommit") not in (None, repo.head):
            return refusal(412, "", "The expected parent commit is not the head any more")
        tree = dict(repo.files)
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                tree[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                if value["oid"] not in self.stored:
                    return refusal(400, "", f"LFS object {value['oid']} was never uploaded")
                tree[value["path"]] = self.stored[value["oid"]]
            else:
                del tree[value["path"]]
        oid = repo.add(tree)
        url = f"{self.url}/datasets/{repo.name}/commit/{oid}"
        return Response(body={"success": True, "commitOid": oid, "commitUrl": url})

    def _tag(self, repo: Repo, data: bytes, revision: str) -> Response:
        name, commit = json.loads(data)["tag"], repo.commit_of(revision)
        if name in repo.tags:
            return refusal(409, "", "Tag reference exists already")
        if commit is None:
            return refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        repo.tags[name] = commit
        return Response()


def git_hash(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def content_hash(path: str, data: bytes) -> str:
    """Return what the Hub knows a file's content by: SHA-256 if large, else git's hash."""
    return hashlib.sha256(data).hexdigest() if path.endswith(LARGE) else git_hash(data)


def entry(path: str, data: bytes) -> dict[str, Any]:
    """Return a file as the Hub lists it."""
    if not path.endswith(LARGE):
        return {"type": "file", "path": path, "oid": git_hash(data), "size": len(data)}
    oid = hashlib.sha256(data).hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(data)}\n"
    return {
        "type": "file",
        "path": path,
        "oid": git_hash(pointer.encode()),
        "size": len(data),
        "lfs": {"oid": oid, "size": len(data), "pointerSize": len(pointer)},
    }


def refusal(status: int, code: str, message: str) -> Response:
    headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
    return Response(status=status, body={"error": message}, headers=headers)


_REPO = r"/(?P<repo>[^/]+/[^/]+)"
_API = rf"/api/datasets{_REPO}"
ROUTES: tuple[tuple[str, str, Callable[..., Response]], ...] = (
    (r"/api/whoami-v2", "GET", FakeHub._whoami),
    (r"/api/repos/create", "POST", FakeHub._create),
    (r"/api/validate-yaml", "POST", FakeHub._validate_yaml),
    (_API, "GET", FakeHub._info),
    (rf"{_API}/revision/(?P<revision>.+)", "GET", FakeHub._info),
    (rf"{_API}/refs", "GET", FakeHub._refs),
    (rf"{_API}/tree/(?P<revision>[^/]+)(?:/(?P<folder>.+))?", "GET", FakeHub._tree),
    (rf"{_API}/paths-info/(?P<revision>[^/]+)", "POST", FakeHub._paths_info),
    (rf"{_API}/preupload/(?P<revision>[^/]+)", "POST", FakeHub._preupload),
    (rf"{_API}/commit/(?P<revision>[^/]+)", "POST", FakeHub._commit),
    (rf"{_API}/tag/(?P<revision>[^/]+)", "POST", FakeHub._tag),
    (rf"/datasets{_REPO}\.git/info/lfs/objects/batch", "POST", FakeHub._lfs_batch),
    (rf"/datasets{_REPO}/resolve/(?P<revision>[^/]+)/(?P<path>.+)", "GET", FakeHub._resolve),
    (r"/storage/(?P<oid>[0-9a-f]{64})", "PUT", FakeHub._store),
)
