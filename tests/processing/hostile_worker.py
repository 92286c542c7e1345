"""A process of its own that opens files and reads them whole, with little memory to do it in.

The parent names a file on its standard input and gets a line of JSON: whether it was read or refused, in which words,
how long it took, and the peak of resident memory. A delivery, folder or archive, goes the whole way: unpacked, checked,
and produced or orthorectified by the command. What the process may not do meanwhile stands in `hostile_guards`.
"""

import json
import resource
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.processing import hostile_deliveries
from tests.processing.hostile_files import mutate
from tests.processing.hostile_guards import Strays, Watch, without_network

MEMORY_BYTES = 2 * 2**30
LONGEST_S = 30
"""Of processor time: the machine may have other work."""

HUNG_S = 120
"""Of the clock, until the process is ended."""

STARTING_S = 240
"""Until the first delivery is produced: the kernels may have to be compiled."""

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True, kw_only=True)
class Verdict:
    outcome: str
    """``read`` (or produced), ``refused`` by a ProcessingError, ``failed`` with another error, ``strayed`` from what it
    may touch, ``died`` or ``hung``."""

    words: str = ""
    seconds: float = 0.0
    """Of processor time."""

    peak: int = 0
    """Bytes."""

    strays: list[str] = field(default_factory=list)


class Worker:
    """The process, seen from its parent; one that dies or hangs is replaced."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None

    def probe(self, path: Path, *, longest_s: float = HUNG_S) -> Verdict:
        if self.process is None:
            command = [sys.executable, "-m", "tests.processing.hostile_worker"]
            self.process = subprocess.Popen(
                command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            self.process.stdout.readline()  # it is ready
        self.process.stdin.write(f"{path}\n")
        self.process.stdin.flush()
        if not select.select([self.process.stdout], [], [], longest_s)[0]:
            self.process.kill()
            self.close()
            return Verdict(outcome="hung", seconds=longest_s)
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


Found = list[tuple[str, Verdict]]


def fuzz_deliveries(
    indices: range, seed: int, *, workers: int = 2, report: Callable[[int], None] | None = None
) -> tuple[Found, set[str]]:
    """Damage whole deliveries and let each go its whole way; and which files outside of them were opened."""
    with tempfile.TemporaryDirectory(prefix="overflight-hostile-") as name:
        folder = Path(name)
        kinds = hostile_deliveries.harmless(folder / "kinds")
        outside = folder / "outside"
        outside.mkdir()
        shutil.copy(folder / "kinds" / "rasters" / "plain.tif", outside / "secret.tif")
        (outside / "secret.xml").write_text("secret")
        watch = Watch(outside)
        try:
            parts = [indices[k::workers] for k in range(workers)]
            with ThreadPoolExecutor(workers) as pool:
                found = [
                    pool.submit(_fuzz_some, kinds, part, seed, folder=folder / str(k), outside=outside, report=report)
                    for k, part in enumerate(parts)
                ]
                return [one for each in found for one in each.result()], watch.opened()
        finally:
            watch.close()


def _fuzz_some(kinds, indices: range, seed: int, *, folder: Path, outside: Path, report) -> Found:
    found = []
    worker = Worker()
    folder.mkdir()
    try:
        first = worker.probe(hostile_deliveries.write(kinds["plain.tif"], folder / "first"), longest_s=STARTING_S)
        assert first.outcome == "read", first
        for index in indices:
            random = np.random.default_rng([seed, index])
            kind, suffix = str(random.choice(sorted(kinds))), str(random.choice(hostile_deliveries.SUFFIXES))
            place = folder / f"{index}{suffix}"
            archive_only = suffix and random.random() < 0.5
            content = kinds[kind] if archive_only else hostile_deliveries.damaged(kinds[kind], random, outside)
            hostile_deliveries.write(content, place)
            if archive_only:
                place.write_bytes(mutate(place.read_bytes(), random))
            found.append((f"{kind}{suffix}, seed {seed}, {index}", worker.probe(place)))
            shutil.rmtree(place) if place.is_dir() else place.unlink()
            if report:
                report(1)
    finally:
        worker.close()
    return found


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import matplotlib as mpl

    from api.commands.ortho import ortho  # noqa: F401 - distributed looks for IPv6 while it is imported
    from processing.errors import ProcessingError
    from processing.produce import produce  # noqa: F401
    from processing.raster import check_whole

    guarded = without_network()

    own = [ROOT, Path(sys.prefix), Path(sys.base_prefix), Path("/proc"), Path("/sys"), Path("/dev/null")]
    own.append(Path(mpl.get_cachedir()))  # its list of fonts, for the page of the accuracy report
    working = Path(tempfile.mkdtemp(prefix="overflight-worker-"))
    tempfile.tempdir = str(working)
    strays = Strays([*own, working])
    settled = strays.allowed
    print("ready" if guarded else "ready, no seccomp", flush=True)
    for line in sys.stdin:
        path = Path(line.rstrip("\n"))
        strays.allowed = (*settled, str(path.resolve()))
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew: proc(5)
        start = time.process_time()
        try:
            if path.is_dir() or path.suffix in (".zip", ".tar", ".gz"):
                _whole_way(path, working)
            else:
                check_whole(path)
            outcome, words = "read", ""
        except ProcessingError as error:
            outcome, words = "refused", str(error)
        except Exception as error:  # noqa: BLE001 - what else comes out is what is looked for
            outcome, words = "failed", f"{type(error).__name__}: {error}"
        seconds = time.process_time() - start
        peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024
        done = strays.take()
        outcome = "strayed" if done else outcome
        found = {"outcome": outcome, "words": words, "seconds": seconds, "peak": peak, "strays": done[:5]}
        print(json.dumps(found), flush=True)
    shutil.rmtree(working, ignore_errors=True)


def _whole_way(delivery: Path, working: Path) -> None:
    """From what was delivered to a picture on the map; what is refused goes to the command too."""
    from api.commands.ortho import ortho
    from catalog.assets import AssetFolder
    from processing.archive import unpack
    from processing.delivery import read_delivery
    from processing.errors import ProcessingError
    from processing.produce import produce

    with tempfile.TemporaryDirectory(dir=working) as name:
        folder = delivery if delivery.is_dir() else unpack(delivery, Path(name, "unpacked"))
        try:
            scene = read_delivery(folder)
            produce(scene, collection="c", dem=None, assets=AssetFolder(Path(name, "assets")), threads=1)
        except ProcessingError:
            if (folder / "dem.tif").is_file():
                heights = ["--dem", str(folder / "dem.tif"), "--dem-datum", "ellipsoid", "--threads", "1"]
                for picture in _pictures(folder):
                    ortho.main([str(picture), *heights, "-o", str(Path(name, "o.tif"))], standalone_mode=False)
            raise


def _pictures(folder: Path) -> list[Path]:
    """The raster of a delivery, by its name, whatever its manifest says."""
    other = ("dem.tif", "clouds.tif", "geoid.gtx")
    endings = (".tif", ".jp2", ".ntf")
    return [path for path in folder.iterdir() if path.suffix.lower() in endings and path.name not in other]


if __name__ == "__main__":
    main()
