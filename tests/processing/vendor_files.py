"""Files in the layouts of the vendors, written from any sensor model, and GDAL's own reading of them.

Written after real files and the vendors' documents, without looking at the readers under test. Every writer takes a
model whose pixel (0, 0) is the centre of the first pixel and puts the vendor's own count into the file.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
import tifffile
from rasterio.transform import RPCTransformer

from processing.rpc import Rpc
from tests.processing.pushbroom import write_raw

SINGLES = ("LINE_OFF", "SAMP_OFF", "LAT_OFF", "LONG_OFF", "HEIGHT_OFF",
           "LINE_SCALE", "SAMP_SCALE", "LAT_SCALE", "LONG_SCALE", "HEIGHT_SCALE")  # fmt: skip
POLYNOMIALS = ("LINE_NUM", "LINE_DEN", "SAMP_NUM", "SAMP_DEN")

# Terms of the two orders as OSSIM evaluates them (ossimRpcModel::polynomial), written as products of L, P and H.
RPC00A = ["", "L", "P", "H", "LP", "LH", "PH", "LPH", "LL", "PP", "HH",
          "LLL", "LLP", "LLH", "LPP", "PPP", "PPH", "LHH", "PHH", "HHH"]  # fmt: skip
RPC00B = ["", "L", "P", "H", "LP", "LH", "PH", "LL", "PP", "HH", "LPH",
          "LLL", "LPP", "LHH", "LLP", "PPP", "PHH", "LLH", "PPH", "HHH"]  # fmt: skip


def random_rpc(seed: int) -> Rpc:
    """A model like those of real pushbroom scenes: turned any way, a little curved, anywhere on the globe."""
    rng = np.random.default_rng(seed)
    turn = rng.uniform(0, 2 * np.pi)
    noise = np.array([3e-3] + [0] * 2 + [2e-2] + [1e-3] * 6 + [1e-5] * 10)
    line_num, samp_num = (rng.normal(0, 1, 20) * noise for _ in range(2))
    line_num[1:3] += (np.sin(turn), -np.cos(turn))
    samp_num[1:3] += (np.cos(turn), np.sin(turn))
    line_den, samp_den = (
        np.eye(20)[0] + rng.normal(0, 1, 20) * np.array([0] + [1e-3] * 3 + [1e-5] * 16) for _ in range(2)
    )
    return Rpc(
        line_off=rng.uniform(1000, 30000),
        samp_off=rng.uniform(1000, 30000),
        lat_off=rng.uniform(-80, 80),
        lon_off=rng.uniform(-180, 180),
        height_off=rng.uniform(-50, 4000),
        line_scale=rng.uniform(2000, 30000),
        samp_scale=rng.uniform(2000, 30000),
        lat_scale=rng.uniform(0.02, 0.2),
        lon_scale=rng.uniform(0.02, 0.4),
        height_scale=rng.uniform(100, 3000),
        line_num=line_num,
        line_den=line_den,
        samp_num=samp_num,
        samp_den=samp_den,
    )


def values(rpc: Rpc, *, first: float = 0.0) -> dict[str, float]:
    """The ten single numbers, pixels counted so that the centre of the first is (first, first)."""
    found = {key: getattr(rpc, key.lower().replace("long_", "lon_")) for key in SINGLES}
    return found | {key: found[key] + first for key in ("LINE_OFF", "SAMP_OFF")}


def polynomial(rpc: Rpc, name: str) -> list[float]:
    return [float(value) for value in getattr(rpc, name.lower())]


def reordered(coefficients: Sequence[float]) -> list[float]:
    """The coefficients of RPC00B in the order of RPC00A."""
    return [coefficients[RPC00B.index(term)] for term in RPC00A]


# Text


def rpc_txt(rpc: Rpc) -> str:
    units = {"LINE": "pixels", "SAMP": "pixels", "LAT": "degrees", "LONG": "degrees", "HEIGHT": "meters"}
    lines = [f"{key}: {value!r} {units[key.partition('_')[0]]}" for key, value in values(rpc).items()]
    lines += [f"{name}_COEFF_{k}: {c!r}" for name in POLYNOMIALS for k, c in enumerate(polynomial(rpc, name), 1)]
    return "\n".join([*lines, "ERR_BIAS: 0003.31 meters", "ERR_RAND: 0000.50 meters", ""])


def skysat_txt(rpc: Rpc) -> str:
    """As Planet writes it: no units, latitude scale below zero."""
    odd = [-1.0 if term.count("P") % 2 else 1.0 for term in RPC00B]
    lines = [f"{key}: {-value if key == 'LAT_SCALE' else value!r}" for key, value in values(rpc).items()]
    lines += [
        f"{name}_COEFF_{k}: {c * sign!r}"
        for name in POLYNOMIALS
        for k, (c, sign) in enumerate(zip(polynomial(rpc, name), odd, strict=True), 1)
    ]
    return "\n".join([*lines, ""])


def bare(rpc: Rpc, *before: float) -> str:
    fields = [*before, *values(rpc).values(), *(c for name in POLYNOMIALS for c in polynomial(rpc, name))]
    return "".join(f"{value!r}\n" for value in fields)


def rpb(rpc: Rpc, *, spec: str = "RPC00B", end: str = ";") -> str:
    """The text of an RPB file; other writers of the layout leave the semicolons of single values out (``end``)."""
    names = ("lineOffset", "sampOffset", "latOffset", "longOffset", "heightOffset",
             "lineScale", "sampScale", "latScale", "longScale", "heightScale")  # fmt: skip
    lines = [f'satId = "WV03";\nbandId = "P";\nSpecId = "{spec}";\nBEGIN_GROUP = IMAGE\n\terrBias =    1.49{end}']
    lines += [f"\t{name} = {value!r}{end}" for name, value in zip(names, values(rpc).values(), strict=True)]
    for name in POLYNOMIALS:
        found = polynomial(rpc, name)
        found = reordered(found) if spec == "RPC00A" else found
        key = name.partition("_")[0].lower() + name.partition("_")[2].title() + "Coef"
        lines.append(f"\t{key} = (\n" + ",\n".join(f"\t\t\t{c!r}" for c in found) + ");")
    return "\n".join([*lines, "END_GROUP = IMAGE", "END;", ""])


def geom(rpc: Rpc, *, form: str = "B", adjustments: Sequence[tuple[str, float, float]] = ()) -> str:
    """The keyword list that OTB writes; adjustments are a description, a sigma and a parameter."""
    pairs = {key.lower(): value for key, value in values(rpc).items()}
    for name in POLYNOMIALS:
        found = polynomial(rpc, name)
        found = reordered(found) if form == "A" else found
        pairs |= {f"{name.lower()}_coeff_{k:02}": c for k, c in enumerate(found)}
    for k, (description, sigma, parameter) in enumerate(adjustments):
        stem = f"adjustment_0.adj_param_{k}"
        pairs |= {f"{stem}.center": 0, f"{stem}.description": description, f"{stem}.sigma": sigma}
        pairs |= {f"{stem}.parameter": parameter, f"{stem}.units": "pixel"}
    pairs |= {"polynomial_format": form, "current_adjustment": 0, "type": "ossimPleiadesModel", "sensor": "PHR 1B"}
    pairs["support_data.image_date"] = "2017-09-28T10:38:39.3Z"
    return "".join(f"{key}:  {pairs[key]}\n" for key in sorted(pairs))


# XML


def isd(rpc: Rpc, imd: str = "") -> str:
    tags = ("LINEOFFSET", "SAMPOFFSET", "LATOFFSET", "LONGOFFSET", "HEIGHTOFFSET",
            "LINESCALE", "SAMPSCALE", "LATSCALE", "LONGSCALE", "HEIGHTSCALE")  # fmt: skip
    singles = "".join(f"<{tag}>{value!r}</{tag}>" for tag, value in zip(tags, values(rpc).values(), strict=True))
    lists = ""
    for name in POLYNOMIALS:
        tag = name.replace("_", "") + "COEF"
        lists += f"<{tag}List><{tag}>{' '.join(map(repr, polynomial(rpc, name)))}</{tag}></{tag}List>"
    return (
        f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<isd>{imd}<RPB><SATID>WV03</SATID><BANDID>P</BANDID>'
        f"<SPECID>RPC00B</SPECID><IMAGE><ERRBIAS>1.49</ERRBIAS>{singles}{lists}</IMAGE></RPB></isd>"
    )


def dimap(rpc: Rpc, *, profile: str | None = "PHR_SENSOR", neo: bool = False, first: int | None = None) -> str:
    """DIMAP 2, or 3 with the element names of Pléiades Neo; both hold the opposite model as well.

    The domain of validity reaches beyond the image, as that of real scenes does.
    """
    first = (0 if neo else 1) if first is None else first
    names = ("GroundtoImage", "ImagetoGround") if neo else ("Inverse_Model", "Direct_Model")
    inverse = "".join(
        f"<{name}_COEFF_{k}>{c!r}</{name}_COEFF_{k}>"
        for name in POLYNOMIALS
        for k, c in enumerate(polynomial(rpc, name), 1)
    )
    opposite = inverse.replace("LINE_", "LAT_").replace("SAMP_", "LON_") if neo else inverse.replace("_1>", "_1>-")
    domain = (
        f"<{names[1]}_Validity_Domain><FIRST_ROW>-12</FIRST_ROW><FIRST_COL>-791</FIRST_COL>"
        f"<LAST_ROW>42248</LAST_ROW><LAST_COL>39208</LAST_COL></{names[1]}_Validity_Domain>"
    )
    singles = "".join(f"<{key}>{value!r}</{key}>" for key, value in values(rpc, first=first).items())
    ends = ("_Values", "_Values") if neo else ("", "")
    said = "" if profile is None else f"<METADATA_PROFILE>{profile}</METADATA_PROFILE>"
    return (
        '<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n<Dimap_Document><Metadata_Identification>'
        f'<METADATA_FORMAT version="2.15">DIMAP</METADATA_FORMAT>{said}<METADATA_SUBPROFILE>RPC</METADATA_SUBPROFILE>'
        "</Metadata_Identification><Rational_Function_Model><Resource_Reference><RESOURCE_ID>RPC00B</RESOURCE_ID>"
        f"</Resource_Reference><Global_RFM><{names[1]}{ends[1]}>{opposite}</{names[1]}{ends[1]}>"
        f"<{names[0]}{ends[0]}>{inverse}</{names[0]}{ends[0]}><RFM_Validity>{domain}{singles}</RFM_Validity>"
        "</Global_RFM></Rational_Function_Model></Dimap_Document>"
    )


def phrdimap(rpc: Rpc, image: str) -> str:
    found = values(rpc, first=1)
    domains = "".join(
        f"<{tag}><A>{found[f'{key}_SCALE']!r}</A><B>{found[f'{key}_OFF']!r}</B></{tag}>"
        for tag, key in (("Lon", "LONG"), ("Lat", "LAT"), ("Alt", "HEIGHT"), ("Col", "SAMP"), ("Row", "LINE"))
    )
    rows, cols = (
        " ".join(map(repr, polynomial(rpc, f"{axis}_NUM") + polynomial(rpc, f"{axis}_DEN")))
        for axis in ("LINE", "SAMP")
    )
    return (
        '<?xml version="1.0"?><PHR_Dimap_Document><Metadata_Identification><METADATA_PROFILE version="1.4">X'
        "</METADATA_PROFILE></Metadata_Identification><Geoposition><Rational_Sensor_Model><Global_RFM>"
        f"<Direct_Model><F_LON>{cols}</F_LON><F_LAT>{rows}</F_LAT></Direct_Model>"
        f"<Inverse_Model><F_COL>{cols}</F_COL><F_ROW>{rows}</F_ROW></Inverse_Model><RFM_Validity>{domains}</RFM_Validity>"
        "</Global_RFM></Rational_Sensor_Model></Geoposition><Product_Frame><PIXEL_ORIGIN>1</PIXEL_ORIGIN></Product_Frame>"
        "<Product_Characteristics><Product_Image_Characteristics><Data_Access><Data_File>"
        f"<DATA_FILE_PATH>{image}</DATA_FILE_PATH></Data_File></Data_Access></Product_Image_Characteristics>"
        "</Product_Characteristics></PHR_Dimap_Document>"
    )


def dimap_product(
    images: dict[str, tuple[int, int]],
    *,
    rpc: str | None,
    size: tuple[int, int] = (40, 30),
    overlap: int = 0,
    more: str = "",
) -> str:
    """A product file that names images with the row and column of their tiles, and the RPC file."""
    files = "".join(
        f'<Data_File tile_R="{row}" tile_C="{col}"><DATA_FILE_PATH href="{name}"/></Data_File>'
        for name, (row, col) in images.items()
    )
    model = "" if rpc is None else (
        "<Geoposition><Geoposition_Models><Rational_Function_Model><Component><COMPONENT_TITLE>RPC Model"
        f'</COMPONENT_TITLE><COMPONENT_PATH href="{rpc}"/></Component></Rational_Function_Model></Geoposition_Models>'
        "</Geoposition>"
    )  # fmt: skip
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Dimap_Document><Metadata_Identification>'
        '<METADATA_FORMAT version="2.0">DIMAP</METADATA_FORMAT><METADATA_PROFILE>PHR_SENSOR</METADATA_PROFILE>'
        f"<METADATA_SUBPROFILE>PRODUCT</METADATA_SUBPROFILE></Metadata_Identification>{model}<Raster_Data><Data_Access>"
        f"<Data_Files>{files}</Data_Files></Data_Access><Raster_Dimensions><NROWS>80</NROWS><NCOLS>60</NCOLS><Tile_Set>"
        f'<Regular_Tiling><NTILES_SIZE nrows="{size[0]}" ncols="{size[1]}"/><OVERLAP_ROW>{overlap}</OVERLAP_ROW>'
        f"<OVERLAP_COL>{overlap}</OVERLAP_COL></Regular_Tiling></Tile_Set></Raster_Dimensions></Raster_Data>{more}"
        "</Dimap_Document>"
    )


def til(images: dict[str, tuple[int, int]]) -> str:
    """A TIL file that names images with the row and column of their first pixel."""
    groups = "".join(
        f'BEGIN_GROUP = TILE_{k}\n\tfilename = "{name}";\n\tULColOffset = {col};\n\tULRowOffset = {row};\n'
        f"\tLRColOffset = {col + 29};\n\tLRRowOffset = {row + 39};\nEND_GROUP = TILE_{k}\n"
        for k, (name, (row, col)) in enumerate(images.items(), 1)
    )
    return f'bandId = "P";\nnumTiles = {len(images)};\ntileUnits = "Pixels";\ntileOverlap = 0;\n{groups}END;\n'


# Inside the raster


def rounded_for_nitf(rpc: Rpc) -> Rpc:
    """The nearest model that the fields of RPC00B can hold."""
    digits = {"line_off": 0, "samp_off": 0, "lat_off": 4, "lon_off": 4, "height_off": 0}
    digits |= {key.replace("_off", "_scale"): places for key, places in digits.items()}
    numbers = {key: round(getattr(rpc, key), places) for key, places in digits.items()}
    return Rpc(**numbers, **{name.lower(): [float(f"{c:.6E}") for c in polynomial(rpc, name)] for name in POLYNOMIALS})


def nitf_segment(rpc: Rpc, *, order: str = "RPC00B") -> str:
    """The 1041 bytes of a segment (STDI-0002); the model's numbers must fit its fields."""
    v = {key: getattr(rpc, key.lower().replace("long_", "lon_")) for key in SINGLES}
    text = "10001.490000.58"
    for kind in ("OFF", "SCALE"):
        text += f"{v[f'LINE_{kind}']:06.0f}{v[f'SAMP_{kind}']:05.0f}{v[f'LAT_{kind}']:+08.4f}{v[f'LONG_{kind}']:+09.4f}"
        text += f"{v[f'HEIGHT_{kind}']:+05.0f}"
    for name in POLYNOMIALS:
        found = polynomial(rpc, name)
        for c in reordered(found) if order == "RPC00A" else found:
            mantissa, exponent = f"{c:+.6E}".split("E")
            text += f"{mantissa}E{int(exponent):+d}"
    return text


