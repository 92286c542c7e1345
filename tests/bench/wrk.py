"""One measured cell: wrk, from one thread, repeats requests over some connections for some seconds."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.bench.errors import LeftOutError

SCRIPT = Path(__file__).with_name("requests.lua")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is sent."""

    method: str
    path: str
    body: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What came of it."""

    requests_s: float
    p50_ms: float
    p99_ms: float


def measure(origin: str, requests: Iterable[Request], *, connections: int, seconds: float) -> Cell:
    """Send the requests in turn, again and again; one answer other than 2xx, or none, spoils the cell."""
    if (wrk := shutil.which("wrk")) is None:
        raise LeftOutError("needs wrk: apt-get install wrk")
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as file:
        file.writelines(f"{one.method}\t{one.path}\t{one.body}\n" for one in requests)
        file.flush()
        command = [wrk, "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout=60s"]
        command += ["-s", str(SCRIPT), origin, "--", file.name]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = json.loads(said.splitlines()[-1])
    if found["failures"] or not found["requests"]:
        raise LeftOutError(f"{found['failures']} of {found['requests']} requests failed at {connections} connections")
    return Cell(requests_s=found["requests"] / found["seconds"], p50_ms=found["p50_ms"], p99_ms=found["p99_ms"])
