"""Work that is done superblock by superblock, on threads of this process or on a dask cluster.

A task encodes its superblock into a spool folder beside the destination and returns where the tiles are, never pixels:
a few hundred bytes to the scheduler whatever the size of the raster. Tasks share nothing and write files of their own,
so a task that is run twice does no harm. On a cluster, every worker must see the sources and the destination's folder
under the same paths.
"""

import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from processing.cog import CogProfile, EncodedSuperblock, encode_superblock
from processing.errors import OutputError, ProcessingError
from processing.tile import Pixels

if TYPE_CHECKING:  # a thread pool does not need it, and it takes half a second to import
    from distributed import Client

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

Task = tuple[Any, ...]
"""A function and its arguments."""


class Job(Protocol):
    """Makes superblocks; can be pickled."""

    def block(self, row: int, col: int) -> Pixels:
        """The pixels of a superblock, counted in superblocks."""
        ...


def superblocks(job: Job, profile: CogProfile, spool: Path) -> list[Task]:
    """A task for each superblock, which gives an `EncodedSuperblock`."""
    rows, cols = profile.superblocks
    return [(_make, job, profile, spool, row, col) for row, col in product(range(rows), range(cols))]


def _make(job: Job, profile: CogProfile, spool: Path, row: int, col: int) -> EncodedSuperblock:
    return encode_superblock(job.block(row, col), profile, row=row, col=col, spool=spool)


def plainly(function: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401 - of any task
    """Do a task on a cluster; its error comes back as what it is.

    dask sends an error with all that led to it, and what rasterio raises cannot be unpickled: the other side would get
    a bare `Exception`.
    """
    try:
        return function(*arguments)
    except ProcessingError as error:
        error.__context__ = None
        raise


def run(
    what: str,
    tasks: Sequence[Task],
    *,
    client: "Client | None" = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> list[Any]:
    """Do tasks in any order; their results, in the order of the tasks.

    Parameters
    ----------
    what
        For the progress, and for whoever looks at the cluster.
    client
        Cluster to work on; None for `threads` threads of this process (as many as it has cores where None).
    """
    if client is not None:
        return _run_on_cluster(client, what, tasks, progress)
    with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
        futures = [pool.submit(*task) for task in tasks]
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                future.result()
                if progress:
                    progress(what, done, len(tasks))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
        return [future.result() for future in futures]


def _run_on_cluster(client: "Client", what: str, tasks: Sequence[Task], progress: Progress | None) -> list[Any]:
    from distributed import as_completed as as_they_come

    # Never the same keys again: what a cluster still holds from an earlier run points at files that are gone.
    key = f"{what}-{uuid.uuid4().hex}"
    futures = [client.submit(plainly, *task, key=f"{key}-{number}") for number, task in enumerate(tasks)]
    numbers = {future.key: number for number, future in enumerate(futures)}
    try:
        results: list[Any] = [None] * len(tasks)
        finished = as_they_come(futures, loop=client.loop, with_results=True)  # type: ignore[no-untyped-call]
        for done, (future, result) in enumerate(finished, start=1):
            results[numbers[future.key]] = result
            if progress:
                progress(what, done, len(tasks))
        return results
    finally:
        client.cancel(futures)  # type: ignore[no-untyped-call]


@contextmanager
def spooled(destination: Path) -> Iterator[Path]:
    """A folder for encoded tiles beside the destination, gone at the end.

    Raises
    ------
    OutputError
        Its folder cannot be written, or what is there is no file that another may take the place of.
    """
    if destination.exists() and not destination.is_file():
        raise OutputError(f"{destination.name}: it is there, and no plain file; name another output")
    try:
        folder = Path(tempfile.mkdtemp(dir=destination.parent, prefix=f".{destination.name}.", suffix=".spool"))
    except OSError as error:
        raise OutputError(f"{destination.name}: its folder cannot be written ({error.strerror})") from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
