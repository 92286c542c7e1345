"""Whatever is delivered as a raster: it is read, or refused in words, soon, in little memory, and alone."""

import os
import socket
import warnings

import numpy as np
import pytest
import rasterio
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.errors import NotGeoreferencedWarning

from processing import codestream, limits
from processing.errors import DeliveryError
from processing.raster import check_whole, open_raster
from processing.tiff_layout import read_layout
from tests.processing import hostile_files as files
from tests.processing.hostile_guards import Watch
from tests.processing.hostile_worker import LONGEST_S, MEMORY_BYTES, Worker, fuzz

HOSTILE = files.hostile()


@pytest.fixture(scope="module")
def worker():
    one = Worker()
    yield one
    one.close()


@pytest.fixture(scope="module")
def harmless(tmp_path_factory):
    return files.harmless(tmp_path_factory.mktemp("harmless"))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_in_words(name, worker, tmp_path):
    content, words = HOSTILE[name]
    (tmp_path / name).write_bytes(content)
    verdict = worker.probe(tmp_path / name)
    assert verdict.outcome == "refused", verdict
    assert verdict.words.startswith(f"{name}: ")
    with pytest.raises(DeliveryError, match=words):
        raise DeliveryError(verdict.words)
    assert verdict.seconds < LONGEST_S
    assert verdict.peak < MEMORY_BYTES / 4, "a header needs no memory"


def test_harmless_files_are_read(worker, harmless):
    assert {name: worker.probe(path).outcome for name, path in harmless.items()} == dict.fromkeys(harmless, "read")


@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.97])
def test_a_file_that_is_cut_off_is_refused(share, worker, harmless, tmp_path):
    for name, path in harmless.items():
        content = path.read_bytes()
        (tmp_path / name).write_bytes(content[: int(share * len(content))])
        verdict = worker.probe(tmp_path / name)
        # Overviews and masks are no part of the picture; only the picture has to be whole.
        assert verdict.outcome == "refused" or (name == "cog.tif" and share > 0.5), (name, verdict)


def sound(found):
    """Nothing but reading and refusing, soon and in little memory; both must have happened."""
    bad = [(what, one) for what, one in found if one.outcome not in ("read", "refused")]
    assert not bad
    assert max(one.seconds for _, one in found) < LONGEST_S
    assert max(one.peak for _, one in found) < MEMORY_BYTES
    assert {one.outcome for _, one in found} == {"read", "refused"}
    return True


def test_damaged_files_are_read_or_refused(harmless):
    assert sound(fuzz(harmless, 300, seed=1))


def test_bombs_below_the_limits_take_little_memory(worker, tmp_path):
    side = 40_000  # 1.6 GB of the same value
    sparse = files.tiff(files.picture(side, side, [0] * 100, [0] * 100, tile=(4096, 4096), compression=8))
    (tmp_path / "sparse.tif").write_bytes(sparse)
    deep = files.jp2(files.codestream(16_000, 16_000, block=(1, 1)), 16_000, 16_000)
    (tmp_path / "deep.jp2").write_bytes(deep)
    for name, outcome in (("sparse.tif", "read"), ("deep.jp2", "refused")):
        verdict = worker.probe(tmp_path / name)
        assert verdict.outcome == outcome, verdict
        assert verdict.seconds < LONGEST_S
        assert verdict.peak < MEMORY_BYTES


@pytest.mark.parametrize(
    "kind", ["fifo", "folder", "device", "nothing", "link to a device", "link to nothing", "socket"]
)
def test_what_is_no_file_is_not_opened(kind, tmp_path):
    path = tmp_path / "a.tif"
    match kind:
        case "fifo":
            os.mkfifo(path)  # opening it would wait for ever
        case "folder":
            path.mkdir()
        case "device":
            path = path.with_name("null")
            path.symlink_to("/dev/null")
        case "link to a device":
            path.symlink_to("/dev/zero")
        case "link to nothing":
            path.symlink_to(tmp_path / "b.tif")
        case "socket":
            with socket.socket(socket.AF_UNIX) as one:
                one.bind(str(path))
    with pytest.raises(DeliveryError, match=rf"{path.name}: there is no such file"):
        open_raster(path)


@pytest.fixture
def watch(tmp_path):
    (tmp_path / "delivery").mkdir()
    (tmp_path / "elsewhere").mkdir()
    one = Watch(tmp_path / "delivery", tmp_path / "elsewhere")
    yield one
    one.close()


