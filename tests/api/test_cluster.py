"""A dask cluster elsewhere, by a setting alone: scheduler and workers in processes of their own."""

import contextlib
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from distributed import Client
from shapely.geometry import box

from catalog.extent import Footprint, TimeWindow
from tasking.opportunity import find_opportunities
from tasking.provider.sandbox.acquire import acquire
from tasking.provider.sandbox.constellation import SATELLITES

pytestmark = pytest.mark.slow


@pytest.fixture
def scheduler(tmp_path, wait_for):
    """The address of a scheduler with two workers."""
    told = tmp_path / "scheduler.json"
    with contextlib.ExitStack() as stack:

        def start(*arguments):
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", *map(str, arguments)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            stack.callback(process.wait, 20)
            stack.callback(process.terminate)

        start("scheduler", "--host", "127.0.0.1", "--port", 0, "--no-dashboard", "--scheduler-file", told)
        wait_for(told.is_file)
        address = json.loads(told.read_text())["address"]
        for name in ("one", "two"):
            place = tmp_path / name
            start("worker", address, "--nthreads", 1, "--no-dashboard", "--no-nanny", "--local-directory", place)
        yield address


def test_a_cluster_elsewhere_makes_the_same_files(scheduler, overflight, tmp_path):
    area = Footprint.of(box(10.49, 44.845, 10.5, 44.855))
    start = datetime(2026, 6, 10, tzinfo=UTC)
    window = TimeWindow(start=start, end=start + timedelta(days=4))
    chosen = find_opportunities(area, window, SATELLITES, max_off_nadir_deg=29.0, min_sun_elevation_deg=10.0)[0]
    satellite = next(one for one in SATELLITES if one.id == chosen.satellite_id)
    delivery = tmp_path / "delivery"
    delivery.mkdir()
    acquire(satellite, area, chosen.window, folder=delivery)

    made = {}
    for where in (scheduler, "threads"):
        data = tmp_path / where.replace("/", "-")
        done = overflight("ingest", delivery, "--data", data, dask_scheduler=where)
        assert done.returncode == 0, done.stderr
        files = sorted(path for path in (data / "assets").rglob("*") if path.is_file())
        made[where] = {path.name: path.read_bytes() for path in files}
    own = {"multispectral.tif", "panchromatic.tif", "cloud-mask.tif", "thumbnail.png"}
    own |= {"pansharpened.tif", "reflectance.tif", "quality-mask.tif", "accuracy.json", "accuracy-picture.png"}
    assert own == made["threads"].keys()
    assert made[scheduler] == made["threads"]

    with Client(scheduler, set_as_default=False) as client:
        keys = client.run_on_scheduler(lambda dask_scheduler: [str(one[0]) for one in dask_scheduler.transition_log])
    assert sum(key.startswith("orthorectify-") for key in keys) >= 3  # it was the cluster that worked
