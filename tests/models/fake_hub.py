"""A hub on loopback: the routes that huggingface_hub's `upload_folder` asks, large files by git-lfs's basic transfer.

`refuse_after`: how many large files it takes before it answers 403, as when a token expires half-way. What it was sent
is counted in bytes. No xet: the client is asked to do without (HF_HUB_DISABLE_XET).
"""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Hub(ThreadingHTTPServer):
    """What the hub has: large files by their SHA-256, and the files of the last commit by their path."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Routes)
        self.objects: dict[str, bytes] = {}
        self.files: dict[str, bytes] = {}
        self.sent, self.commits = list[int](), 0
        self.refuse_after: int | None = None
        self.lock = threading.Lock()

    @property
    def address(self) -> str:
        """For HfApi's `endpoint`."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Routes(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""

    def do_POST(self) -> None:
        hub, path = self.server, self.path.split("?")[0]
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if path == "/api/repos/create":
            self._answer({"url": f"{hub.address}/me/model"})
        elif path == "/api/validate-yaml":
            self._answer({"errors": [], "warnings": []})
        elif "/preupload/" in path:
            asked = json.loads(sent)["files"]
            mode = {True: "lfs", False: "regular"}
            self._answer({"files": [
                {"path": one["path"], "uploadMode": mode[one["path"].endswith(".safetensors")], "shouldIgnore": False}
                for one in asked
            ]})  # fmt: skip
        elif path.endswith("/info/lfs/objects/batch"):
            self._answer({"transfer": "basic", "objects": [self._action(one) for one in json.loads(sent)["objects"]]})
        elif "/commit/" in path:
            for line in map(json.loads, sent.splitlines()):
                value = line["value"]
                if line["key"] == "file":
                    hub.files[value["path"]] = base64.b64decode(value["content"])
                elif line["key"] == "lfsFile":
                    hub.files[value["path"]] = hub.objects[value["oid"]]
            hub.commits += 1
            self._answer({"commitUrl": f"{hub.address}/me/model/commit/abc", "commitOid": "abc"})
        else:
            self._answer({"error": f"no route {path}"}, 404)

    def do_PUT(self) -> None:
        hub, sent = self.server, self.rfile.read(int(self.headers["Content-Length"]))
        with hub.lock:
            refused = hub.refuse_after is not None and len(hub.objects) >= hub.refuse_after
            if not refused:
                hub.objects[hashlib.sha256(sent).hexdigest()] = sent
                hub.sent.append(len(sent))
        self._answer({"error": "the token has expired"} if refused else {}, 403 if refused else 200)

    def do_GET(self) -> None:
        self._answer({"error": "not found"}, 404)

    do_HEAD = do_GET

    def _action(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Where to send a large file; nothing where it is there already."""
        known = {"oid": asked["oid"], "size": asked["size"]}
        if asked["oid"] in self.server.objects:
            return known
        return {**known, "actions": {"upload": {"href": f"{self.server.address}/upload/{asked['oid']}"}}}

    def _answer(self, value: object, status: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def open_hub() -> Iterator[Hub]:
    """A hub that is there for as long as the block runs."""
    hub = Hub()
    thread = threading.Thread(target=hub.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join()
