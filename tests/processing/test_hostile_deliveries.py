"""Whatever is delivered goes its whole way to a picture, or is refused in words: soon, in little memory, and alone.

`python -m tests.bench hostile` does the same to 10,000 others.
"""

import signal
import subprocess
import sys

import pytest

from tests.processing import hostile_deliveries
from tests.processing.hostile_worker import LONGEST_S, MEMORY_BYTES, ROOT, STARTING_S, Worker, fuzz_deliveries

COUNT = 2000


def test_what_is_damaged_is_whole_before(tmp_path):
    worker = Worker()
    kinds = hostile_deliveries.harmless(tmp_path / "kinds")
    try:
        for number, (kind, content) in enumerate(kinds.items()):
            suffix = hostile_deliveries.SUFFIXES[number % 4]
            place = hostile_deliveries.write(content, tmp_path / f"{number}{suffix}")
            verdict = worker.probe(place, longest_s=STARTING_S)
            assert verdict.outcome == "read", (kind, suffix, verdict)
    finally:
        worker.close()


@pytest.mark.slow
def test_damaged_deliveries_are_produced_or_refused():
    found, opened = fuzz_deliveries(range(COUNT), seed=2)
    assert len(found) == COUNT
    assert not [(what, one) for what, one in found if one.outcome not in ("read", "refused")]
    assert {one.outcome for _, one in found} == {"read", "refused"}
    assert not opened
    assert max(one.seconds for _, one in found) < LONGEST_S
    assert max(one.peak for _, one in found) < MEMORY_BYTES


GUARDED = """
import os, socket, subprocess
from tests.processing.hostile_guards import without_network
assert without_network()
socket.socketpair()[0].close()
print("inside", flush=True)
{deed}
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="seccomp is Linux's own")
@pytest.mark.parametrize(
    "deed",
    [
        "socket.socket(socket.AF_INET)",
        "socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)",
        "os.execv('/bin/true', ['true'])",
        "import rasterio; rasterio.open('/vsicurl/http://127.0.0.1:9/a.tif')",
    ],
)
def test_a_guarded_process_ends_where_it_calls_out(deed):
    done = subprocess.run([sys.executable, "-c", GUARDED.format(deed=deed)], cwd=ROOT, capture_output=True, check=False)
    assert done.stdout == b"inside\n"
    assert done.returncode == -signal.SIGSYS


LOOKED = """
import pathlib, socket, sys
from tests.processing.hostile_guards import Strays
strays = Strays([pathlib.Path({allowed!r})])
open({allowed!r} + "/a").close()
assert strays.take() == []
open({outside!r}).close()
(pathlib.Path({allowed!r}) / "link").read_text()
try:
    socket.create_connection(("127.0.0.1", 9), 0.1)
except OSError:
    pass
print("\\n".join(strays.take()))
"""


def test_what_python_opens_elsewhere_is_noted(tmp_path):
    allowed, outside = tmp_path / "allowed", tmp_path / "secret"
    allowed.mkdir()
    (allowed / "a").touch()
    outside.touch()
    (allowed / "link").symlink_to(outside)
    code = LOOKED.format(allowed=str(allowed), outside=str(outside))
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    noted = done.stdout.splitlines()
    assert f"open {str(outside)!r}" in noted
    assert f"open {str(allowed / 'link')!r}" in noted
    assert any(line.startswith("socket.connect") for line in noted)
