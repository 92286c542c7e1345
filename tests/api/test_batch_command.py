"""`overflight batch`: files, printed names and the exit status, on small made-up scenes."""

import numpy as np
import pytest
import rasterio

from processing.rpc import fit
from processing.vendors import rpc_text
from tests.processing.pushbroom import Pushbroom, write_heights, write_raw


@pytest.fixture
def raw(tmp_path):
    """Two scenes and a file that is none, beside a DEM."""
    folder = tmp_path / "raw"
    folder.mkdir()
    heights = np.full((60, 60), 400, dtype=np.float32)
    write_heights(folder / "dem.tif", heights, west=5.27, north=44.13, step=0.001)
    for name, lon in (("one", 5.30), ("two", 5.305)):
        camera = Pushbroom(lon=lon, lat=44.1, rows=120, cols=140)
        pixels = np.random.default_rng(2).integers(1, 4000, (1, 120, 140)).astype(np.uint16)
        write_raw(folder / f"{name}.tif", pixels, nodata=0)
        rpc_text.write(fit(**camera.points()).rpc, folder / f"{name}_RPC.TXT")
    (folder / "bad.tif").write_text("no raster")
    return folder


def test_scenes_become_files_and_bad_ones_are_told(overflight_here, raw, tmp_path):
    out, heights = tmp_path / "out", ("--dem", raw / "dem.tif", "--dem-datum", "ellipsoid", "--threads", 2)
    done = overflight_here("batch", raw / "one.tif", raw / "bad.tif", raw / "two.tif", *heights, "-o", out)
    assert done.returncode == 1
    assert sorted(done.stdout.splitlines()) == [f"{out}/one.tif", f"{out}/two.tif"]
    told, last = done.stderr.strip().splitlines()
    assert told.startswith(f"{raw}/bad.tif: bad.tif: no readable raster")
    assert last == "overflight: 1 of 3 scenes could not be made; the lines above say why"
    assert sorted(path.name for path in out.iterdir()) == ["one.tif", "two.tif"]
    alone = overflight_here("ortho", raw / "one.tif", *heights, "-o", tmp_path / "alone.tif")
    assert alone.returncode == 0, alone.stderr
    assert (out / "one.tif").read_bytes() == (tmp_path / "alone.tif").read_bytes()
    with rasterio.open(out / "two.tif") as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"

    (out / "one.tif").unlink()
    again = overflight_here("batch", raw / "one.tif", raw / "two.tif", *heights, "-o", out, "--skip-existing")
    assert again.returncode == 0, again.stderr
    assert again.stdout.splitlines() == [f"{out}/one.tif"]


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("-o", "{raw}"), 2, "is one of the scenes themselves"),
        (("{raw}/one.tif", "-o", "{out}"), 2, "would both become one.tif"),
        (("-o", "{out}", "--threads", "2", "--cluster", "tcp://127.0.0.1:9"), 2, "give one of the two"),
        (("-o", "{raw}/dem.tif/x"), 1, "cannot be written"),
    ],
)
def test_what_cannot_be_is_one_line(overflight_here, raw, tmp_path, *, options, code, words):
    named = [one.format(raw=raw, out=tmp_path / "out") for one in options]
    done = overflight_here("batch", raw / "one.tif", "--dem", raw / "dem.tif", "--dem-datum", "ellipsoid", *named)
    assert done.returncode == code
    assert words in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr
