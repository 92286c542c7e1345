"""Many scenes on one cluster: each becomes a file of its own, whatever becomes of the others.

    scenes ─► begin ──────────── few superblocks: all of it in this one task ────────► outcome
                └─► many superblocks: a task each ─► … ─► assemble, a task of its own ─► outcome

Only a few tasks for each thread are with the scheduler at any time, however many scenes there are, and those of scenes
that were begun come first: the graph never grows, and neither does what lies in the spool. Tasks return descriptions,
never pixels. A worker that dies costs the tasks that it had: others do them again, to the same bytes.

On a cluster, every worker must see the scenes, the heights and the folder under the same paths.
"""

import os
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from processing.blocks import Progress, Task, plainly, superblocks
from processing.cog import CogProfile, EncodedSuperblock, assemble
from processing.dem import Dem
from processing.errors import OutputError, ProcessingError
from processing.graph import OrthoJob, OrthoResult, RawRaster, plan
from processing.ground import choose_grid
from processing.tile import Compression

if TYPE_CHECKING:  # a thread pool does not need it, and it takes half a second to import
    from distributed import Client

SMALL: Final = 4
"""A scene of so many superblocks or fewer is one task, where there are enough scenes for every thread."""

AHEAD: Final = 3
"""Tasks in flight for each thread: one that runs, and some for it to go on with."""

