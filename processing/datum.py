"""What heights stand on: the ellipsoid, or a geoid by its name and the grid of its heights above the ellipsoid.

It is always said, never guessed. A geoid goes by its own name, by that of a vertical CRS or its EPSG code, or by a
compound CRS; its grid is the given file, or the one that PROJ has for it among the data of this machine. No network is
asked: PROJ's own programs fetch a grid, once.
"""

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from pyproj import CRS
from pyproj.exceptions import CRSError

from processing.errors import DeliveryError, HeightsError
from processing.geoid_grid import find_grid, grid_names, on_wgs84
from processing.height_files import ELLIPSOIDAL
from processing.raster import open_raster
from processing.surface import Surface

ELLIPSOID: Final = "ellipsoid"
"""The vertical datum of heights above the WGS 84 ellipsoid."""

_GEOIDS: Final = {"egm84": 5798, "egm96": 5773, "egm2008": 3855, "egm08": 3855}
"""EPSG codes of geoids whose usual names are shorter than EPSG's."""

_NAMED: Final = re.compile("|".join(_GEOIDS))
"""In the name of a grid's file."""

_CODE: Final = re.compile(r"[A-Za-z]+:\d+(\+([A-Za-z]+:)?\d+)?")
POSSIBLE: Final = (
    "ellipsoid, EGM96, EGM2008, EGM84, or a vertical CRS of EPSG by code or name (EPSG:5720, NAVD88 height)"
)
"""What may be declared, for people; any other name with the grid of its geoid."""

_METRE: Final = ("metre", "meter", "m")


