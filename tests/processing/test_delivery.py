"""Deliveries that are right, and every way in which one can be wrong."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.errors import RasterioError
from rasterio.shutil import copy

from catalog.item import Band, Orbit, View
from processing import raster
from processing.delivery import read_delivery
from processing.errors import DeliveryError
from processing.manifest import MANIFEST
from processing.raster import open_raster
from tests.processing.delivery import Delivery, not_on_the_map, write_tif


@pytest.fixture
def delivery(tmp_path):
    return Delivery(tmp_path / "delivery")


def test_a_whole_delivery_is_read(delivery):
    scene = read_delivery(delivery.write())
    assert scene.id == "SBX1_20260101T101112"
    assert (scene.attempt, scene.order) == ("7f0c-1", "7f0c")
    assert scene.acquired.start == datetime(2026, 1, 1, 10, 11, 12, tzinfo=UTC)
    assert scene.acquired.end == datetime(2026, 1, 1, 10, 11, 15, 500000, tzinfo=UTC)
    assert scene.view == View(
        off_nadir_deg=12.5, incidence_deg=14, azimuth_deg=98, sun_azimuth_deg=151, sun_elevation_deg=42
    )
    assert scene.orbit == Orbit(orbit_state="descending", absolute_orbit=4711)
    assert [one.role for one in scene.rasters] == ["multispectral", "cloud-mask"], "the picture comes first"
    picture = scene.raster("multispectral")
    assert picture.bands[0] == Band(name="B1", common_name="blue", center_um=0.49, width_um=0.06)
    assert (picture.data_type, picture.height, picture.width, picture.nodata) == ("uint16", 64, 64, 0.0)
    assert (picture.rpc_rms_px, picture.rpc_max_px) == (0.01, 0.05)
    row, col = picture.rpc.project(5.2, 44.2, 500.0)
    np.testing.assert_allclose((row, col), 31.5)
    assert scene.raster("cloud-mask").nodata == 255
    assert scene.raster("panchromatic") is None
    assert scene.dem.path == delivery.folder / "heights" / "dem.tif"
    assert scene.dem.vertical_datum == "ellipsoid"


def test_most_of_a_manifest_may_be_left_out(delivery):
    needed = ("overflight_delivery", "id", "acquired", "platform", "gsd_m", "rasters")
    delivery.manifest = {name: delivery.manifest[name] for name in needed}
    delivery.manifest["rasters"] = [{"role": "multispectral", "path": "ms.tif"}]
    scene = read_delivery(delivery.write())
    assert scene.view == View()
    assert scene.orbit == Orbit()
    assert scene.dem is None
    assert scene.rasters[0].nodata is None
    assert scene.rasters[0].bands == (Band(name="B1"), Band(name="B2"))


def test_the_nodata_of_the_file_counts_where_the_manifest_is_silent(delivery):
    write_tif(delivery.folder / "ms.tif", np.ones((2, 64, 64), "uint16"), nodata=7)
    del delivery.manifest["checksums"]
    del delivery.manifest["rasters"][1]["nodata"]
    assert read_delivery(delivery.write()).rasters[0].nodata == 7
    delivery.manifest["rasters"][1]["nodata"] = None
    assert read_delivery(delivery.write()).rasters[0].nodata is None


def test_no_folder_and_no_manifest(tmp_path, delivery):
    with pytest.raises(DeliveryError, match="no such folder"):
        read_delivery(tmp_path / "nothing")
    with pytest.raises(DeliveryError, match=r"delivery\.json: the folder has none"):
        read_delivery(delivery.folder)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("{", "no valid JSON"),
        ("[1, 2]", "is not of type 'object'"),
        ('{"id": "a", "id": "b"}', "'id' comes twice"),
        ('{"gsd_m": NaN}', "NaN is no JSON number"),
        ("[" * 100_000, "no valid JSON"),
        ("\xff\xfe", "no valid JSON"),
        (" " * 1_000_001, "larger than"),
    ],
)
def test_a_manifest_that_is_no_json(delivery, text, match):
    (delivery.folder / MANIFEST).write_bytes(text.encode("latin-1"))
    with pytest.raises(DeliveryError, match=match):
        read_delivery(delivery.folder)


def changed(manifest, path, value):
    *way, last = path
    for step in way:
        manifest = manifest[step]
    if value is KeyError:
        del manifest[last]
    else:
        manifest[last] = value


PICTURE = ("rasters", 1)


@pytest.mark.parametrize(
    ("path", "value", "match"),
    [
        (["overflight_delivery"], "2.0", "'1.0' was expected"),
        (["id"], KeyError, "'id' is a required property"),
        (["id"], "a/b", "id: 'a/b' does not match"),
        (["id"], "..", "cannot be a file's name"),
        (["id"], "x\n", "cannot be a file's name"),
        (["id"], "x" * 101, "does not match"),
        (["acquired", "start"], "2026-01-01T10:11:12", "has no UTC offset"),
        (["acquired", "start"], "yesterday", "no RFC 3339"),
        (["acquired", "start"], "2026-01-01T12:00:00Z", "lies after the end"),
        (["acquired", "start"], "2025-01-01T12:00:00Z", "longer than a day"),
        (["acquired"], {"start": "2026-01-01T10:11:12Z"}, "'end' is a required property"),
        (["gsd_m"], 0, "gsd_m: 0 is less than or equal"),
        (["gsd_m"], True, "gsd_m: True is not"),
        (["platform"], None, "platform: None is not of type 'string'"),
        (["gsd"], 2.0, "'gsd' was unexpected"),
        (["view", "off_nadir_deg"], 91, "off_nadir_deg 91 is out of bounds"),
        (["view", "sun_elevation_deg"], "high", "view"),
        (["sat", "orbit_state"], "sideways", "sat"),
        (["rasters"], [], "rasters: .* non-empty|rasters: .*too short"),
        ([*PICTURE, "role"], "thermal", "'thermal' is not one of"),
        ([*PICTURE, "role"], "cloud-mask", "a role comes twice"),
        ([*PICTURE, "bands", 0, "common_name"], "ultraviolet", "'ultraviolet' is not one of"),
        ([*PICTURE, "bands", 0, "center_um"], -1, "center_um"),
        ([*PICTURE, "bands"], [{"name": "B1"}], "it has 2 bands, the manifest describes 1"),
        ([*PICTURE, "bands"], [{"name": f"B{k}"} for k in range(3)], "it has 2 bands, the manifest describes 3"),
        ([*PICTURE, "nodata"], -1, "no uint16 pixel can have the nodata value -1"),
        ([*PICTURE, "nodata"], 0.5, "no uint16 pixel can have the nodata value 0.5"),
        ([*PICTURE, "nodata"], 70000, "no uint16 pixel can have"),
        ([*PICTURE, "path"], "nothing.tif", "'nothing.tif' is not in the folder"),
        ([*PICTURE, "path"], "heights", "'heights' is not in the folder"),
        ([*PICTURE, "path"], "../outside.tif", "leads out of the folder"),
        ([*PICTURE, "path"], "heights/../ms.tif", "leads out of the folder"),
        ([*PICTURE, "path"], "/etc/passwd", "leads out of the folder"),
        ([*PICTURE, "path"], "a\\b.tif", "leads out of the folder"),
        ([*PICTURE, "path"], "ms.tif\0", "leads out of the folder"),
        ([*PICTURE, "rpc"], "../ms_RPC.TXT", "leads out of the folder"),
        ([*PICTURE, "rpc"], "other_RPC.TXT", "'other_RPC.TXT' is not in the folder"),
        ([*PICTURE, "rpc"], "ms.tif", "ms.tif"),
        (["dem", "path"], "../dem.tif", "leads out of the folder"),
        (["dem", "geoid"], "/etc/passwd", "leads out of the folder"),
        (["dem"], {"path": "heights/dem.tif"}, "dem"),
        (["dem", "path"], "ms_RPC.TXT", "no readable raster"),
        (["dem", "path"], "ms.tif", "dem: ms.tif: no CRS"),
        (["dem", "vertical_datum"], "EGM96", "dem: DEM: heights above EGM96 need the grid"),
        (["dem", "geoid"], "heights/dem.tif", "dem: DEM: heights above the ellipsoid need no geoid"),
        (["checksums", "ms.tif"], "md5:00", "does not match"),
        (["checksums", "ms.tif"], "sha256:" + "0" * 64, "ms.tif: its checksum is sha256:"),
        (["checksums", "../ms.tif"], "sha256:" + "0" * 64, "leads out of the folder"),
    ],
)
def test_what_the_manifest_says_is_wrong(delivery, path, value, match):
    (delivery.folder.parent / "outside.tif").write_bytes((delivery.folder / "ms.tif").read_bytes())
    changed(delivery.manifest, path, value)
    delivery.refused(match)


def test_only_a_cloud_mask(delivery):
    del delivery.manifest["rasters"][1]
    delivery.refused("only a cloud mask")


@pytest.mark.parametrize(
    ("pixels", "match"),
    [
        (np.full((1, 64, 64), 2, "uint8"), "with the value 2"),
        (np.zeros((1, 64, 64), "uint16"), "give one band uint8"),
    ],
)
def test_a_cloud_mask_with_other_values(delivery, pixels, match):
    write_tif(delivery.folder / "clouds.tif", pixels)
    del delivery.manifest["checksums"]
    delivery.refused(match)


@pytest.mark.parametrize("how", [{}, {"compress": "deflate"}, {"compress": "zstd", "tiled": True, "blockysize": 64}])
@pytest.mark.parametrize("missing", [1, 500, 6000])
def test_a_truncated_raster(delivery, how, missing):
    """GDAL opens it, since the header is there; only reading it to the end tells."""
    path = delivery.folder / "ms.tif"
    write_tif(path, np.random.default_rng(0).integers(1, 4000, (2, 128, 128)).astype("uint16"), **how)
    whole = path.read_bytes()
    del delivery.manifest["checksums"]
    delivery.write()
    read_delivery(delivery.folder)
    path.write_bytes(whole[:-missing])
    delivery.refused(r"ms\.tif: (damaged or cut off|no readable raster)")


def test_a_truncated_jpeg_2000(delivery):
    path = delivery.folder / "ms.jp2"
    write_tif(delivery.folder / "tmp.tif", np.random.default_rng(0).integers(1, 4000, (2, 256, 256)).astype("uint16"))
    with not_on_the_map():
        copy(delivery.folder / "tmp.tif", path, driver="JP2OpenJPEG")
    path.with_suffix(".jp2.aux.xml").unlink(missing_ok=True)
    changed(delivery.manifest, [*PICTURE, "path"], "ms.jp2")
    changed(delivery.manifest, [*PICTURE, "rpc"], "ms_RPC.TXT")
    assert read_delivery(delivery.write()).rasters[0].data_type == "uint16"
    path.write_bytes(path.read_bytes()[:-5000])
    delivery.refused(r"ms\.jp2: damaged or cut off")


def test_pixels_of_a_strange_type(delivery):
    write_tif(delivery.folder / "ms.tif", np.zeros((2, 64, 64), "complex64"))
    del delivery.manifest["checksums"]
    delivery.refused("its pixels are complex64")


VRT = """<VRTDataset rasterXSize="64" rasterYSize="64">
  <VRTRasterBand dataType="UInt16" band="1"><SimpleSource>
    <SourceFilename relativeToVRT="0">{source}</SourceFilename><SourceBand>1</SourceBand>
  </SimpleSource></VRTRasterBand>