def ichipb(row: int, col: int, *, step: float = 1.0, height: int = 40, width: int = 30) -> str:
    """The 224 bytes of a segment ICHIPB: the image begins at that row and column of another, of which it has every
    ``step``th pixel. Corners are counted from 0.5, the centre of the first pixel.
    """
    corners = [(0.5, 0.5), (0.5, width - 0.5), (height - 0.5, 0.5), (height - 0.5, width - 0.5)]
    text = "00" + f"{step:010.5f}" + "00" + "00"
    text += "".join(f"{value:012.3f}" for corner in corners for value in corner)
    text += "".join(f"{(r - 0.5) * step + 0.5 + row:012.3f}{(c - 0.5) * step + 0.5 + col:012.3f}" for r, c in corners)
    return text + "00042000" + "00039000"


def write_nitf(path: Path, name: str, segment: str) -> Path:
    """A NITF with one segment, by GDAL."""
    with rasterio.open(
        path, "w", driver="NITF", width=30, height=40, count=1, dtype="uint8", TRE=f"{name}={segment}"
    ) as file:
        file.write(np.zeros((1, 40, 30), dtype=np.uint8))
    return path


def write_nitf_chip(path: Path, rpc: Rpc, chip: str) -> Path:
    """A NITF with the segments RPC00B, which GDAL makes of the tag of a TIFF, and ICHIPB."""
    tagged = write_tagged(path.with_suffix(".source.tif"), rpc)
    rasterio.shutil.copy(tagged, path, driver="NITF", TRE=f"ICHIPB={chip}")
    tagged.unlink()
    return path


