"""What an element set is worth after some days: where along its track the satellite may be, and when it comes.

A simple model, since an element set carries no covariance. One standard deviation along the track is the root of the
sum of squares of

- 1 km at the epoch (Vallado et al. 2006, section VII: what SGP4 fits to),
- 0.3 km a day, for the period's own error,
- a quarter of what drag moves the satellite along its track, 2π a d t², with d (revolutions a day²) half the derivative
  of the mean motion, as line 1 has it: drag hangs on solar activity, which nobody forecasts better than that.

Across the track and in height the error is a tenth and less. Manoeuvres are not in it: nobody outside knows of them.
"""

import math
from dataclasses import dataclass
from typing import Self

from tasking.orbit import DAY_S
from tasking.satellite import ElementSet

_AT_EPOCH_M = 1000.0
_DAILY_M = 300.0
_DRAG_SHARE = 0.25
_MU_M3_S2 = 3.986008e14
"""Of WGS 72, as SGP4 has it."""

SIGMAS = 2.0
"""Windows are widened by so many standard deviations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ageing:
    """How old an element set is at some moment, and what that asks for."""

    age_days: float
    """Days from its epoch; negative before it."""

    along_track_m: float
    """One standard deviation along the track."""

    widening_s: float
    """Either end of a pass may come so much earlier or later: two standard deviations."""

    @classmethod
    def of(cls, elements: ElementSet, posix: float) -> Self:
        """At a time in POSIX seconds."""
        age = (posix - elements.epoch.timestamp()) / DAY_S
        motion = elements.revolutions_day * 2 * math.pi / DAY_S
        radius = (_MU_M3_S2 / motion**2) ** (1 / 3)
        drag = math.pi * 2 * radius * abs(elements.drag_revolutions_day2) * age**2
        sigma = math.hypot(_AT_EPOCH_M, _DAILY_M * age, _DRAG_SHARE * drag)
        return cls(age_days=age, along_track_m=sigma, widening_s=SIGMAS * sigma / (motion * radius))
