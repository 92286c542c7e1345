"""What can be ordered."""

from dataclasses import dataclass
from typing import Literal

from tasking.satellite import Satellite


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """Something that can be ordered: which satellites make it, under which limits, and who delivers it."""

    id: str
    """Short name, as in addresses: ``sandbox-multispectral``."""

    title: str
    description: str

    provider: Literal["sandbox", "inbox"]
    """Which provider carries out its attempts."""

    collection: str
    """The STAC collection that its items go to."""

    satellites: tuple[Satellite, ...] = ()
    """Who can acquire it; empty where passes are the vendor's own affair (no opportunities)."""

    max_area_km2: float
    """Largest area of one order."""

    min_area_km2: float = 0.01
    """Smallest area of one order: below it, it is a typing mistake."""

    max_days: float
    """Longest time span of one order."""

    max_off_nadir_deg: float = 30.0
    """Largest off-nadir angle that the product allows."""

    min_sun_elevation_deg: float = 10.0
    """Lowest sun at the area's centre."""

    gsd_m: float
    """Ground sampling distance of its sharpest band at nadir."""

    license: str = "other"
    """SPDX expression, or ``other``."""