</VRTDataset>"""


LISTENER = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        print(self.path, file=open(sys.argv[1], "a"), flush=True)
        self.send_error(404)
    do_HEAD = do_GET
    def log_message(self, *args):
        pass

server = HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


@pytest.fixture
def listener(tmp_path):
    """A web server that notes who calls; a process of its own, as GDAL may hold Python's lock meanwhile."""
    calls = tmp_path / "calls"
    command = [sys.executable, "-c", LISTENER, calls]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}", calls
        server.terminate()


@pytest.mark.parametrize("name", ["ms.tif", "ms.jp2", "ms.ntf", "ms.hgt"])
def test_a_vrt_by_another_name_reads_nothing_and_calls_nobody(delivery, listener, name):
    address, calls = listener
    vrt = VRT.format(source=f"/vsicurl/{address}/secret.tif")
    (delivery.folder / name).write_text(vrt)
    with not_on_the_map(), pytest.raises(RasterioError), rasterio.open(delivery.folder / name) as dataset:
        dataset.read()
    assert calls.exists(), "the trap works: plain rasterio falls for it"
    calls.unlink()
    changed(delivery.manifest, [*PICTURE, "path"], name)
    del delivery.manifest["checksums"]
    delivery.refused("no readable raster")
    assert not calls.exists()


