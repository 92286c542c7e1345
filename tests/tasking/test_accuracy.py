"""Finished scenes lie within a pixel of the ground, all over the globe."""

import pytest

from tests.tasking.accuracy import measure_all


@pytest.mark.slow
def test_ten_scenes_lie_within_a_pixel_of_the_truth(tmp_path, capsys):
    table, worst_px = measure_all(tmp_path)
    with capsys.disabled():
        print(f"\n{table}")
    assert worst_px < 1.0
