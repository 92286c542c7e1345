"""Servers that speak S3: SeaweedFS where it is installed, and a small one of the tests' own that is always there.

The small one is strict where Amazon's documentation is: signatures (of its own making, from the specification),
Content-MD5, parts of at least 5 MiB but for the last, tags that must agree. It also counts and can be told to fail.
"""

import base64
import contextlib
import hashlib
import hmac
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

KEY_ID, SECRET = "AKIDOVERFLIGHT", "a/secret+of the tests"
SMALLEST_PART = 5 * 2**20


def expected_signature(method: str, target: str, host: str, secret: str) -> str:
    """Of an address with a signature in its query (AWS Signature Version 4)."""
    path, _, query = target.partition("?")
    pairs = [pair for pair in query.split("&") if not pair.startswith("X-Amz-Signature=")]
    asked = dict(parse_qsl(query, keep_blank_values=True))
    date, region, service, last = asked["X-Amz-Credential"].split("/")[1:]
    canonical = f"{method}\n{path}\n{'&'.join(sorted(pairs))}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD"
    text = (
        f"AWS4-HMAC-SHA256\n{asked['X-Amz-Date']}\n{date}/{region}/{service}/{last}\n"
        f"{hashlib.sha256(canonical.encode()).hexdigest()}"
    )
    key = ("AWS4" + secret).encode()
    for part in (date, region, service, last, text):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key.hex()


class SmallStore:
    """What the small server keeps."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.requests: list[tuple[str, str]] = []
        self.fail: dict[tuple[str, str], list[int]] = {}
        """Statuses to answer with before the right one, by method and a pattern of the target."""

    def answer(self, method: str, target: str, host: str, headers: dict[str, str], body: bytes):
        """Status, headers and body."""
        self.requests.append((method, target))
        asked = dict(parse_qsl(urlsplit(target).query, keep_blank_values=True))
        for (verb, pattern), statuses in self.fail.items():
            if verb == method and statuses and re.search(pattern, target):
                return self._error(statuses.pop(0), "InternalError", "as the test wants it")
        if asked.get("X-Amz-Signature") != expected_signature(method, target, host, SECRET):
            return self._error(403, "SignatureDoesNotMatch", "The signature does not match.")
        if "content-md5" in headers and base64.b64decode(headers["content-md5"]) != hashlib.md5(body).digest():
            return self._error(400, "BadDigest", "The Content-MD5 does not match.")
        key = unquote(urlsplit(target).path)
        if "uploadId" in asked:
            return self._upload(method, key, asked, body)
        return self._object(method, key, asked, headers, body)

    def _upload(self, method, key, asked, body):
        parts = self.uploads.get(asked["uploadId"])
        if parts is None:
            return self._error(404, "NoSuchUpload", "The upload does not exist.")
        if method == "PUT":
            parts[int(asked["partNumber"])] = body
            return 200, {"ETag": self._tag(body)}, b""
        del self.uploads[asked["uploadId"]]
        if method == "DELETE":
            return 204, {}, b""
        named = re.findall(rb"<PartNumber>(\d+)</PartNumber><ETag>([^<]*)</ETag>", body)
        numbers = [int(number) for number, _ in named]
        if numbers != sorted(set(numbers)) or any(
            self._tag(parts.get(int(number), b"")) != tag.decode() for number, tag in named
        ):
            return self._error(400, "InvalidPart", "A part was not found or its tag differs.")
        if any(len(parts[number]) < SMALLEST_PART for number in numbers[:-1]):
            return self._error(400, "EntityTooSmall", "A part is smaller than 5 MiB.")
        self.objects[key] = b"".join(parts[number] for number in numbers)
        return 200, {}, b"<CompleteMultipartUploadResult/>"

    def _object(self, method, key, asked, headers, body):  # noqa: PLR0911
        if method == "POST" and "uploads" in asked:
            upload = uuid.uuid4().hex
            self.uploads[upload] = {}
            found = f"<R xmlns='http://s3.amazonaws.com/doc/2006-03-01/'><UploadId>{upload}</UploadId></R>"
            return 200, {}, found.encode()
        if method == "PUT":
            self.objects[key] = body
            return 200, {"ETag": self._tag(body)}, b""
        if method == "DELETE":
            self.objects.pop(key, None)
            return 204, {}, b""
        if asked.get("list-type") == "2":
            return self._list(key, asked)
        if key not in self.objects:
            return self._error(404, "NoSuchKey", "The key does not exist.")
        if "range" not in headers:
            return 200, {}, self.objects[key]
        first, last = re.fullmatch(r"bytes=(\d+)-(\d+)", headers["range"]).groups()
        return 206, {}, self.objects[key][int(first) : int(last) + 1]

    def _list(self, root, asked):
        """Two a page, so that whoever lists must follow them."""
        base = root.rstrip("/") + "/"
        keys = sorted(key.removeprefix(base) for key in self.objects if key.startswith(base + asked["prefix"]))
        first = int(asked.get("continuation-token", 0))
        page, more = keys[first : first + 2], first + 2 < len(keys)
        found = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(self.objects[base + key])}</Size>"
            f"<ETag>{escape(self._tag(self.objects[base + key]))}</ETag></Contents>"
            for key in page
        )
        token = f"<NextContinuationToken>{first + 2}</NextContinuationToken>" if more else ""
        listing = f"<ListBucketResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'>{found}{token}</ListBucketResult>"
        return 200, {}, listing.encode()

    @staticmethod
    def _tag(body):
        return f'"{hashlib.md5(body).hexdigest()}"'

    @staticmethod
    def _error(status, code, message):
        return status, {}, f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()


@contextlib.contextmanager
def small_server() -> Iterator[tuple[str, SmallStore]]:
    """Address of a running one, and what it keeps."""
    store = SmallStore()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            named = {name.lower(): value for name, value in self.headers.items()}
            status, headers, found = store.answer(self.command, self.path, self.headers["host"], named, body)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(found))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(found)

        do_GET = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", store
        finally:
            server.shutdown()
            thread.join()


def free_port() -> int:
    """One whose number plus 10,000 is a port as well: SeaweedFS takes that too."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            if (found := int(probe.getsockname()[1])) < 55_000:
                return found


@contextlib.contextmanager
def seaweedfs(folder: Path, bucket: str) -> Iterator[str]:
    """Address of a SeaweedFS with one bucket, for whoever has the keys above."""
    keys = {"accessKey": KEY_ID, "secretKey": SECRET}
    people = [{"name": "tests", "credentials": [keys], "actions": ["Admin", "Read", "Write", "List"]}]
    import json

    (folder / "keys.json").write_text(json.dumps({"identities": people}))
    port = free_port()
    ports = {name: free_port() for name in ("master.port", "volume.port", "filer.port")}
    command = [
        str(shutil.which("weed")), "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3",
        f"-s3.port={port}", f"-s3.config={folder / 'keys.json'}", "-volume.max=20", "-master.volumeSizeLimitMB=64",
        "-master.telemetry=false",
        *(f"-{name}={number}" for name, number in ports.items()),
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        from processing.bucket import Bucket

        made = Bucket(name=bucket, endpoint=f"http://127.0.0.1:{port}", key_id=KEY_ID, secret=SECRET)
        for _ in range(300):
            assert process.poll() is None, (folder / "log").read_text()[-2000:]
            request = urllib.request.Request(made.sign("PUT", "").rstrip("/"), method="PUT")
            with (
                contextlib.suppress(urllib.error.URLError, ConnectionError),
                urllib.request.urlopen(request, timeout=5),
            ):
                break
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()  # asked to end, it takes half a minute
        process.wait(30)
