"""Oracle: every choice tried out, on small made-up files in the format of the SPOT 5 benchmark."""

from itertools import product

import pytest

from tasking.planning.plan import Effort, plan
from tests.bench.spot5 import CAPACITY, UNIT, read

SINGLE_ORBIT = """6
0 2 3 1 0 2 0 3 0
1 1 3 1 0 2 0 3 0
2 3 1 13 0
3 2 2 1 0 3 0
4 5 1 13 0 99 1
5 1 3 1 0 2 0 3 0
5
2 2 4 13 13
2 1 0 1 1 2 2 3 3
2 3 4 1 13 3 13
3 0 1 5 1 2 1 1 2 2 1 2 3 1 3 1 1 3 2 1 3 3
3 2 3 0 13 1 1 13 3 1 13 1 2
"""

MULTI_ORBIT = f"""5
0 10 1 13 {80 * UNIT + 0.15} 1 1
1 7 3 1 {60 * UNIT} 2 {50 * UNIT} 3 {90 * UNIT}
2 7 3 1 {60 * UNIT} 2 {60 * UNIT} 3 {60 * UNIT}
3 6 1 13 {70 * UNIT}
4 1 2 1 0 2 {UNIT}
3
2 1 2 2 1 2 2 2 3
2 0 3 13 13
3 1 2 4 1 1 1 1 2 1
999
"""


def _rows(text: str) -> list[list[float]]:
    return [[float(one) for one in line.split()] for line in text.splitlines()]


def _best(text: str) -> float:
    """Try out all cameras of all photographs, straight from the text."""
    rows = _rows(text)
    count = int(rows[0][0])
    photographs = rows[1 : count + 1]
    constraints = rows[count + 2 : count + 2 + int(rows[count + 1][0])]
    bounded = len(rows) > count + 2 + len(constraints)
    domains = [[None, *zip(row[3 : 3 + 2 * int(row[2]) : 2], row[4::2], strict=False)] for row in photographs]
    best = 0.0
    for choice in product(*domains):
        used = sum(round(one[1] / UNIT) for one in choice if one)
        if bounded and used > CAPACITY:
            continue
        cameras = [one[0] if one else 0 for one in choice]
        for row in constraints:
            size = int(row[0])
            seen = [cameras[int(one)] for one in row[1 : 1 + size]]
            if any(seen == row[k : k + size] for k in range(1 + size, len(row), size)):
                break
        else:
            best = max(best, sum(row[1] for row, one in zip(photographs, choice, strict=True) if one))
    return best


@pytest.mark.parametrize("text", [SINGLE_ORBIT, MULTI_ORBIT], ids=["single orbit", "multi orbit"])
def test_the_optimum_of_a_small_file_is_proven(text: str) -> None:
    made = plan(read(text).problem, Effort(seconds=60, steps=60, moves=400, rounds=2))
    assert made.optimal
    assert made.value == _best(text)
    everything = sum(row[1] for row in _rows(text)[1 : 1 + int(_rows(text)[0][0])])
    assert made.value < everything  # the constraints bind


def test_the_cameras_are_told_by_photograph() -> None:
    photographs = read(SINGLE_ORBIT)
    assert photographs.photograph[:4] == (0, 0, 0, 1)
    assert photographs.camera[:7] == (1, 2, 3, 1, 2, 3, 13)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2\n0 1 1 1 0\n", "ends where a photograph"),
        ("1\n0 1 2 1 0\n0\n", "2 cameras"),
        ("1\n0 1 1 1 0\n1\n2 0\n", "sets"),
    ],
)
def test_a_damaged_file_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read(text)