def write_tagged(path: Path, rpc: Rpc) -> Path:
    """A TIFF with tag 50844, by tifffile: 92 doubles, the two errors first."""
    doubles = [-1.0, -1.0, *values(rpc).values(), *(c for name in POLYNOMIALS for c in polynomial(rpc, name))]
    tifffile.imwrite(path, np.zeros((40, 30), dtype=np.uint8), extratags=[(50844, "d", 92, doubles, True)])
    return path


def blank(path: Path) -> Path:
    """A raw raster of 40 × 30 pixels."""
    return write_raw(path, np.zeros((1, 40, 30), dtype=np.uint8))


# Oracles


def ground(rpc: Rpc, count: int = 200) -> np.ndarray:
    """Longitude, latitude and height of points all over a model's domain: shape (3, count)."""
    x, y, z = np.random.default_rng(11).uniform(-1, 1, (3, count))
    return np.array([
        rpc.lon_off + rpc.lon_scale * x, rpc.lat_off + rpc.lat_scale * y, rpc.height_off + rpc.height_scale * z
    ])  # fmt: skip


def apart_px(one: Rpc, other: Rpc) -> float:
    """The largest distance between the pixels of two models."""
    points = ground(one)
    return float(np.hypot(*np.subtract(one.project(*points), other.project(*points))).max())


def apart_from_gdal_px(rpc: Rpc, raster: Path) -> float:
    """The largest distance from the pixels that GDAL finds with the sidecars and tags it reads itself.

    GDAL calls the centre of the first pixel (0.5, 0.5).
    """
    lon, lat, height = ground(rpc)
    with rasterio.open(raster) as dataset, RPCTransformer(dataset.rpcs) as transformer:
        rows, cols = transformer.rowcol(lon, lat, zs=height, op=lambda value: value)
    row, col = rpc.project(lon, lat, height)
    return float(np.hypot(np.array(rows) - 0.5 - row, np.array(cols) - 0.5 - col).max())
