"""The servers that are measured, each one process with one worker on a port of its own."""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from psycopg.conninfo import conninfo_to_dict

from tests.bench.errors import LeftOutError
from tests.bench.workload import ROOT

PEER_PROGRAM = ROOT / ".venv-bench" / "bin" / "uvicorn"

START_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A STAC API that answers."""

    name: str
    origin: str
    """Scheme, host and port."""

    root: str
    """Path of the landing page, without a slash at its end."""

    pid: int
    client: httpx.Client

    def search(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST /search."""
        return self._answer("POST", f"{self.root}/search", json=body)

    def get(self, path: str) -> dict[str, Any]:
        """GET what lies under the landing page."""
        return self._answer("GET", self.root + path)

    def walk(self, body: Mapping[str, Any], pages: int) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Follow the server's own next links from a search; gives each page's body and answer."""
        for number in range(pages):
            answer = self.search(body)
            yield dict(body), answer
            following = [link for link in answer["links"] if link["rel"] == "next"]
            if not following:
                raise LeftOutError(f"{self.name}: page {number + 1} has no next link")
            body = {**body, **following[0]["body"]}

    def _answer(self, method: str, path: str, **what: Any) -> dict[str, Any]:
        answer = self.client.request(method, path, **what)
        if not answer.is_success:
            raise LeftOutError(f"{self.name} answers {method} {path} with {answer.status_code}: {answer.text:.200}")
        return answer.json()


@contextlib.contextmanager
def peer(dsn: str) -> Iterator[Server]:
    """Start stac-fastapi-pgstac over a pgstac database: uvloop, httptools, hydration in the API."""
    if not PEER_PROGRAM.exists():
        raise LeftOutError("needs the peer in .venv-bench: make bench installs it")
    place = conninfo_to_dict(dsn)
    settings = {
        "PGHOST": place["host"],
        "PGPORT": place["port"],
        "PGUSER": place["user"],
        "PGPASSWORD": "none",
        "PGDATABASE": place["dbname"],
        "USE_API_HYDRATE": "TRUE",
    }
    command = [str(PEER_PROGRAM), "stac_fastapi.pgstac.app:create_app", "--factory", "--workers=1"]
    command += ["--no-access-log", "--log-level=warning"]
    with _started("stac-fastapi-pgstac", command, settings, root="") as server:
        yield server


@contextlib.contextmanager
def overflight(data: Path, **settings: str) -> Iterator[Server]:
    """Start `overflight serve` over an installation, with no worker beside it."""
    command = [sys.executable, "-m", "api.cli", "serve", "--data", str(data), "--no-worker"]
    given = {f"OVERFLIGHT_{name.upper()}": value for name, value in settings.items()}
    with _started("overflight", command, given, root="/stac") as server:
        yield server


@contextlib.contextmanager
def _started(name: str, command: list[str], settings: Mapping[str, str], *, root: str) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    origin = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryFile("w+") as said, httpx.Client(base_url=origin, timeout=60) as client:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            cwd=ROOT,
            env=environment() | settings,
            stdout=said,
            stderr=said,
        )
        try:
            if not _answers(client, root or "/", process):
                said.seek(0)
                raise LeftOutError(f"{name} did not start: {said.read()[-500:]}")
            yield Server(name=name, origin=origin, root=root, pid=process.pid, client=client)
        finally:
            process.terminate()
            process.wait(30)


def environment() -> dict[str, str]:
    """This process's, without what an installation would read from it, and what a user's does not hold."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("OVERFLIGHT_", "PG", "PYTHON"))}


def _answers(client: httpx.Client, path: str, process: subprocess.Popen) -> bool:
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            return client.get(path).is_success
        time.sleep(0.05)
    return False
