"""Which grids of a geoid PROJ knows, and where they lie on this machine.

PROJ's database says which grid leads from the ellipsoid to a vertical CRS. The files come by ``projsync``; they are
looked for where PROJ looks, and never on the network.

Sources: PROJ, "Resource files" for the places, "Database schema" for the tables.
"""

import os
import sqlite3
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Final

from pyproj import CRS, datadir

_GRIDS: Final = """
    SELECT grids.proj_grid_name, grids.old_proj_grid_name, ways.source_crs_auth_name, ways.source_crs_code
    FROM grid_transformation AS ways JOIN grid_alternatives AS grids ON grids.original_grid_name = ways.grid_name
    WHERE ways.target_crs_auth_name = 'EPSG' AND ways.target_crs_code = ? AND grids.proj_method = 'geoid_like'
      AND NOT ways.deprecated AND grids.proj_grid_name <> ''
    ORDER BY ways.accuracy IS NULL, ways.accuracy, ways.auth_name, ways.code
"""

_EARTH_RADIUS_M: Final = 6_378_137.0
"""Semi-major axis of WGS 84, and of GRS 80, which lies within a tenth of a millimetre of it."""


def grid_names(code: int) -> tuple[str, ...]:
    """File names of the grids that lead to a vertical CRS, the most accurate first, each as PROJ 7 and 6 call it.

    Parameters
    ----------
    code
        EPSG code of the vertical CRS.
    """
    names = (name for row in _rows(code) for name in row[:2] if name)
    return tuple(dict.fromkeys(names))


def find_grid(name: str) -> Path | None:
    """The file of that name among PROJ's data on this machine."""
    return next((folder / name for folder in folders() if (folder / name).is_file()), None)


def folders() -> list[Path]:
    """Where PROJ looks for grids: beside its database, and where ``projsync`` puts them."""
    said = [datadir.get_data_dir(), datadir.get_user_data_dir()]  # type: ignore[attr-defined]
    return [Path(folder) for paths in said for folder in paths.split(os.pathsep) if folder]


@lru_cache(maxsize=64)
def _rows(code: int) -> tuple[tuple[str, str | None, str, str], ...]:
    """The grids of a vertical CRS that stand on the ellipsoid of WGS 84."""
    database = next((path for folder in folders() if (path := folder / "proj.db").is_file()), None)
    if database is None:
        return ()
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            rows = connection.execute(_GRIDS, (str(code),)).fetchall()
    except sqlite3.Error:  # a PROJ whose tables are others: the grid has to be given then
        return ()
    return tuple(row for row in rows if on_wgs84(CRS.from_authority(row[2], row[3])))


def on_wgs84(crs: CRS) -> bool:
    """Whether heights in a CRS are those above the ellipsoid of WGS 84, and not above Bessel's or Clarke's."""
    return crs.ellipsoid is not None and abs(crs.ellipsoid.semi_major_metre - _EARTH_RADIUS_M) < 1
