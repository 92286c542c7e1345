"""The best row of acquisitions for each satellite alone, when strips and limits cost their prices.

A longest path over candidates in order of time. A candidate that is worth no more than its price is left out: what
stands before and after it goes together without it. Whatever ends more than the longest slew before a start may
precede it, so that a running best is enough there, and only the few in between are compared one by one:

    ends   ──●────●──●───●────┃──●───●─●────┃        ●  candidates by end
             running best ────┘  one by one └ settle ┘ start

Two candidates of one strip do not follow each other directly (a plan holds one of them), so the running best is kept
for two different strips.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from tasking.planning.problem import Floats, Indices, Integers, Tables


@njit(cache=True, nogil=True)
def profits(
    t: Tables, strip_price: Floats, slot_price: Floats, set_price: Floats, low: int, high: int, w: Floats
) -> None:
    """What candidates `low` to `high` are worth beyond their prices, into `w`."""
    for c in range(low, high):
        w[c] = t.value[c] - strip_price[t.strip[c]]
    for k in range(t.use.shape[0]):
        for c in range(low, high):
            if t.slot[k, c] >= 0:
                w[c] -= t.use[k, c] * slot_price[t.slot[k, c]]
    if t.candidate_sets.size:
        for c in range(low, high):
            for one in range(t.of_candidate[c], t.of_candidate[c + 1]):
                w[c] -= set_price[t.candidate_sets[one]]


class Ended(NamedTuple):
    """The candidates of profit of one satellite by end, side by side in memory, with the running best path."""

    candidate: Indices
    length: Floats
    """Profit of the best path that ends with each."""

    strip: Indices
    end: Floats
    roll: Floats
    pitch: Floats
    best: Floats
    """The longest path that ends with one of those up to here."""

    top: Integers
    """Which of these it ends with."""

    second: Integers
    """Which the longest one that ends with another strip than that ends with, -1 for none."""


@njit(cache=True, nogil=True)
def _ended(t: Tables, satellite: int, w: Floats) -> Ended:
    low, high = t.first[satellite], t.first[satellite + 1]
    count = 0
    for c in range(low, high):
        count += w[c] > 0
    one = Ended(
        np.empty(count, dtype=np.int32),
        np.empty(count),
        np.empty(count, dtype=np.int32),
        np.empty(count),
        np.empty(count),
        np.empty(count),
        np.empty(count),
        np.empty(count, dtype=np.int64),
        np.empty(count, dtype=np.int64),
    )
    count = 0
    for k in range(low, high):
        c = t.by_end[k]
        if w[c] > 0:
            one.candidate[count], one.strip[count] = c, t.strip[c]
            one.end[count], one.roll[count], one.pitch[count] = t.end[c], t.end_roll[c], t.end_pitch[c]
            count += 1
    return one


@njit(cache=True, nogil=True)
def _arrive(e: Ended, k: int, length: float) -> None:
    """Note the best path that ends with the k-th, and what is best now."""
    e.length[k], e.best[k], e.top[k], e.second[k] = length, length, k, -1
    if k == 0:
        return
    top, second = e.top[k - 1], e.second[k - 1]
    if length > e.length[top]:
        e.second[k] = second if e.strip[top] == e.strip[k] else top
    else:
        e.best[k], e.top[k], e.second[k] = e.length[top], top, second
        if e.strip[top] != e.strip[k] and (second < 0 or length > e.length[second]):
            e.second[k] = k


@njit(cache=True, nogil=True)
def best_path(t: Tables, satellite: int, w: Floats, before: Floats, previous: Indices, everything: bool) -> int:
    """Find the last candidate of the best path of a satellite, -1 if none is worth anything.

    `before` gets the best that can precede each candidate of profit (with `everything`: each candidate), `previous`
    which one that is, or -1.
    """
    e = _ended(t, satellite, w)
    settle, widest, slew = t.settle_s[satellite], t.widest_s[satellite], t.slew_deg_s[satellite]
    near, far = 0, 0
    for k in range(t.first[satellite], t.first[satellite + 1]):
        c = t.by_start[k]
        if not everything and w[c] <= 0:
            continue
        start, strip, roll, pitch = t.start[c], t.strip[c], t.roll[c], t.pitch[c]
        while near < e.end.size and start - e.end[near] - settle >= 0:
            one = e.candidate[near]
            _arrive(e, near, before[one] + w[one])
            near += 1
        while far < near and start - e.end[far] >= widest:
            far += 1
        most, chosen = 0.0, -1
        for k_near in range(near - 1, far - 1, -1):
            if e.best[k_near] <= most:
                break
            if e.length[k_near] > most and e.strip[k_near] != strip:
                reach = (start - e.end[k_near] - settle) * slew
                aside, ahead = roll - e.roll[k_near], pitch - e.pitch[k_near]
                if aside * aside + ahead * ahead <= reach * reach:
                    most, chosen = e.length[k_near], k_near
        if far > 0 and e.best[far - 1] > most:
            top = e.top[far - 1]
            if e.strip[top] == strip:
                top = e.second[far - 1]
            if top >= 0 and e.length[top] > most:
                most, chosen = e.length[top], top
        before[c] = most
        previous[c] = e.candidate[chosen] if chosen >= 0 else -1
    last, most = -1, 0.0
    for one in e.candidate:
        if before[one] + w[one] > most:
            most, last = before[one] + w[one], one
    return last