@dataclass(frozen=True, slots=True, kw_only=True)
class VerticalDatum:
    """What the heights of a DEM stand on."""

    name: str
    """``ellipsoid``, or the name of a geoid as it was declared: ``EGM96``, ``EPSG:5773`` …"""

    geoid: Surface | None
    """The geoid's height above the ellipsoid; None for heights that stand on the ellipsoid itself."""

    vertical_crs: str | None = None
    """EPSG's name of the vertical CRS, where it is known: ``EGM96 height``."""

    horizontal_crs: str | None = None
    """The horizontal part of a compound CRS that was declared, as WKT 2."""

    @classmethod
    def of(cls, name: str | None, geoid: Path | None) -> Self:
        """The datum of that name.

        Parameters
        ----------
        name
            ``ellipsoid``; ``EGM84``, ``EGM96``, ``EGM2008``; the EPSG code or name of a vertical CRS or of a compound
            one (``EPSG:5720``, ``EPSG:4326+5773``, ``NAVD88 height``); any other name where its grid is given.
        geoid
            The grid: a file, or the name of one that PROJ has on this machine. None: the one that PROJ names for it.

        Raises
        ------
        HeightsError
            No name, or an unknown one without a grid; a grid that is not there, cannot be read, contradicts the name,
            or is given where none is needed; a CRS of depths, or in feet.
        """
        if name is None or not name.strip():
            raise HeightsError(f"DEM: its vertical datum is not declared; say {POSSIBLE} (--dem-datum)")
        name = name.strip()
        said = _Declared.read(name)
        if said.vertical_crs == ELLIPSOIDAL:
            if geoid is not None:
                raise HeightsError(
                    f"DEM: heights above the ellipsoid need no geoid, yet {geoid.name} is given; "
                    "leave out --geoid, or name its datum with --dem-datum"
                )
            return cls(name=ELLIPSOID, geoid=None, vertical_crs=ELLIPSOIDAL, horizontal_crs=said.horizontal_crs)
        grid = said.grid() if geoid is None else said.check_grid(geoid)
        return cls(
            name=name,
            geoid=Surface.open(grid),
            vertical_crs=said.vertical_crs,
            horizontal_crs=said.horizontal_crs,
        )

    def check(self, surface: Surface) -> None:
        """Refuse heights whose files say of themselves that they are something else.

        Raises
        ------
        HeightsError
            Says what was declared, and what the files say.
        """
        name, found = surface.path.name, surface.vertical_crs
        if self.geoid is None and found not in (None, ELLIPSOIDAL):
            raise HeightsError(
                f"{name}: declared as heights above the ellipsoid, but its CRS says {found!r}; "
                "name that datum and give its geoid"
            )
        if found is not None and self.geoid is not None and not self._is_called(found):
            raise HeightsError(
                f"{name}: declared as heights above {self.name}, but its CRS says {found!r}; declare that, or mend the "
                "file's CRS"
            )
        crs = surface.grid.crs
        if self.horizontal_crs is not None and not _same(self.horizontal_crs, crs):
            raise HeightsError(
                f"{name}: declared as {CRS.from_wkt(self.horizontal_crs).name!r} with heights, but its CRS is "
                f"{CRS.from_wkt(crs).name!r}; declare the vertical datum alone, or mend the file's CRS"
            )

    def _is_called(self, found: str) -> bool:
        """Whether a file's vertical CRS is this one; a name that only its grid explains must be part of it."""
        if found == ELLIPSOIDAL:
            return False
        if self.vertical_crs is not None:
            return _plain(self.vertical_crs) == _plain(found)
        return _plain(self.name) in _plain(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Declared:
    """What is known of a name."""

    name: str
    code: int | None
    """EPSG's of the vertical CRS."""

    vertical_crs: str | None
    """Its name; `ELLIPSOIDAL` for the ellipsoid; None where nobody knows it."""

    horizontal_crs: str | None
    """The horizontal part, as WKT 2, where it is a compound CRS."""

    @classmethod
    def read(cls, name: str) -> Self:
        if name.lower() == ELLIPSOID:
            return cls(name=name, code=None, vertical_crs=ELLIPSOIDAL, horizontal_crs=None)
        crs = _crs(name)
        if crs is None:
            return cls(name=name, code=None, vertical_crs=None, horizontal_crs=None)
        horizontal = None
        if crs.is_compound:
            flat, crs = crs.sub_crs_list[:2]
            horizontal = flat.to_wkt()
        elif len(crs.axis_info) == 3:
            return cls._three_dimensional(name, crs)
        if not crs.is_vertical:
            raise HeightsError(f"DEM: {name} has no heights; declare a vertical CRS, as EPSG:5773 or EPSG:4326+5773")
        axis = crs.axis_info[0]
        if axis.direction != "up" or axis.unit_name not in _METRE:
            raise HeightsError(
                f"DEM: {name} counts {axis.unit_name} {axis.direction}; convert its heights to metres above a geoid"
            )
        return cls(name=name, code=crs.to_epsg(), vertical_crs=crs.name, horizontal_crs=horizontal)

    @classmethod
    def _three_dimensional(cls, name: str, crs: CRS) -> Self:
        """A CRS whose heights stand on its own ellipsoid."""
        if not on_wgs84(crs):
            ellipsoid = "?" if crs.ellipsoid is None else crs.ellipsoid.name
            raise HeightsError(f"DEM: {name} has heights above {ellipsoid}; convert them to the ellipsoid of WGS 84")
        return cls(name=name, code=None, vertical_crs=ELLIPSOIDAL, horizontal_crs=crs.to_2d().to_wkt())

    def grid(self) -> Path:
        """The grid that PROJ has on this machine."""
        names = grid_names(self.code) if self.code is not None else ()
        found = next((path for name in names if (path := find_grid(name)) is not None), None)
        if found is not None:
            return found
        needed = f"DEM: heights above {self.name} need the grid of that geoid; give it with --geoid GRID"
        if names:
            raise HeightsError(f"{needed}, or fetch it once: pyproj sync --file {names[0]}")
        if self.vertical_crs is not None:
            raise HeightsError(f"{needed}; PROJ has none for {self.vertical_crs}")
        raise HeightsError(f"{needed}; PROJ knows no datum of that name, only {POSSIBLE}")

    def check_grid(self, geoid: Path) -> Path:
        """The file of a grid that was given, which is not known to be that of another geoid."""
        path = geoid
        if not path.exists() and path.name == str(path):
            path = find_grid(path.name) or path
        code = _code_of_grid(path)
        if code is not None and self.code is not None and code != self.code:
            raise HeightsError(
                f"DEM: declared as heights above {self.name}, but {path.name} is the grid of EPSG:{code}, "
                f"{CRS.from_epsg(code).name}; give the one that belongs to it"
            )
        return path


def _code_of_grid(path: Path) -> int | None:
    """EPSG code of the vertical CRS that a grid leads to, as far as its tags (PROJ's do) or its name tell."""
    named = _NAMED.search(_plain(path.stem))
    if named is not None:
        return _GEOIDS[named[0]]
    try:
        with open_raster(path) as dataset:
            said = str(dataset.tags().get("target_crs_epsg_code", ""))
    except DeliveryError as error:
        raise HeightsError(str(error)) from None
    return int(said) if said.isdecimal() else None


def _crs(name: str) -> CRS | None:
    """The CRS that a name stands for; None where PROJ knows none that is called exactly so."""
    code = _GEOIDS.get(_plain(name))
    if code is not None:
        return CRS.from_epsg(code)
    if _CODE.fullmatch(name):
        try:
            return CRS.from_user_input(name)
        except CRSError:
            raise HeightsError(f"DEM: PROJ knows no {name}; give the EPSG code of a vertical or compound CRS") from None
    for called in (name, f"{name} height"):  # EPSG calls NAVD88 so
        with suppress(CRSError):
            crs = CRS.from_user_input(called)
            if crs.name.casefold() == called.casefold():
                return crs
    return None


def _same(one: str, other: str) -> bool:
    return bool(CRS.from_wkt(one).equals(CRS.from_wkt(other), ignore_axis_order=True))


def _plain(name: str) -> str:
    """Letters and digits only: EGM-96, egm96 and EGM 96 are one name."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())
