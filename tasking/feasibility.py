"""Whether an order is likely to be completed in its time, when, and what stands in the way.

Each pass shows a share of the area, and is clear enough with a chance of its own. The covered share then has a
distribution over the passes, one after another (strips are cut so that they do not repeat each other):

    chance
      │█                 after pass 1      covered   0 ▏▏▏▏▏▏▏▏▏ 100 %
      │▆    █            after pass 2                              ▲
      │▂    ▅        ▃   after pass 3                completed ────┘

Passes within half an hour of each other look at the same clouds: they succeed or fail together. Other orders' claims on
the satellites are not in it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from catalog.extent import TimeWindow, format_time
from tasking.opportunity import Opportunity

LOW = 0.8
"""Below this chance, reasons are told."""

_SAME_CLOUDS = timedelta(minutes=30)
_UNITS = 100
"""Parts that the area is counted in; a pass counts the whole ones that it shows, so that no chance is overstated."""

_COMPLETE = 99
"""An order is completed at 99 per cent; see `tasking.course.COMPLETE_SHARE`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feasibility:
    """What is to be expected of an order."""

    chance: float
    """Of completion by the end of the interval, 0 to 1."""

    expected: datetime | None
    """When it is as likely as not completed, given that it is at all, UTC; None without a chance."""

    passes: int
    """How many meet the order's conditions."""

    reasons: tuple[str, ...]
    """Why the chance is low, the first one weighing most; empty when it is not."""


def feasibility(
    opportunities: Sequence[Opportunity],
    window: TimeWindow,
    *,
    max_cloud_cover_pct: float,
    forgone: Mapping[str, int],
) -> Feasibility:
    """Judge an order by the passes that meet its conditions.

    Parameters
    ----------
    max_cloud_cover_pct
        The chance that a pass is clear enough goes straight from that of a clear sky (0) to certainty (100).
    forgone
        Condition as words, such as "the sun is lower than 10°" → passes that only this condition keeps out.
    """
    passes = sorted(opportunities, key=lambda one: one.best)
    covered = np.zeros(_UNITS + 1)
    covered[0] = 1.0
    done: list[tuple[datetime, float]] = []
    for group in _same_clouds(passes):
        clear = float(np.mean([one.clear_sky for one in group]))
        enough = clear + (1 - clear) * max_cloud_cover_pct / 100
        units = min(_UNITS, sum(int(one.covered_share * _UNITS + 1e-9) for one in group))
        covered = _after(covered, units, enough)
        done.append((group[-1].best, float(covered[_COMPLETE:].sum())))
    chance = done[-1][1] if done else 0.0
    expected = next((moment for moment, by_then in done if by_then >= chance / 2), None) if chance > 0 else None
    reasons = _reasons(passes, window, max_cloud_cover_pct, forgone) if chance < LOW else ()
    return Feasibility(chance=chance, expected=expected, passes=len(passes), reasons=tuple(reasons))


def _same_clouds(passes: Sequence[Opportunity]) -> list[list[Opportunity]]:
    groups: list[list[Opportunity]] = []
    for one in passes:
        if groups and one.best - groups[-1][0].best < _SAME_CLOUDS:
            groups[-1].append(one)
        else:
            groups.append([one])
    return groups


def _after(covered: np.ndarray, units: int, chance: float) -> np.ndarray:
    """Chances of each covered share after one more pass."""
    gained = np.zeros_like(covered)
    gained[units:] = covered[: covered.size - units]
    gained[-1] += covered[covered.size - units :].sum()
    return np.asarray((1 - chance) * covered + chance * gained)


def _reasons(
    passes: Sequence[Opportunity], window: TimeWindow, max_cloud_cover_pct: float, forgone: Mapping[str, int]
) -> list[str]:
    end = f" before {format_time(window.end)}" if window.end else ""
    said = []
    if not passes:
        said.append(f"No pass meets the conditions{end}")
    else:
        best = max(one.covered_share for one in passes)
        if best * 100 < _COMPLETE:
            needed = int(np.ceil(1 / best)) if best > 0 else None
            said.append(
                f"One pass shows at most {best:.0%} of the area"
                + (f"; {needed} clear ones are needed, there are {len(passes)}{end}" if needed else "")
            )
        elif len(passes) < 4:
            said.append(f"Only {len(passes)} {'pass meets' if len(passes) == 1 else 'passes meet'} the conditions{end}")
        clear = float(np.mean([one.clear_sky for one in passes]))
        if max_cloud_cover_pct < 100:
            said.append(
                f"The sky is clear in {clear:.0%} of cases; at most {max_cloud_cover_pct:g} % of clouds are allowed"
            )
    said += [
        f"{count} more {'pass' if count == 1 else 'passes'} would do, but {condition}"
        for condition, count in sorted(forgone.items(), key=lambda one: -one[1])
        if count
    ]
    return said
