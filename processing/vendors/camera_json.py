"""Rigorous cameras as JSON, in a format of our own: frame cameras and pushbroom cameras, versioned.

Vendors write such models in forms too many to read, or keep them; this one is easily made of any of them.
docs/sensor-models.md explains each field. Pixel (0, 0) is the centre of the first pixel.
"""

import json
from pathlib import Path
from typing import Any, Final

from processing import camera_kernel
from processing.errors import SensorModelError
from processing.frame import FrameCamera
from processing.json_file import closed, read_json
from processing.pushbroom import PushbroomCamera

VERSION: Final = "1.0"

MAX_BYTES: Final = 20_000_000
"""A pushbroom camera of a minute, sampled 16 times a second, has some 200 kB."""

_MOST = 200_000
_NUMBER: Final = {"type": "number"}
_SIZE = {"type": "integer", "minimum": 1, "maximum": 2**31 - 1}


def _list(items: dict[str, Any], least: int, most: int = _MOST) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": least, "maxItems": most}


_PLACE = ("lon", "lat", "height_m")
_VECTOR = _list(_NUMBER, 3, 3)
_COMMON = {
    "overflight_sensor_model": {"const": VERSION},
    "image": closed({"rows": _SIZE, "columns": _SIZE}),
    "heights_m": _list(_NUMBER, 2, 2),
}
_FRAME = closed(
    _COMMON
    | {
        "type": {"const": "frame"},
        "focal_px": {"type": "number", "exclusiveMinimum": 0},
        "position": {"oneOf": [closed(dict.fromkeys(_PLACE, _NUMBER)), closed({"ecef_m": _VECTOR})]},
        "orientation": {
            "oneOf": [
                closed({"omega_deg": _NUMBER, "phi_deg": _NUMBER, "kappa_deg": _NUMBER}),
                closed({"ecef_axes": _list(_VECTOR, 3, 3)}),
            ]
        },
    },
    {
        "principal": closed({"row": _NUMBER, "column": _NUMBER}),
        "distortion": closed({}, dict.fromkeys(("k1", "k2", "k3", "p1", "p2"), _NUMBER)),
    },
)
_PUSHBROOM = closed(
    _COMMON
    | {
        "type": {"const": "pushbroom"},
        "lines": closed({"rows": _list(_NUMBER, 2), "seconds": _list(_NUMBER, 2)}),
        "ephemeris": closed(
            {"seconds": _list(_NUMBER, 2), "position_m": _list(_VECTOR, 2), "velocity_m_s": _list(_VECTOR, 2)}
        ),
        "attitude": closed({"seconds": _list(_NUMBER, 2), "quaternions_wxyz": _list(_list(_NUMBER, 4, 4), 2)}),
        "look": closed(
            {"middle": _NUMBER, "half": _NUMBER, "along": _list(_NUMBER, 1, 20), "across": _list(_NUMBER, 2, 20)}
        ),
    },
    {"epoch": {"type": "string", "maxLength": 100}},
)
SCHEMA: Final = {
    "type": "object",
    "required": ["overflight_sensor_model", "type"],
    "properties": {"type": {"enum": ["frame", "pushbroom"]}},
    "if": {"properties": {"type": {"const": "frame"}}},
    "then": _FRAME,
    "else": _PUSHBROOM,
}
"""JSON Schema of the format, version 1.0."""


def read(path: Path) -> FrameCamera | PushbroomCamera:
    """The camera in a file.

    Raises
    ------
    SensorModelError
        It is no such file, or what it describes is no camera; names the place and the reason.
    """
    found = read_json(path, SCHEMA, limit=MAX_BYTES, error=SensorModelError)
    try:
        return _frame(found) if found["type"] == "frame" else _pushbroom(found)
    except OverflowError:
        raise SensorModelError(f"{path.name}: a number is too large; give finite ones") from None
    except SensorModelError as error:
        raise SensorModelError(f"{path.name}: {error}") from None