@pytest.fixture
def port():
    """Of a server that nobody should call."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.settimeout(0.05)
        yield server.getsockname()[1]
        with pytest.raises(TimeoutError):
            server.accept()


VRT = """<VRTDataset rasterXSize="150" rasterYSize="130"><GeoTransform>100, 1, 0, 200, 0, -1</GeoTransform>
<VRTRasterBand dataType="UInt16" band="1"><SimpleSource><SourceFilename relativeToVRT="0">{source}</SourceFilename>
</SimpleSource></VRTRasterBand></VRTDataset>"""
AUX = """<PAMDataset><GeoTransform>100, 1, 0, 200, 0, -1</GeoTransform><Metadata domain="RPC">
<MDI key="LINE_OFF">5</MDI></Metadata><PAMRasterBand band="1"><NoDataValue>7</NoDataValue></PAMRasterBand>
</PAMDataset>"""
RPC = "".join(f"{name}: 1\n" for name in ("LINE_OFF", "SAMP_OFF", "LAT_OFF", "LONG_OFF", "HEIGHT_OFF", "LINE_SCALE"))


def test_the_watch_sees_what_is_opened(watch, harmless, tmp_path):
    path = tmp_path / "delivery" / "a.tif"
    path.write_bytes(harmless["plain.tif"].read_bytes())
    path.with_suffix(".tfw").write_text("1\n0\n0\n-1\n100\n200\n")
    watch.opened()
    with rasterio.open(path) as dataset:
        assert dataset.transform.c == 99.5
    assert watch.opened() == {"a.tif", "a.tfw"}


@pytest.mark.parametrize("name", ["plain.tif", "cog.tif", "lossless.jp2", "c8.ntf", "geoid.gtx", "N44E005.hgt"])
def test_no_neighbour_of_a_raster_is_opened(name, watch, port, harmless, tmp_path):
    path = tmp_path / "delivery" / name
    path.write_bytes(harmless[name].read_bytes())
    outside = tmp_path / "elsewhere" / "secret.tif"
    outside.write_bytes(harmless["plain.tif"].read_bytes())
    for suffix in (".ovr", ".msk", ".aux", ".rrd"):
        path.with_name(name + suffix).write_text(VRT.format(source=outside))
        path.with_suffix(suffix).write_text(VRT.format(source=f"/vsicurl/http://127.0.0.1:{port}/a.tif"))
    path.with_name(f"{name}.aux.xml").write_text(AUX)
    for suffix in (".tfw", ".wld", ".j2w", ".jgw", ".tifw", ".gtxw"):
        path.with_suffix(suffix).write_text("1\n0\n0\n-1\n100\n200\n")
    for other in (
        f"{path.stem}_RPC.TXT",
        f"{path.stem}_rpc.txt",
        f"{path.stem}.RPB",
        f"{path.stem}.IMD",
        f"{path.stem}.prj",
    ):
        path.with_name(other).write_text(RPC)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(harmless[name]) as dataset:
            alone = dataset.transform, dataset.nodata, dataset.rpcs, dataset.overviews(1), dataset.read()
    watch.opened()
    with open_raster(path) as dataset:
        assert (dataset.transform, dataset.nodata, dataset.rpcs, dataset.overviews(1)) == alone[:4]
        assert np.array_equal(dataset.read(), alone[4])
        dataset.read(1, out_shape=(20, 20), masked=True)
    check_whole(path)
    assert watch.opened() == {name}


@pytest.mark.parametrize("name", ["a.tif", "a.jp2", "a.ntf", "a.gtx", "N44E005.hgt", "a.vrt", "a.xml"])
def test_a_description_of_other_files_is_none(name, watch, port, harmless, tmp_path):
    outside = tmp_path / "elsewhere" / "secret.tif"
    outside.write_bytes(harmless["plain.tif"].read_bytes())
    path = tmp_path / "delivery" / name
    for text in (
        VRT.format(source=outside),
        VRT.format(source=f"/vsicurl/http://127.0.0.1:{port}/a.tif"),
        f"<GDAL_WMS><Service name='TMS'><ServerUrl>http://127.0.0.1:{port}/</ServerUrl></Service></GDAL_WMS>",
        f"<WMT_MS_Capabilities><OnlineResource href='http://127.0.0.1:{port}/'/></WMT_MS_Capabilities>",
        f'{{"type": "FeatureCollection", "stac_version": "1.0.0", "assets": {{"a": {{"href": "{outside}"}}}}}}',
        f"WMS:http://127.0.0.1:{port}/",
        f"GTIFF_DIR:1:{outside}",
    ):
        path.write_text(text)
        watch.opened()
        with pytest.raises(DeliveryError, match="no readable raster"):
            open_raster(path)
        assert watch.opened() <= {name}


def test_the_directories_are_those_that_another_reader_finds(harmless):
    for name, path in harmless.items():
        layout = read_layout(path)
        if path.suffix != ".tif":
            assert layout is None
            continue
        with tifffile.TiffFile(path) as other:
            pages = list(other.pages)
            assert len(pages) == len(layout.directories), name
            for page, entries in zip(pages, layout.directories, strict=True):
                assert {tag.code for tag in page.tags} == set(entries)
                for tag in (324, 325) if 324 in entries else (273, 279):
                    found = layout.values(entries[tag]).tolist()
                    assert found == list(page.dataoffsets if tag in (324, 273) else page.databytecounts)


def test_code_blocks_are_counted(monkeypatch, tmp_path):
    # 64 × 64 in bands of 512, 256 … 32: 3·(64 + 16 + 4 + 1 + 1) + 1, and one precinct for each of six resolutions.
    path = tmp_path / "a.j2k"
    path.write_bytes(files.codestream(1024, 1024))
    monkeypatch.setattr(codestream, "MAX_CODE_BLOCKS", 265)
    codestream.check_codestreams(path)
    monkeypatch.setattr(codestream, "MAX_CODE_BLOCKS", 264)
    with pytest.raises(DeliveryError, match="265 code-blocks in a tile of 1024 × 1024"):
        codestream.check_codestreams(path)


@given(
    bands=st.integers(1, 8),
    height=st.integers(1, 200_000),
    width=st.integers(1, 60_000),
    item=st.sampled_from([1, 2, 4]),
)
@settings(max_examples=50)
def test_pictures_of_any_usual_size_are_within_the_limits(bands, height, width, item):
    content = bands * height * width * item
    for squeezed in (1, 4, 20):
        limits.check_sizes(
            "a.tif",
            shape=(bands, height, width),
            item_bytes=item,
            block=(512, 512 * bands),
            file_bytes=content // squeezed + 400,
            is_jp2=True,
        )
