"""Whole deliveries of every format that is read, and each damaged at random: the raster, its sensor model, the heights,
the manifest, or the archive that it came in.
"""

import io
import json
import tarfile
import zipfile
from pathlib import Path

import numpy as np

from processing.rpc import Rpc
from tests.processing import hostile_files, vendor_descriptions
from tests.processing import vendor_files as vendors
from tests.processing.pushbroom import write_heights
from tests.processing.vendor_files import blank

Content = dict[str, bytes]
"""The files of a delivery by their names."""

SUFFIXES = ("", ".zip", ".tar", ".tar.gz")
"""A folder, or an archive of it."""

TEXTS = (".json", ".txt", ".rpb", ".geom", ".xml", ".til", ".imd")

TOKENS = (
    "", "nan", "-inf", "1e999", "1e-308", "-0", "0", "9" * 300, "1e6", "1e-6", "-1", "\0", "\xff", "<", "</", "&x;",
    "&#0;", "<![CDATA[", "LINE_OFF: 3\n", "BEGIN_GROUP = X\n", "null", "[]", "{", "/dev/zero", "/etc/passwd", "..",
)  # fmt: skip


def model(rows: int, cols: int) -> Rpc:
    """A model that maps straight: rows go south, columns east, some 7 m a pixel."""
    unit = np.eye(20)
    return Rpc(
        line_off=(rows - 1) / 2, samp_off=(cols - 1) / 2, lat_off=44.2, lon_off=5.2, height_off=500.0,
        line_scale=rows / 2, samp_scale=cols / 2, lat_scale=0.01, lon_scale=0.01, height_scale=500.0,
        line_num=-unit[2], line_den=unit[0], samp_num=unit[1], samp_den=unit[0],
    )  # fmt: skip


def harmless(folder: Path) -> dict[str, Content]:
    """A delivery of every kind by name; each can be produced as it is."""
    rasters = {name: path.read_bytes() for name, path in hostile_files.harmless(folder / "rasters").items()}
    small, heights = folder / "small", folder / "heights"
    small.mkdir()
    heights.mkdir()
    rpc, tiny = model(300, 260), model(40, 30)
    kinds: dict[str, Content] = {}
    sidecars = {
        "_RPC.TXT": vendors.rpc_txt(rpc), ".RPB": vendors.rpb(rpc), ".geom": vendors.geom(rpc),
        ".XML": vendors.isd(rpc, vendor_descriptions.isd_imd()),
    }  # fmt: skip
    pictures = [name for name in rasters if name not in ("geoid.gtx", "N44E005.hgt", "lerc.tif")]
    for number, name in enumerate(pictures):
        suffix = list(sidecars)[number % len(sidecars)]
        kinds[name] = _delivery(name, {name: rasters[name], f"{Path(name).stem}{suffix}": sidecars[suffix].encode()})
    lerc = model(121, 121)
    kinds["lerc.tif"] = _delivery(
        "lerc.tif", {"lerc.tif": rasters["lerc.tif"], "lerc_RPC.TXT": vendors.rpc_txt(lerc).encode()}
    )
    image = "IMG_X_R1C1.TIF"
    product = vendors.dimap_product({image: (1, 1)}, rpc="RPC_X.XML", more=vendor_descriptions.DIMAP_SCENE)
    dimap = {image: rasters["deflate.tif"], "DIM_X.XML": product.encode(), "RPC_X.XML": vendors.dimap(rpc).encode()}
    kinds["dimap"] = _delivery(image, dimap)
    kinds["dimap jp2"] = _delivery(
        "IMG_R1C1.JP2",
        {"IMG_R1C1.JP2": rasters["lossy.jp2"], "PHRDIMAP_X.XML": vendors.phrdimap(rpc, "IMG_R1C1.JP2").encode()},
    )
    til = {"A_R1C1.TIF": rasters["zstd.tif"], "A.TIL": vendors.til({"A_R1C1.TIF": (0, 0)}).encode()}
    til |= {"A.RPB": vendors.rpb(rpc).encode(), "A.IMD": vendor_descriptions.imd().encode()}
    kinds["til"] = _delivery("A_R1C1.TIF", til)
    segment = vendors.write_nitf(small / "a.ntf", "RPC00B", vendors.nitf_segment(vendors.rounded_for_nitf(tiny)))
    kinds["rpc00b.ntf"] = _delivery("a.ntf", {"a.ntf": segment.read_bytes()})
    tagged = vendors.write_tagged(small / "tagged.tif", tiny).read_bytes()
    kinds["tagged.tif"] = _delivery("tagged.tif", {"tagged.tif": tagged})
    mask = {"clouds.tif": blank(small / "clouds.tif").read_bytes(), "clouds_RPC.TXT": vendors.rpc_txt(tiny).encode()}
    kinds["mask"] = _delivery("tagged.tif", {"tagged.tif": tagged, **mask}, mask="clouds.tif")
    flat = write_heights(heights / "dem.tif", np.full((60, 60), 500, "float32"), west=5.17, north=44.23, step=0.001)
    for content in kinds.values():
        content["dem.tif"] = flat.read_bytes()
    hgt = {"N44E005.hgt": np.full((1201, 1201), 450, ">i2").tobytes(), "geoid.gtx": rasters["geoid.gtx"]}
    manifest = json.loads(kinds["plain.tif"]["delivery.json"])
    manifest["dem"] = {"path": "N44E005.hgt", "vertical_datum": "EGM96", "geoid": "geoid.gtx"}
    kinds["hgt"] = {**kinds["plain.tif"], **hgt, "delivery.json": json.dumps(manifest).encode()}
    del kinds["hgt"]["dem.tif"]
    return kinds


