"""A process of its own that opens files and reads them whole, with little memory to do it in.

The parent names a file on its standard input and gets a line of JSON: whether it was read or refused, in which words,
how long it took, and the peak of resident memory.
"""

import json
import resource
import select
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.processing.hostile_files import mutate

MEMORY_BYTES = 2 * 2**30
LONGEST_S = 30
ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True, kw_only=True)
class Verdict:
    outcome: str
    """``read``, ``refused`` by a DeliveryError, ``failed`` with another error, ``died`` or ``hung``."""

    words: str = ""
    seconds: float = 0.0
    peak: int = 0
    """Bytes."""


class Worker:
    """The process, seen from its parent; one that dies or hangs is replaced."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None

    def probe(self, path: Path) -> Verdict:
        if self.process is None:
            command = [sys.executable, "-m", "tests.processing.hostile_worker"]
            self.process = subprocess.Popen(
                command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            self.process.stdout.readline()  # it is ready
        self.process.stdin.write(f"{path}\n")
        self.process.stdin.flush()
        if not select.select([self.process.stdout], [], [], LONGEST_S)[0]:
            self.process.kill()
            self.close()
            return Verdict(outcome="hung", seconds=LONGEST_S)
        line = self.process.stdout.readline()
        if not line:
            code = self.process.wait()
            self.close()
            return Verdict(outcome="died", words=f"exit status {code}")
        return Verdict(**json.loads(line))

    def close(self) -> None:
        if self.process is not None:
            self.process.communicate()  # at the end of its input it tidies up and ends
            self.process = None


def fuzz(files: dict[str, Path], count: int, seed: int) -> list[tuple[str, Verdict]]:
    """Damage files at random, each time in another way, and probe them; the name says which one it was."""
    contents = sorted((name, path.read_bytes()) for name, path in files.items())
    found = []
    worker = Worker()
    try:
        with tempfile.TemporaryDirectory() as folder:
            for index in range(count):
                random = np.random.default_rng([seed, index])
                name, content = contents[int(random.integers(len(contents)))]
                path = Path(folder, name)
                path.write_bytes(mutate(content, random))
                found.append((f"{name}, seed {seed}, {index}", worker.probe(path)))
    finally:
        worker.close()
    return found


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    from processing.errors import DeliveryError
    from processing.raster import check_whole

    print("ready", flush=True)
    for line in sys.stdin:
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew: proc(5)
        start = time.perf_counter()
        try:
            check_whole(Path(line.rstrip("\n")))
            outcome, words = "read", ""
        except DeliveryError as error:
            outcome, words = "refused", str(error)
        except Exception as error:  # noqa: BLE001 - what else comes out is what is looked for
            outcome, words = "failed", f"{type(error).__name__}: {error}"
        peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024
        found = {"outcome": outcome, "words": words, "seconds": time.perf_counter() - start, "peak": peak}
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
