"""Draw the pictures of docs/processing.md from a scene of the sandbox: ``.venv/bin/python docs/pictures.py``."""

import json
import tempfile
from datetime import UTC, datetime, timedelta
from math import cos, radians
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from rasterio.windows import Window
from shapely.geometry import box

from catalog.assets import AssetFolder
from catalog.extent import Footprint, TimeWindow
from processing.delivery import read_delivery
from processing.manifest import MANIFEST
from processing.masks import CLOUDY, NODATA, OCCLUDED, SATURATED, SHADED
from processing.produce import produce
from tasking.provider.sandbox.acquire import acquire
from tasking.provider.sandbox.constellation import SATELLITES

IMAGES = Path(__file__).parent / "images"

LON, LAT, DAY, SATELLITE = 5.56, 46.43, "2026-09-01", 2
SIDE_M = 5_000.0
PANEL_PX = 560

COLOURS = {
    OCCLUDED: (255, 128, 0),
    SATURATED: (255, 0, 255),
    SHADED: (70, 90, 255),
    CLOUDY: (240, 240, 240),
}
"""Of the quality mask; the later one covers."""


def main() -> None:
    """Write both of them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        item = _make_item(folder)
        told = "its faults: cloud white, shadow blue, hidden orange"
        _save(IMAGES / "quality.jpg", [("the picture", _colours(item)), (told, _faults(item))])
        before, after = _details(item)
        _save(IMAGES / "pansharpened.jpg", [("8 m, four bands", before), ("2 m, pansharpened", after)])


def _make_item(folder: Path) -> Path:
    """The folder of an item's files, made of a delivery without a cloud mask."""
    half = SIDE_M / 2 / 111_200
    wide = half / cos(radians(LAT))
    area = Footprint.of(box(LON - wide, LAT - half, LON + wide, LAT + half))
    start = datetime.fromisoformat(DAY).replace(tzinfo=UTC)
    delivery = folder / "delivery"
    delivery.mkdir()
    acquire(SATELLITES[SATELLITE], area, TimeWindow(start=start, end=start + timedelta(days=1)), folder=delivery)
    manifest = json.loads((delivery / MANIFEST).read_text())
    manifest["rasters"] = [raster for raster in manifest["rasters"] if raster["role"] != "cloud-mask"]
    (delivery / MANIFEST).write_text(json.dumps(manifest | {"checksums": None}))
    made = produce(read_delivery(delivery), collection="scenes", dem=None, assets=AssetFolder(folder / "assets"))
    return folder / "assets" / "scenes" / made.item.id


def _colours(item: Path) -> NDArray[np.uint8]:
    with rasterio.open(item / "multispectral.tif") as dataset:
        return _stretched(dataset.read([3, 2, 1], out_shape=(3, PANEL_PX, PANEL_PX)))


def _faults(item: Path) -> NDArray[np.uint8]:
    with rasterio.open(item / "quality-mask.tif") as dataset:
        bits = dataset.read(1, out_shape=(PANEL_PX, PANEL_PX))
    drawn = np.full((*bits.shape, 3), (25, 110, 50), dtype=np.uint8)
    for flag, colour in COLOURS.items():
        drawn[bits & flag.bit > 0] = colour
    drawn[bits == NODATA.bit] = 0
    return drawn


def _details(item: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A piece of the bands before and after, by the same stretch."""
    size = 320
    with rasterio.open(item / "pansharpened.tif") as dataset:
        row, col = int(dataset.height * 0.42), int(dataset.width * 0.2)
        after = dataset.read([3, 2, 1], window=Window(col, row, size, size))
    with rasterio.open(item / "multispectral.tif") as dataset:
        before = dataset.read([3, 2, 1], window=Window(col // 4, row // 4, size // 4, size // 4))
    limits = np.percentile(after[after > 0], [1, 99.5])
    before, after = _stretched(before, limits), _stretched(after, limits)
    return (
        before.repeat(PANEL_PX // before.shape[0], axis=0).repeat(PANEL_PX // before.shape[1], axis=1),
        np.asarray(Image.fromarray(after).resize((PANEL_PX, PANEL_PX), Image.Resampling.LANCZOS)),
    )


def _stretched(pixels: NDArray[np.uint16], limits: NDArray[np.float64] | None = None) -> NDArray[np.uint8]:
    """(3, rows, columns) to (rows, columns, 3) of bytes."""
    low, high = np.percentile(pixels[pixels > 0], [1, 99]) if limits is None else limits
    bright = np.clip((pixels.astype(float) - low) / (high - low), 0, 1) ** 0.8
    return np.where(pixels > 0, 255 * bright, 0).astype(np.uint8).transpose(1, 2, 0)


def _save(path: Path, panels: list[tuple[str, NDArray[np.uint8]]]) -> None:
    """Panels side by side, each with a line below it."""
    gap, line = 12, 34
    height = max(picture.shape[0] for _, picture in panels) + line
    width = sum(picture.shape[1] for _, picture in panels) + gap * (len(panels) - 1)
    sheet = Image.new("RGB", (width, height), "white")
    draw, left = ImageDraw.Draw(sheet), 0
    for text, picture in panels:
        sheet.paste(Image.fromarray(picture), (left, 0))
        draw.text((left + 4, height - line + 8), text, fill="black", font=ImageFont.load_default(17))
        left += picture.shape[1] + gap
    sheet.save(path, quality=88, optimize=True)


if __name__ == "__main__":
    main()
