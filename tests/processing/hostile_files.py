"""Files that mean harm, and harmless ones to be damaged: written byte by byte, without the code under test."""

import struct
import warnings
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import Affine

SHORT, LONG, ASCII, LONG8 = 3, 4, 2, 16
FORMATS = {SHORT: "H", LONG: "I", ASCII: "B", LONG8: "Q"}


def harmless(folder: Path) -> dict[str, Path]:
    """One small file of every kind that is read, by name."""
    folder.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return _harmless(folder)


def _harmless(folder: Path) -> dict[str, Path]:
    random = np.random.default_rng(5)
    smooth = np.add.outer(np.arange(300), np.arange(260)).astype("uint16") + random.integers(0, 9, (300, 260), "uint16")
    four = np.stack([smooth + k for k in range(4)])
    bytes_ = four[:3].astype("uint8")
    heights = np.linspace(0, 900, 121 * 121, dtype="float32").reshape(121, 121)
    tiled = {"tiled": True, "blockxsize": 64, "blockysize": 64}
    made = {
        "plain.tif": _write(folder / "plain.tif", smooth[None]),
        "deflate.tif": _write(folder / "deflate.tif", four, compress="deflate", predictor=2, **tiled),
        "zstd.tif": _write(folder / "zstd.tif", four, compress="zstd", predictor=2, interleave="band", **tiled),
        "lzw.tif": _write(folder / "lzw.tif", four, compress="lzw"),
        "jpeg.tif": _write(folder / "jpeg.tif", bytes_, compress="jpeg", photometric="ycbcr", **tiled),
        "lerc.tif": _write(folder / "lerc.tif", heights[None], compress="lerc_deflate", **tiled),
        "packbits.tif": _write(folder / "packbits.tif", smooth[None] // 64, compress="packbits"),
        "big.tif": _write(folder / "big.tif", four, bigtiff="yes", endianness="big", compress="deflate", **tiled),
        "lossless.jp2": _write(
            folder / "lossless.jp2", smooth[None], driver="JP2OpenJPEG", quality=100, reversible="yes", **JP2_TILES
        ),
        "lossy.jp2": _write(folder / "lossy.jp2", four[:3], driver="JP2OpenJPEG", quality=20),
        "plain.ntf": _write(folder / "plain.ntf", smooth[None], driver="NITF"),
        "c8.ntf": _copy(_write(folder / "bytes.tif", bytes_), folder / "c8.ntf", driver="NITF", ic="C8"),
        "geoid.gtx": _write(folder / "geoid.gtx", heights[None], driver="GTX", transform=QUARTERS),
        "cog.tif": _with_overviews(folder / "cog.tif", four),
    }  # fmt: skip
    made["N44E005.hgt"] = folder / "N44E005.hgt"
    made["N44E005.hgt"].write_bytes(np.arange(1201 * 1201, dtype=">i2").tobytes())
    return made


QUARTERS = Affine(0.25, 0, 5, 0, -0.25, 50)
JP2_TILES = {"blockxsize": 128, "blockysize": 128}


def _write(path: Path, pixels, *, driver="GTiff", **options) -> Path:
    bands, height, width = pixels.shape
    with rasterio.Env(GDAL_PAM_ENABLED="NO"), rasterio.open(
        path, "w", driver=driver, dtype=pixels.dtype, count=bands, height=height, width=width, **options
    ) as file:  # fmt: skip
        file.write(pixels)
    return path


def _copy(source: Path, path: Path, **options) -> Path:
    with rasterio.Env(GDAL_PAM_ENABLED="NO"):
        rasterio.shutil.copy(source, path, **options)
    return path


def _with_overviews(path: Path, pixels) -> Path:
    _write(path, pixels, compress="deflate", tiled=True, blockxsize=64, blockysize=64)
    with rasterio.Env(GDAL_PAM_ENABLED="NO", GDAL_TIFF_INTERNAL_MASK="YES"), rasterio.open(path, "r+") as file:
        file.write_mask(np.full(pixels.shape[1:], 255, "uint8"))
        file.build_overviews([2, 4])
    return path


def mutate(content: bytes, random: np.random.Generator) -> bytes:
    """Damage a file: bits turned, bytes set, pieces cut out, doubled, zeroed, and the end cut off."""
    bytes_ = bytearray(content)
    for _ in range(int(random.integers(1, 5))):
        # Half of the time where the header is.
        span = min(len(bytes_), 1024) if random.random() < 0.5 else len(bytes_)
        if span == 0:
            break
        at, length = int(random.integers(span)), int(random.choice([1, 2, 4, 8, 100, 4000]))
        match int(random.integers(7)):
            case 0:
                bytes_[at] ^= 1 << int(random.integers(8))
            case 1:
                bytes_[at : at + 4] = random.choice([b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f"])
            case 2:
                bytes_[at] = int(random.integers(256))
            case 3:
                del bytes_[at : at + length]
            case 4:
                bytes_[at:at] = bytes_[at : at + length]
            case 5:
                bytes_[at : at + length] = bytes(min(length, len(bytes_) - at))
            case _:
                del bytes_[int(random.integers(len(bytes_))) :]
    return bytes(bytes_)


def tiff(*directories, order="<", big=False, data=b"", following=None) -> bytes:
    """A TIFF whose directories are given as {tag: (kind, values)}; `data` lies before them, at byte 16.

    `following` says to which directory each one leads, by its index; None ends.
    """
    first = 16 + len(data) + len(data) % 2
    count_format, entry_format, room = ("Q", "HHQ", 8) if big else ("H", "HHI", 4)
    parts, places, at = [], [], first
    for tags in directories:
        places.append(at)
        length = struct.calcsize(order + count_format) + len(tags) * (room * 2 + 4) + room
        beyond, entries = b"", b""
        for tag, (kind, values) in sorted(tags.items()):
            packed = struct.pack(f"{order}{len(values)}{FORMATS[kind]}", *values)
            here = packed.ljust(room, b"\0")
            if len(packed) > room:
                here = struct.pack(order + ("Q" if big else "I"), at + length + len(beyond))
                beyond += packed
            entries += struct.pack(order + entry_format, tag, kind, len(values)) + here
        parts.append((struct.pack(order + count_format, len(tags)) + entries, beyond))
        at += length + len(beyond)
    following = following or {index: index + 1 for index in range(len(directories) - 1)}
    body = b""
    for index, (entries, beyond) in enumerate(parts):
        target = places[following[index]] if index in following else 0
        body += entries + struct.pack(order + ("Q" if big else "I"), target) + beyond
    mark = b"II" if order == "<" else b"MM"
    head = mark + (struct.pack(order + "HHHQ", 43, 8, 0, first) if big else struct.pack(order + "HI", 42, first))
    return head.ljust(16, b"\0") + data.ljust(first - 16, b"\0") + body


def picture(width, height, offsets, lengths, *, tile=None, compression=1, bits=8, bands=1, **more):
    """The tags of a grey picture."""
    tags = {
        256: (LONG, [width]),
        257: (LONG, [height]),
        258: (SHORT, [bits] * min(bands, 1)),
        259: (SHORT, [compression]),
        262: (SHORT, [1]),
        277: (SHORT, [bands]),
        284: (SHORT, [1]),
    }
    if tile:
        tags |= {322: (LONG, [tile[1]]), 323: (LONG, [tile[0]]), 324: (LONG, offsets), 325: (LONG, lengths)}
    else:
        tags |= {273: (LONG, offsets), 278: (LONG, [more.pop("rows", height)]), 279: (LONG, lengths)}
    return tags | {int(tag): value for tag, value in more.items()}


def codestream(width, height, *, tile=None, components=1, levels=5, block=(4, 4), precincts=(), parts=None) -> bytes:
    """A JPEG 2000 codestream without data: main header, and a tile-part for each of `parts` (tile, its length)."""
    tile = tile or (height, width)
    siz = struct.pack(">H8IH", 0, width, height, 0, 0, tile[1], tile[0], 0, 0, components)
    siz += bytes([7, 1, 1]) * components
    cod = bytes([1 if precincts else 0, 0, 0, 1, 0, levels, *block, 0, 1, *precincts])
    qcd = bytes([0x40, *([0x48] * (3 * levels + 1))])
    main = b"\xff\x4f" + b"".join(
        struct.pack(">HH", marker, len(body) + 2) + body
        for marker, body in ((0xFF51, siz), (0xFF52, cod), (0xFF5C, qcd))
    )
    data = [struct.pack(">HHHIBBH", 0xFF90, 10, number, length, 0, 1, 0xFF93) for number, length in parts or [(0, 14)]]
    return b"".join([main, *data, b"\xff\xd9"])


def jp2(stream: bytes, width: int, height: int, components: int = 1) -> bytes:
    """A codestream in the boxes of a JP2 file."""
    header = struct.pack(">I4sIIHBBBB", 22, b"ihdr", height, width, components, 7, 7, 0, 0)
    header += struct.pack(">I4sBBBI", 15, b"colr", 1, 0, 0, 17)
    return (
        b"\0\0\0\x0cjP  \r\n\x87\n"
        + struct.pack(">I4s4sI4s", 20, b"ftyp", b"jp2 ", 0, b"jp2 ")
        + struct.pack(">I4s", 8 + len(header), b"jp2h")
        + header
        + struct.pack(">I4s", 8 + len(stream), b"jp2c")
        + stream
    )


@lru_cache(maxsize=1)
def hostile() -> dict[str, tuple[bytes, str]]:
    """Files by name, each with what the refusal has to say."""
    zeros = zlib.compress(bytes(2**24), 9)
    one = {"offsets": [16], "lengths": [len(zeros)]}
    many = 900
    ntf = b"NITF02.10" + b" " * 345
    part = struct.pack(">HHHIBBH", 0xFF90, 10, 0, 14, 0, 1, 0xFF93)
    return {
        "circle.tif": (tiff(picture(4, 4, [0], [0]), picture(2, 2, [0], [0]), following={0: 1, 1: 0}), "lead back"),
        "itself.tif": (tiff(picture(4, 4, [0], [0]), following={0: 0}), "lead back"),
        "forest.tif": (tiff(*[picture(4, 4, [0], [0])] * 600), "more than 512 directories"),
        "beyond.tif": (tiff(picture(64, 64, [10_000], [4096])), "beyond the file"),
        "wide.tif": (tiff(picture(2**31, 3, [16], [100], rows=1)), "pixels; give 1 to"),
        "none.tif": (tiff(picture(0, 3, [16], [100])), "pixels; give 1 to"),
        "sparse.tif": (tiff(picture(3_000_000, 3_000_000, [0], [0])), "at most"),
        "few.tif": (tiff(picture(100_000, 100_000, [16] * 4, [8] * 4, tile=(256, 256))), "4 numbers in tag 324"),
        "tiny-tiles.tif": (tiff(picture(100_000, 100_000, [0], [0], tile=(16, 16))), "give larger ones"),
        "no-tiles.tif": (tiff(picture(100, 100, [0], [0], tile=(0, 0))), "tiles of 0 × 0"),
        "huge-tile.tif": (
            tiff(picture(100_000, 100_000, **one, tile=(100_000, 100_000), compression=8), data=zeros), "each"
        ),
        "huge-strip.tif": (tiff(picture(40_000, 40_000, **one, compression=8), data=zeros), "damaged or cut off"),
        "bomb.tif": (
            tiff(picture(4096 * 40, 4096 * 50, [0] * 2000, [0] * 2000, tile=(4096, 4096), compression=8)), "at most"
        ),
        "bomb16.tif": (
            tiff(picture(65_536, 65_536, [0] * 256, [0] * 256, tile=(4096, 4096), compression=8, bits=16)), "at most"
        ),
        "bands.tif": (tiff(picture(64, 64, [0], [0], bands=65_000)), "65000 bands"),
        "shared.tif": (
            tiff(picture(4096, 4096 * many, [16] * many, [len(zeros)] * many, rows=4096, compression=8), data=zeros),
            "share bytes",
        ),
        "overlap.tif": (
            tiff(picture(256, 512, [16, 1016], [2000, 2000], rows=256, compression=8), data=bytes(4000)), "share bytes"
        ),
        "big-count.tif": (
            tiff({**picture(64, 64, [16], [4096]), 42112: (ASCII, [0])}, data=bytes(4096)).replace(
                struct.pack("<HHI", 42112, 2, 1), struct.pack("<HHI", 42112, 2, 2**31)), "tag 42112 ends at byte"
        ),
        "far.tif": (b"II*\0\xff\xff\xff\x7f" + bytes(100), "a directory ends at byte"),
        "bigtiff.tif": (b"II+\0\x10\0\0\0" + bytes(100), "no eight bytes"),
        "empty.tif": (b"", "no readable raster"),
        "short.tif": (b"II*\0", "no readable raster"),
        "vrt.tif": (b'<VRTDataset rasterXSize="4" rasterYSize="4"></VRTDataset>', "no readable raster"),
        "wms.tif": (b"<GDAL_WMS><Service name='TMS'></Service></GDAL_WMS>", "no readable raster"),
        "png.tif": (b"\x89PNG\r\n\x1a\n" + bytes(100), "no readable raster"),
        "tiles.jp2": (jp2(codestream(40_000, 40_000, tile=(1, 1)), 40_000, 40_000), "give larger ones"),
        "tiles-bands.jp2": (
            jp2(codestream(25_600, 25_600, tile=(100, 100), components=900), 25_600, 25_600, 900), "give larger ones"
        ),
        "blocks.jp2": (jp2(codestream(100_000, 100_000, block=(0, 0)), 100_000, 100_000), "code-blocks"),
        "precincts.jp2": (
            jp2(codestream(60_000, 60_000, precincts=[0x11] * 6), 60_000, 60_000), "code-blocks"
        ),
        "bomb.jp2": (jp2(codestream(30_000, 30_000), 30_000, 30_000), "at most"),
        "bomb.j2k": (codestream(30_000, 30_000), "at most"),
        "huge.jp2": (jp2(codestream(2**31, 2**31), 2**31, 2**31), "pixels; give 1 to"),
        "no-tile.jp2": (jp2(codestream(100, 100, tile=(0, 0)), 100, 100), "tiles that do not hold"),
        "bands.jp2": (jp2(codestream(10, 10, components=16_000), 10, 10, 16_000), "16000 bands"),
        "cut.jp2": (jp2(codestream(100, 100, parts=[(0, 5000)]), 100, 100), "ends at byte"),
        "back.jp2": (jp2(codestream(100, 100, parts=[(0, 3)]), 100, 100), "the part of a tile"),
        "parts.j2k": (codestream(100, 100)[:-2] + part * 330_000, "segments"),
        "boxes.jp2": (jp2(b"", 4, 4)[:-8] + struct.pack(">I4s", 8, b"free") * 310_000, "boxes|damaged"),
        "segments.ntf": (ntf + b"999999999" + b"0004399999999999" * 999, "damaged|no readable raster"),
        "many.ntf": (ntf + b"016347999" + b"0004390000000001" * 999 + bytes(439_999), "no readable raster"),
        "letters.ntf": (ntf + b"abcdef" + b"xyz" + bytes(500), "no readable raster"),
        "short.hgt": (bytes(100), "no readable raster"),
        "rows.gtx": (struct.pack(">4d2i", 0, 0, 1, 1, 2**31 - 1, 2**31 - 1) + bytes(100), "."),
        "short.gtx": (struct.pack(">4d2i", 0, 0, 1, 1, 1000, 1000) + bytes(100), "."),
    }  # fmt: skip