@pytest.mark.parametrize("suffix", [".ovr", ".msk", ".aux.xml"])
def test_neighbours_of_a_raster_are_not_opened(tmp_path, listener, suffix):
    """GDAL opens overviews and masks beside a raster with any of its drivers, VRT included."""
    address, calls = listener
    write_tif(tmp_path / "a.tif", np.ones((1, 64, 64), "uint16"))
    vrt = VRT.format(source=f"/vsicurl/{address}/secret.tif")
    (tmp_path / "evil.vrt").write_text(vrt)
    aux = '<MDI key="OVERVIEW_FILE">:::BASE:::evil.vrt</MDI>'
    aux = f'<PAMDataset><Metadata domain="OVERVIEWS">{aux}</Metadata></PAMDataset>'
    (tmp_path / f"a.tif{suffix}").write_text(aux if suffix == ".aux.xml" else vrt)
    with open_raster(tmp_path / "a.tif") as dataset:
        assert dataset.overviews(1) == []
        assert dataset.read(1, out_shape=(16, 16)).min() == 1
        assert dataset.read_masks(1).min() == 255
        assert dataset.files == [str(tmp_path / "a.tif")]
    assert not calls.exists()


@pytest.mark.parametrize("address", ["/vsicurl/http://127.0.0.1:1/a.tif", "GTIFF_DIR:1:a.tif", "/vsistdin/", "/etc"])
def test_only_regular_files_are_opened(address):
    with pytest.raises(DeliveryError, match="no such file"):
        open_raster(Path(address))


def test_no_driver_that_leads_on_to_other_files():
    assert "VRT" not in raster.DRIVERS
    assert not {"WMS", "WCS", "WMTS", "HTTP", "GTI", "STACIT", "STACTA", "DERIVED", "ESRIC"} & set(raster.DRIVERS)


def test_no_sensor_model(delivery):
    write_tif(delivery.folder / "plain.tif", np.ones((1, 9, 9), "uint8"))
    delivery.manifest["rasters"] = [{"role": "panchromatic", "path": "plain.tif", "bands": [{"name": "P"}]}]
    delivery.refused(r"plain\.tif: no RPC; put plain_RPC\.TXT beside it")


def test_a_broken_sensor_model(delivery):
    (delivery.folder / "ms_RPC.TXT").write_text("LINE_OFF: 1\n")
    delivery.refused(r"ms_RPC\.TXT")


def test_links_are_refused(delivery):
    secret = delivery.folder.parent / "secret"
    secret.write_text("LINE_OFF: password\n")
    (delivery.folder / "ms_RPC.TXT").unlink()
    (delivery.folder / "ms_RPC.TXT").symlink_to(secret)
    delivery.refused("ms_RPC.TXT: a link or a special file")


def test_links_to_folders_are_refused(delivery):
    (delivery.folder / "more").symlink_to("/etc")
    delivery.refused("more: a link or a special file")


def test_special_files_are_refused(delivery):
    os.mkfifo(delivery.folder / "pipe")
    delivery.refused("pipe: a link or a special file")


def test_the_real_scene(shared, tmp_path):
    """Pléiades over Mont Ventoux; the DIMAP file of the whole scene serves as well as the sidecar of the crop."""
    source = shared / "data" / "pleiades-ventoux"
    for name in ("left.tif", "left_RPC.TXT", "N44E005.hgt", "dimap_RPC_full_scene.XML"):
        (tmp_path / name).write_bytes((source / name).read_bytes())
    (tmp_path / "egm96_15.gtx").write_bytes((shared / "data" / "geoid" / "egm96_15.gtx").read_bytes())
    entry = {"role": "panchromatic", "path": "left.tif", "bands": [{"name": "P", "common_name": "pan"}]}
    manifest = {
        "overflight_delivery": "1.0", "id": "PHR1B", "platform": "PHR1B", "gsd_m": 0.5, "rasters": [entry],
        "acquired": {"start": "2013-08-05T10:45:00Z", "end": "2013-08-05T10:45:01Z"},
        "dem": {"path": "N44E005.hgt", "vertical_datum": "EGM96", "geoid": "egm96_15.gtx"},
    }  # fmt: skip
    (tmp_path / MANIFEST).write_text(json.dumps(manifest))
    crop = read_delivery(tmp_path)
    assert (crop.rasters[0].height, crop.rasters[0].width, crop.rasters[0].data_type) == (500, 500, "uint16")
    entry["rpc"] = "dimap_RPC_full_scene.XML"
    (tmp_path / MANIFEST).write_text(json.dumps(manifest))
    whole = read_delivery(tmp_path)
    at = (5.195, 44.207, 1000.0)
    np.testing.assert_allclose(
        np.subtract(whole.rasters[0].rpc.project(*at), crop.rasters[0].rpc.project(*at)), 5000, atol=1e-6
    )
