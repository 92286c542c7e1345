"""The manifest of a delivery: ``delivery.json``, a small file that says what the other files are."""

import json
from pathlib import Path
from typing import Any, Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from catalog.item import COMMON_NAMES
from processing.errors import DeliveryError
from processing.names import ROLES

MANIFEST: Final = "delivery.json"
"""Its name in the folder of a delivery; when it is there, the delivery is complete."""

MAX_MANIFEST_BYTES = 1_000_000


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    """An object with these properties and no others: a mistyped name is an error, not something left out."""
    properties = required | (optional or {})
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


_TEXT = {"type": "string", "minLength": 1, "maxLength": 1000}
_LENGTH = {"type": "number", "exclusiveMinimum": 0}
_RESIDUAL = _or_null({"type": "number", "minimum": 0})
_ANGLE = {"type": "number"}

_CALIBRATION = _object({"gain": _LENGTH, "offset": {"type": "number"}, "solar_irradiance": _LENGTH})
_BAND = _object(
    {"name": _TEXT},
    {
        "common_name": {"enum": [*COMMON_NAMES, None]},
        "center_um": _or_null(_LENGTH),
        "width_um": _or_null(_LENGTH),
        "calibration": _or_null(_CALIBRATION),
    },
)
_RASTER = _object(
    {"role": {"enum": list(ROLES)}, "path": _TEXT},
    {
        "rpc": _or_null(_TEXT),
        "nodata": _or_null({"type": "number"}),
        "saturation": _or_null(_LENGTH),
        "rpc_rms_px": _RESIDUAL,
        "rpc_max_px": _RESIDUAL,
        "bands": {"type": "array", "items": _BAND},
    },
)
_DEM = _object({"path": _TEXT, "vertical_datum": _TEXT}, {"geoid": _or_null(_TEXT)})
_VIEW_ANGLES = ("off_nadir_deg", "incidence_deg", "azimuth_deg", "sun_azimuth_deg", "sun_elevation_deg")

SCHEMA: Final = _object(
    {
        "overflight_delivery": {"const": "1.0"},
        "id": {"type": "string", "pattern": r"^[A-Za-z0-9_.-]{1,100}$"},
        "acquired": _object({"start": _TEXT, "end": _TEXT}),
        "platform": _TEXT,
        "gsd_m": _LENGTH,
        "rasters": {"type": "array", "items": _RASTER, "minItems": 1},
    },
    {
        "attempt": _or_null(_TEXT),
        "order": _or_null(_TEXT),
        "instrument": _or_null(_TEXT),
        "constellation": _or_null(_TEXT),
        "view": _or_null(_object({}, {name: _or_null(_ANGLE) for name in _VIEW_ANGLES})),
        "sat": _or_null(
            _object(
                {},
                {
                    "orbit_state": {"enum": ["ascending", "descending", None]},
                    "absolute_orbit": _or_null({"type": "integer", "minimum": 1}),
                },
            )
        ),
        "dem": _or_null(_DEM),
        "checksums": _or_null(
            {"type": "object", "additionalProperties": {"type": "string", "pattern": "^sha256:[0-9a-fA-F]{64}$"}}
        ),
        "license": _or_null(_TEXT),
        "attribution": _or_null(_TEXT),
    },
)
"""JSON Schema of the manifest, version 1.0; docs/delivery.md explains each field."""


def read_manifest(path: Path) -> dict[str, Any]:
    """Read a manifest and check it against `SCHEMA`.

    Raises
    ------
    DeliveryError
        There is none, it is no JSON, or it breaks the schema; names the place and the reason.
    """
    if not path.is_file():
        raise DeliveryError(f"{path.name}: the folder has none; it must say what the other files are")
    if path.stat().st_size > MAX_MANIFEST_BYTES:
        raise DeliveryError(f"{path.name}: larger than {MAX_MANIFEST_BYTES} bytes; a manifest is a few kilobytes")
    try:
        manifest = json.loads(path.read_bytes(), object_pairs_hook=_unique, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise DeliveryError(f"{path.name}: no valid JSON ({error})") from None
    if broken := best_match(Draft202012Validator(SCHEMA).iter_errors(manifest)):
        raise DeliveryError(f"{path.name}: {_place(broken.absolute_path)}{broken.message[:300]}")
    return dict(manifest)


def _place(path: Any) -> str:  # noqa: ANN401 - a deque of names and numbers
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return f"{text.removeprefix('.')}: " if text else ""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a name that comes twice: which of the two counts would be a guess (RFC 8259, 4)."""
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} comes twice in one object")
    return dict(pairs)


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no JSON number")
