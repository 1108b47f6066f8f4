"""A stand-in for the Hugging Face hub: the part of its HTTP interface that pushing and loading a model use.

Files named in ``LARGE`` are in large file storage, as weights are on the real hub: they are uploaded by themselves and
downloaded by a redirect to another server, which stands in for the hub's content delivery network.
"""

import base64
import hashlib
import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_stand_in"
LARGE = {"model.safetensors"}


def git_blob(data: bytes) -> str:
    """The hash by which git and the hub name a file."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Hub:
    """Repositories in memory, and the two servers.

    Attributes
    ----------
    commits : dict
        Files by repository and commit.
    branches : dict
        Commit by repository and branch.
    tampered, sizes : dict
        Content that is served, and sizes that are listed, in place of the true ones, by name of the file.
    asked : Counter
        Requests by kind.
    elsewhere : list
        Headers of the requests to the second server.
    page : bytes or None
        What every request is answered with, as a server does that is no hub.
    """

    def __init__(self) -> None:
        self.commits: dict[tuple[str, str], dict[str, bytes]] = {}
        self.branches: dict[tuple[str, str], str] = {}
        self.private: dict[str, bool] = {}
        self.tampered: dict[str, bytes] = {}
        self.sizes: dict[str, int] = {}
        self.stored: dict[str, bytes] = {}
        self.asked: Counter[str] = Counter()
        self.elsewhere: list[dict[str, str]] = []
        self.page: bytes | None = None
        self._servers = [self._serve(Front), self._serve(Storage)]
        # Two names of this machine, since huggingface_hub tells the hub and its storage apart by their hosts.
        self.url, self.storage_url = (
            f"http://{host}:{server.server_port}"
            for host, server in zip(("127.0.0.1", "localhost"), self._servers, strict=True)
        )

    def _serve(self, kind: type["Handler"]) -> ThreadingHTTPServer:
        server = ThreadingHTTPServer(("127.0.0.1", 0), type(kind.__name__, (kind,), {"hub": self}))
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return server

    def close(self) -> None:
        """Stop the servers."""
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def commit(self, repository: str, files: dict[str, bytes], branch: str = "main") -> str:
        """Add files to a branch and return the commit."""
        former = self.branches.get((repository, branch))
        whole = {**(self.commits[repository, former] if former else {}), **files}
        facts = json.dumps([former, {name: git_blob(data) for name, data in sorted(whole.items())}])
        commit = hashlib.sha1(facts.encode()).hexdigest()
        self.commits[repository, commit] = whole
        self.branches[repository, branch] = commit
        return commit


class Handler(BaseHTTPRequestHandler):
    """What both servers share."""

    hub: Hub
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: Any) -> None:
        """Keep silent."""

    def body(self) -> bytes:
        """The body of the request."""
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer(self, status: int, content: Any = b"", **headers: str) -> None:
        """Send an answer: bytes as they are, anything else as JSON."""
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


class Storage(Handler):
    """The server of large files."""

    def do_PUT(self) -> None:
        """Store a file."""
        self.hub.stored[self.path.rpartition("/")[2]] = self.body()
        self.answer(200)

    def do_GET(self) -> None:
        """Send a file."""
        self.hub.elsewhere.append(dict(self.headers))
        name = parse_qs(urlsplit(self.path).query)["name"][0]
        key = urlsplit(self.path).path.rpartition("/")[2]
        self.answer(200, self.hub.tampered.get(name, self.hub.stored.get(key, b"")))

    do_HEAD = do_GET


class Front(Handler):
    """The hub."""

    def refuse(self, status: int, code: str, text: str) -> None:
        """Refuse as the hub does."""
        self.body()
        self.answer(status, {"error": text}, X_Error_Code=code, X_Error_Message=text)

    def is_refused(self, writes: bool) -> bool:
        """Refuse a wrong token, and one that is missing."""
        if self.hub.page is not None:
            self.body()
            self.answer(200, self.hub.page)
            return True
        given = self.headers.get("Authorization")
        if given not in (None, f"Bearer {TOKEN}"):
            self.refuse(401, "", "Invalid credentials in Authorization header")
            return True
        if writes and given is None:
            self.refuse(401, "", "Invalid username or password.")
            return True
        return False

    def do_POST(self) -> None:
        """Everything that pushing asks for."""
        if self.is_refused(writes=not self.path.endswith("validate-yaml")):
            return
        hub, body, parts = self.hub, self.body(), urlsplit(self.path).path.strip("/").split("/")
        if parts == ["api", "repos", "create"]:
            asked = json.loads(body)
            repository = f"{asked['organization']}/{asked['name']}"
            if repository.startswith("somebody/"):
                self.answer(403, {"error": "You don't have the rights to create a model under this namespace"})
            elif repository in hub.private:
                self.answer(409, {"error": "You already created this model repo", "url": f"{hub.url}/{repository}"})
            else:
                hub.private[repository] = asked.get("private", asked.get("visibility") == "private")
                hub.commit(repository, {".gitattributes": b"*.safetensors filter=lfs\n"})
                self.answer(200, {"url": f"{hub.url}/{repository}"})
        elif parts == ["api", "validate-yaml"]:
            hub.asked["card"] += 1
            wrong = b"no-such-license" in body
            self.answer(
                400 if wrong else 200, {"errors": [{"message": '"license" must be one of [mit]'}]} if wrong else {}
            )
        elif parts[0] == "api" and parts[4] == "branch":
            repository = "/".join(parts[2:4])
            hub.branches[repository, unquote(parts[5])] = hub.branches[repository, "main"]
            self.answer(200, {})
        elif parts[0] == "api" and parts[4] == "preupload":
            names = [file["path"] for file in json.loads(body)["files"]]
            modes = [{"path": name, "uploadMode": "lfs" if name in LARGE else "regular"} for name in names]
            self.answer(200, {"files": [{**mode, "shouldIgnore": False} for mode in modes]})
        elif parts[-2:] == ["objects", "batch"]:
            asked = json.loads(body)["objects"]
            upload = [{"upload": {"href": f"{hub.storage_url}/{one['oid']}"}} for one in asked]
            found = [{**one, "actions": actions} for one, actions in zip(asked, upload, strict=True)]
            self.answer(200, {"transfer": "basic", "objects": found})
        elif parts[0] == "api" and parts[4] == "commit":
            repository, files = "/".join(parts[2:4]), {}
            for line in body.splitlines():
                item = json.loads(line)
                if item["key"] == "file":
                    files[item["value"]["path"]] = base64.b64decode(item["value"]["content"])
                elif item["key"] == "lfsFile":
                    files[item["value"]["path"]] = hub.stored[item["value"]["oid"]]
            commit = hub.commit(repository, files, unquote(parts[5]))
            self.answer(200, {"commitUrl": f"{hub.url}/{repository}/commit/{commit}", "commitOid": commit})
        else:
            self.refuse(404, "", f"no stand-in for {self.path}")

    def do_GET(self) -> None:
        """List a repository, or send one of its files."""
        if self.is_refused(writes=False):
            return
        hub, parts = self.hub, [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
        lists = parts[:2] == ["api", "models"]
        if not lists and parts[2:3] != ["resolve"]:
            self.refuse(404, "", f"no stand-in for {self.path}")
            return
        repository = "/".join(parts[2:4] if lists else parts[:2])
        revision = (parts[5] if len(parts) > 5 else "main") if lists else parts[3]
        commit = hub.branches.get((repository, revision), revision)
        if not any(known == repository for known, _ in hub.commits):
            self.refuse(401, "RepoNotFound", "Repository not found")
        elif (repository, commit) not in hub.commits:
            self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        elif lists:
            hub.asked["list"] += 1
            files = hub.commits[repository, commit]
            siblings = [self.listed(name, data) for name, data in files.items()]
            self.answer(200, {"id": repository, "modelId": repository, "sha": commit, "siblings": siblings})
        else:
            self.send_file("/".join(parts[4:]), hub.commits[repository, commit], commit)

    do_HEAD = do_GET

    def listed(self, name: str, data: bytes) -> dict[str, Any]:
        """A file as the hub lists it."""
        size = self.hub.sizes.get(name, len(data))
        found: dict[str, Any] = {"rfilename": name, "size": size, "blobId": git_blob(data)}
        if name in LARGE:
            found["lfs"] = {"size": size, "sha256": hashlib.sha256(data).hexdigest(), "pointerSize": 134}
        return found

    def send_file(self, name: str, files: dict[str, bytes], commit: str) -> None:
        """Send a file, or lead to where it is."""
        self.hub.asked["file"] += 1
        if name not in files:
            self.refuse(404, "EntryNotFound", "Entry not found")
            return
        data = files[name]
        if name in LARGE:
            key = hashlib.sha256(data).hexdigest()
            self.hub.stored[key] = data
            size = str(len(self.hub.tampered.get(name, data)))
            place = f"{self.hub.storage_url}/{key}?name={name}"
            self.answer(302, X_Repo_Commit=commit, X_Linked_Size=size, X_Linked_Etag=f'"{key}"', Location=place)
        else:
            shown = self.hub.tampered.get(name, data)
            self.answer(200, shown, X_Repo_Commit=commit, ETag=f'"{git_blob(data)}"')