def _delivery(picture: str, files: Content, *, mask: str | None = None) -> Content:
    rasters = [{"role": "multispectral", "path": picture}]
    if mask is not None:
        rasters.append({"role": "cloud-mask", "path": mask})
    manifest = {
        "overflight_delivery": "1.0", "id": "A", "platform": "X", "gsd_m": 7.0, "rasters": rasters,
        "acquired": {"start": "2026-01-01T10:11:12Z", "end": "2026-01-01T10:11:14Z"},
        "dem": {"path": "dem.tif", "vertical_datum": "ellipsoid"},
    }  # fmt: skip
    return {**files, "delivery.json": json.dumps(manifest).encode()}


def damaged(content: Content, random: np.random.Generator, outside: Path) -> Content:
    """The same delivery with some of its files damaged; `outside` is a folder that texts are turned to point at."""
    files = dict(content)
    for _ in range(int(random.choice([1, 1, 1, 2, 3]))):
        name = str(random.choice(sorted(files)))
        texts = [other for other in sorted(files) if other.lower().endswith(TEXTS)]
        match int(random.integers(10)):
            case 0 | 1 | 2 | 3 | 4:
                files[name] = hostile_files.mutate(files[name], random)
            case 5 | 6 | 7:
                name = str(random.choice(texts))
                files[name] = _turned(files[name], random, outside)
            case 8:
                other = str(random.choice(sorted(files)))
                files[name], files[other] = files[other], files[name]
            case _:
                hostile = hostile_files.hostile()
                files[name] = hostile[str(random.choice(sorted(hostile)))][0]
    return files


def _turned(content: bytes, random: np.random.Generator, outside: Path) -> bytes:
    """A text with a token put in, or one of its names or numbers replaced, by paths that lead out of the folder too."""
    text = content.decode("latin-1")
    paths = [f"../{outside.name}/secret.tif", f"{outside}/secret.tif", f"{outside}/secret.xml"]
    token = str(random.choice([*TOKENS, *paths, *paths, *paths]))
    if text.startswith("<") and random.random() < 0.3:
        declared = f'<!DOCTYPE d [<!ENTITY x SYSTEM "file://{outside}/secret.xml">]>'
        head, mark, rest = text.partition("?>")
        text = f"{head}{mark}{declared}{rest}" if mark else declared + text
        return text.replace("</", "&x;</", 1).encode("latin-1")
    places = [k for k, letter in enumerate(text) if letter in '">: =\n']
    start = int(random.choice(places)) + 1 if places else 0
    stop = min((at for end in '"<,;\n}' if (at := text.find(end, start)) >= 0), default=len(text))
    return (text[:start] + token + text[stop:]).encode("latin-1", "replace")


def write(content: Content, place: Path) -> Path:
    """Write a delivery as a folder, or as an archive where the name ends like one's."""
    if place.name.endswith(".zip"):
        with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, data in content.items():
                packed.writestr(name, data)
    elif place.name.endswith(SUFFIXES[1:]):
        with tarfile.open(place, "w:gz" if place.suffix == ".gz" else "w") as packed:
            for name, data in content.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                packed.addfile(member, io.BytesIO(data))
    else:
        place.mkdir()
        for name, data in content.items():
            (place / name).write_bytes(data)
    return place
