"""Real satellites of 2026-04-13 (Celestrak) with made-up cameras, for tests of orbits, passes and plans."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tasking.satellite import Agility, Band, ElementSet, Satellite, Sensor

if TYPE_CHECKING:
    from skyfield.api import EarthSatellite, Timescale

EPOCH = datetime(2026, 4, 14, tzinfo=UTC)

PLEIADES = ElementSet(
    line1="1 38012U 11076F   26103.92452051  .00000031  00000+0  16420-4 0  9999",
    line2="2 38012  98.1996 179.8836 0001241  74.0617  41.3226 14.58569444762624",
)
KOMPSAT = ElementSet(
    line1="1 40536U 15014A   26103.91425730  .00020275  00000+0  32606-3 0  9997",
    line2="2 40536  97.6891  90.7360 0062126  53.1654 307.5273 15.50789011611840",
)
SENTINEL = ElementSet(
    line1="1 40697U 15028A   26103.94899738  .00000077  00000+0  46153-4 0  9997",
    line2="2 40697  98.5635 179.7237 0001336  89.6508 270.4828 14.30820251564540",
)
GAOFEN_4 = ElementSet(  # geostationary
    line1="1 41194U 15083A   26103.96587898 -.00000331  00000+0  00000+0 0  9994",
    line2="2 41194   0.3405  82.5044 0002925 127.8137  85.2540  1.00274432 37886",
)

_PAN = Band(name="P", common_name="pan", centre_um=0.65, width_um=0.36)


def satellite(
    name: str,
    elements: ElementSet,
    *,
    max_off_nadir_deg: float = 60.0,
    swath_m: float = 20_000.0,
    slew_deg_s: float = 2.0,
    settle_s: float = 6.0,
) -> Satellite:
    return Satellite(
        id=name,
        title=name,
        elements=elements,
        sensor=Sensor(name="camera", swath_m=swath_m, gsd_m=2.0, multispectral_ratio=4, bands=(_PAN,), pan=_PAN),
        agility=Agility(max_off_nadir_deg=max_off_nadir_deg, slew_deg_s=slew_deg_s, settle_s=settle_s),
    )


def in_skyfield(elements: ElementSet, timescale: "Timescale") -> "EarthSatellite":
    from skyfield.api import EarthSatellite

    return EarthSatellite(elements.line1, elements.line2, None, timescale)


FLEET = (satellite("pleiades", PLEIADES), satellite("kompsat", KOMPSAT), satellite("sentinel", SENTINEL))
