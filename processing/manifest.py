"""The manifest of a delivery: ``delivery.json``, a small file that says what the other files are."""

from pathlib import Path
from typing import Any, Final

from catalog.item import COMMON_NAMES
from processing.errors import DeliveryError
from processing.json_file import closed, read_json
from processing.names import ROLES

MANIFEST: Final = "delivery.json"
"""Its name in the folder of a delivery; when it is there, the delivery is complete."""

MAX_MANIFEST_BYTES = 1_000_000


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


_TEXT = {"type": "string", "minLength": 1, "maxLength": 1000}
_LENGTH = {"type": "number", "exclusiveMinimum": 0}
_RESIDUAL = _or_null({"type": "number", "minimum": 0})
_ANGLE = {"type": "number"}

_CALIBRATION = closed({"gain": _LENGTH, "offset": {"type": "number"}, "solar_irradiance": _LENGTH})
_BAND = closed(
    {"name": _TEXT},
    {
        "common_name": {"enum": [*COMMON_NAMES, None]},
        "center_um": _or_null(_LENGTH),
        "width_um": _or_null(_LENGTH),
        "calibration": _or_null(_CALIBRATION),
    },
)
_RASTER = closed(
    {"role": {"enum": list(ROLES)}, "path": _TEXT},
    {
        "rpc": _or_null(_TEXT),
        "model": _or_null(_TEXT),
        "nodata": _or_null({"type": "number"}),
        "saturation": _or_null(_LENGTH),
        "rpc_rms_px": _RESIDUAL,
        "rpc_max_px": _RESIDUAL,
        "bands": {"type": "array", "items": _BAND},
    },
)
_DEM = closed({"path": _TEXT, "vertical_datum": _TEXT}, {"geoid": _or_null(_TEXT)})
_VIEW_ANGLES = ("off_nadir_deg", "incidence_deg", "azimuth_deg", "sun_azimuth_deg", "sun_elevation_deg")

SCHEMA: Final = closed(
    {
        "overflight_delivery": {"const": "1.0"},
        "id": {"type": "string", "pattern": r"^[A-Za-z0-9_.-]{1,100}$"},
        "acquired": closed({"start": _TEXT, "end": _TEXT}),
        "platform": _TEXT,
        "gsd_m": _LENGTH,
        "rasters": {"type": "array", "items": _RASTER, "minItems": 1},
    },
    {
        "attempt": _or_null(_TEXT),
        "order": _or_null(_TEXT),
        "instrument": _or_null(_TEXT),
        "constellation": _or_null(_TEXT),
        "view": _or_null(closed({}, {name: _or_null(_ANGLE) for name in _VIEW_ANGLES})),
        "sat": _or_null(
            closed(
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
    return read_json(path, SCHEMA, limit=MAX_MANIFEST_BYTES, error=DeliveryError)
