"""CE90 of ten sandbox scenes spread over the globe, through the whole chain, against the known truth."""

import tempfile
from pathlib import Path

from tests.tasking.accuracy import measure_all


def run() -> None:
    with tempfile.TemporaryDirectory() as folder:
        table, worst_px = measure_all(Path(folder))
    print(table)
    print(f"\nworst: {worst_px:.3f} GSD   (goal: under 1)")
    assert worst_px < 1