_LOOK_S: Final = 5.0
"""How often the threads of a cluster are counted anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchScene:
    """A raw scene and the name of its orthoimage."""

    path: Path
    name: str
    """Of the file that is written, in the batch's folder."""

    rpc: Path | None = None
    """The sensor model; that beside the raster or inside it where None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOptions:
    """What holds for all scenes of a batch."""

    dem: Dem
    crs: str | None = None
    """As PROJ reads it; where None each scene has the UTM zone of its centre."""

    resolution: float | None = None
    """Side of a pixel in units of the CRS; each scene's own where None."""

    resampling: str = "bilinear"
    compress: Compression = "zstd"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOutcome:
    """What became of a scene: either of the two is None."""

    scene: BatchScene
    result: OrthoResult | None
    error: str | None
    """What was wrong with it, where, and what would be right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Divided:
    """A scene whose superblocks are tasks."""

    job: OrthoJob
    profile: CogProfile


@dataclass(slots=True, kw_only=True)
class _Open:
    """A scene that was begun."""

    scene: BatchScene
    spool: Path
    divided: _Divided | None = None
    blocks: list[EncodedSuperblock] = field(default_factory=list)
    left: int = 0
    """Superblocks to come."""

    failed: bool = False


Submit = Callable[..., Any]
"""Takes a function and its arguments; gives a future with ``result``, ``cancel`` and ``add_done_callback``."""


def orthorectify_many(
    scenes: Sequence[BatchScene],
    options: BatchOptions,
    *,
    folder: Path,
    client: "Client | None" = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Iterator[BatchOutcome]:
    """Write the orthoimages of many scenes; each outcome comes when it is known, in any order.

    The files are those that `orthorectify` writes, byte for byte. One that is there is replaced when the new one is
    whole.

    Parameters
    ----------
    folder
        Where the files go; it is made where it is missing.
    client
        Cluster to work on; None for `threads` threads of this process (as many as it has cores where None).

    Raises
    ------
    OutputError
        At the first step: two scenes have one name, or the folder cannot be written. Later: the cluster is gone; files
        that were finished stay. What is wrong with a scene is never raised: its outcome says it.
    """
    names = [scene.name for scene in scenes]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise OutputError(f"{twice}: two scenes of the batch would become this file; give each a name of its own")
    with _working(folder) as work, _crew(client, threads) as (submit, count):
        yield from _Batch(scenes, options, folder=folder, work=work, submit=submit, count=count).outcomes(progress)


class _Batch:
    """Decides what is done next; holds no pixels."""

    def __init__(
        self,
        scenes: Sequence[BatchScene],
        options: BatchOptions,
        *,
        folder: Path,
        work: Path,
        submit: Submit,
        count: Callable[[], int],
    ) -> None:
        self.options, self.folder, self.work = options, folder, work
        self.submit, self.count = submit, count
        self.total = len(scenes)
        self.waiting = deque(scenes)
        self.todo: deque[tuple[_Open, Task]] = deque()
        """Tasks of scenes that were begun."""
        self.running: dict[int, tuple[_Open, Any]] = {}
        self.finished: SimpleQueue[int] = SimpleQueue()
        self.number = 0

    def outcomes(self, progress: Progress | None) -> Iterator[BatchOutcome]:
        """Keep the crew busy until all is done."""
        done = 0
        try:
            while self.waiting or self.todo or self.running:
                self._fill()
                outcome = self._take()
                if outcome is None:
                    continue
                done += 1
                if progress:
                    progress("scenes", done, self.total)
                yield outcome
        finally:
            for _, future in self.running.values():
                future.cancel()

    def _fill(self) -> None:
        """Hand out tasks up to the bound, those of scenes that were begun first."""
        threads = self.count()
        while len(self.running) < AHEAD * threads and (self.todo or self.waiting):
            if self.todo:
                self._start(*self.todo.popleft())
                continue
            most = SMALL if len(self.waiting) > threads else 1
            scene = self.waiting.popleft()
            one = _Open(scene=scene, spool=self.work / str(self.number))
            self._start(one, (_begin, scene, self.options, self.folder, self.work, most))

    def _start(self, one: _Open, task: Task) -> None:
        number = self.number
        self.number += 1
        future = self.submit(*task)
        self.running[number] = one, future
        future.add_done_callback(lambda _: self.finished.put(number))

    def _take(self) -> BatchOutcome | None:
        """Wait for a task; the outcome of its scene where that is known now."""
        one, future = self.running.pop(self.finished.get())
        if one.failed:
            return None
        try:
            return self._next(one, future.result())
        except CancelledError:
            raise OutputError("cluster: its scheduler is gone; start it, and the batch again") from None
        except Exception as error:  # noqa: BLE001 - whatever a scene brings up, the others go on
            one.failed = True
            self.todo = deque(each for each in self.todo if each[0] is not one)
            for other, pending in self.running.values():
                if other is one:
                    pending.cancel()
            shutil.rmtree(one.spool, ignore_errors=True)
            said = str(error) if isinstance(error, ProcessingError | OSError) else f"{type(error).__name__}: {error}"
            return BatchOutcome(scene=one.scene, result=None, error=said or type(error).__name__)

    def _next(self, one: _Open, found: Any) -> BatchOutcome | None:  # noqa: ANN401 - what the three kinds of tasks give
        match found:
            case OrthoResult():
                shutil.rmtree(one.spool, ignore_errors=True)
                return BatchOutcome(scene=one.scene, result=found, error=None)
            case _Divided():
                one.divided = found
                one.spool.mkdir()
                tasks = superblocks(found.job, found.profile, one.spool)
                one.left = len(tasks)
                self.todo.extend((one, task) for task in tasks)
            case EncodedSuperblock():
                one.blocks.append(found)
                one.left -= 1
                if not one.left:
                    assert one.divided is not None
                    self.todo.appendleft(
                        (one, (_assemble, one.blocks, one.divided, one.spool, self.folder / one.scene.name))
                    )
        return None


def _begin(scene: BatchScene, options: BatchOptions, folder: Path, work: Path, most: int) -> OrthoResult | _Divided:
    """Plan a scene; make it where it has at most so many superblocks."""
    raster = RawRaster.open(scene.path, rpc=scene.rpc)
    image = raster.image()
    grid = choose_grid(
        raster.rpc, (image.height, image.width), options.dem, crs=options.crs, resolution=options.resolution
    )
    job = plan(raster=raster, dem=options.dem, grid=grid, resampling=options.resampling)
    divided = _Divided(job=job, profile=job.profile(compress=options.compress))
    rows, cols = divided.profile.superblocks
    if rows * cols > most:
        return divided
    # A folder of its own: a task that a cluster takes for lost may still be at work when it is done again.
    spool = Path(tempfile.mkdtemp(dir=work))
    try:
        blocks = [task[0](*task[1:]) for task in superblocks(job, divided.profile, spool)]
        return _assemble(blocks, divided, spool, folder / scene.name)
    finally:
        shutil.rmtree(spool, ignore_errors=True)


def _assemble(blocks: list[EncodedSuperblock], divided: _Divided, spool: Path, destination: Path) -> OrthoResult:
    assemble(blocks, divided.profile, spool=spool, destination=destination)
    return OrthoResult(destination=destination, profile=divided.profile, grid=divided.job.grid)


@contextmanager
def _working(folder: Path) -> Iterator[Path]:
    """A folder for all that is not finished, inside the other, gone at the end."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=folder, prefix=".batch-", suffix=".spool")).resolve()
    except OSError as error:
        raise OutputError(f"{folder.name}: cannot be written ({error.strerror}); give another folder") from None
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


@contextmanager
def _crew(client: "Client | None", threads: int | None) -> Iterator[tuple[Submit, Callable[[], int]]]:
    """Who does the tasks, and how many at a time."""
    if client is None:
        count = threads or os.cpu_count() or 1
        with ThreadPoolExecutor(count) as pool:
            try:
                yield pool.submit, lambda: count
            finally:
                pool.shutdown(cancel_futures=True)
        return
    yield _submitter(client), _Threads(client)


def _submitter(client: "Client") -> Submit:
    def submit(function: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401 - of any kind of task
        # Never the same key again: what a cluster still holds from an earlier run points at files that are gone.
        return client.submit(plainly, function, *arguments, pure=False)

    return submit


class _Threads:
    """How many threads a cluster has now; it may grow, and workers may die."""

    def __init__(self, client: "Client") -> None:
        self.client = client
        self.looked, self.count = -_LOOK_S, 1

    def __call__(self) -> int:
        if time.monotonic() - self.looked > _LOOK_S:
            self.looked = time.monotonic()
            self.count = max(1, sum(self.client.nthreads().values()))  # type: ignore[no-untyped-call]
        return self.count