def write(camera: FrameCamera | PushbroomCamera, path: Path, *, epoch: str | None = None) -> None:
    """Write a camera; read again it is the same, to the last bit.

    Parameters
    ----------
    epoch
        When a pushbroom camera's second 0 was, for people.
    """
    document = _of_frame(camera) if isinstance(camera, FrameCamera) else _of_pushbroom(camera)
    head = {
        "overflight_sensor_model": VERSION,
        "type": document.pop("type"),
        "image": {"rows": camera.rows, "columns": camera.columns},
        "heights_m": list(camera.heights_m),
    }
    told = {"epoch": epoch} if epoch is not None else {}
    path.write_text(json.dumps(head | told | document, indent=1) + "\n", encoding="utf-8")


def _frame(found: dict[str, Any]) -> FrameCamera:
    rows, columns = found["image"]["rows"], found["image"]["columns"]
    principal = found.get("principal", {"row": (rows - 1) / 2, "column": (columns - 1) / 2})
    lens = found.get("distortion", {})
    interior: dict[str, Any] = {
        "rows": rows,
        "columns": columns,
        "heights_m": tuple(map(float, found["heights_m"])),
        "focal_px": float(found["focal_px"]),
        "principal": (float(principal["row"]), float(principal["column"])),
        "radial": tuple(float(lens.get(name, 0.0)) for name in ("k1", "k2", "k3")),
        "tangential": tuple(float(lens.get(name, 0.0)) for name in ("p1", "p2")),
    }
    position, turn = found["position"], found["orientation"]
    if "ecef_axes" in turn:
        if "ecef_m" in position:
            x, y, z = map(float, position["ecef_m"])
        else:
            x, y, z = camera_kernel.earth_fixed(*(float(position[name]) for name in _PLACE))
        return FrameCamera(position_m=(x, y, z), axes=turn["ecef_axes"], **interior)
    if "ecef_m" in position:
        x, y, z = map(float, position["ecef_m"])
        position = dict(zip(_PLACE, camera_kernel.geodetic(x, y, z), strict=True))
    return FrameCamera.from_angles(**position, **turn, **interior)


def _pushbroom(found: dict[str, Any]) -> PushbroomCamera:
    ephemeris, attitude, look = found["ephemeris"], found["attitude"], found["look"]
    low, high = map(float, found["heights_m"])
    return PushbroomCamera(
        rows=found["image"]["rows"],
        columns=found["image"]["columns"],
        heights_m=(low, high),
        line_rows=found["lines"]["rows"],
        line_s=found["lines"]["seconds"],
        ephemeris_s=ephemeris["seconds"],
        position_m=ephemeris["position_m"],
        velocity_m_s=ephemeris["velocity_m_s"],
        attitude_s=attitude["seconds"],
        quaternions=attitude["quaternions_wxyz"],
        look_middle=float(look["middle"]),
        look_half=float(look["half"]),
        along=look["along"],
        across=look["across"],
    )


def _of_frame(camera: FrameCamera) -> dict[str, Any]:
    return {
        "type": "frame",
        "focal_px": camera.focal_px,
        "principal": {"row": camera.principal[0], "column": camera.principal[1]},
        "distortion": dict(zip(("k1", "k2", "k3", "p1", "p2"), (*camera.radial, *camera.tangential), strict=True)),
        "position": {"ecef_m": list(camera.position_m)},
        "orientation": {"ecef_axes": camera.axes.tolist()},
    }


def _of_pushbroom(camera: PushbroomCamera) -> dict[str, Any]:
    return {
        "type": "pushbroom",
        "lines": {"rows": camera.line_rows.tolist(), "seconds": camera.line_s.tolist()},
        "ephemeris": {
            "seconds": camera.ephemeris_s.tolist(),
            "position_m": camera.position_m.tolist(),
            "velocity_m_s": camera.velocity_m_s.tolist(),
        },
        "attitude": {"seconds": camera.attitude_s.tolist(), "quaternions_wxyz": camera.quaternions.tolist()},
        "look": {
            "middle": camera.look_middle,
            "half": camera.look_half,
            "along": camera.along.tolist(),
            "across": camera.across.tolist(),
        },
    }
