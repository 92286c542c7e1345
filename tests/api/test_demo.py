"""The demo as a newcomer runs it, and the folder that it leaves."""

import re

import numpy as np
import pytest
from PIL import Image


@pytest.mark.slow
def test_the_demo_ends_with_history_item_accuracy_and_picture(overflight, serve, tmp_path):
    data = tmp_path / "demo"
    answer = overflight("demo", "--data", data)
    assert answer.returncode == 0, answer.stderr
    told = answer.stdout
    for state in ("received", "scheduled", "tasked", "processing", "completed"):
        assert state in told
    sharp, wide = (
        float(re.search(rf"{role}\s+[\d.]+ m\s+([\d.]+) m", told)[1]) for role in ("panchromatic", "spectral")
    )
    assert 0 < sharp < 2.0, "under one GSD"
    assert 0 < wide < 8.0

    picture = np.asarray(Image.open(re.search(r"^picture  (\S+)$", told, re.MULTILINE)[1]).convert("L"))
    assert min(picture.shape) > 1000
    raw, ortho, truth = (picture[150:550, left : left + 400].astype(float) for left in (80, 660, 1240))
    assert min(part.std() for part in (raw, ortho, truth)) > 20, "none of the three is blank"

    item = re.search(r"item +http://127.0.0.1:8000(\S+)", told)[1]
    _, client = serve(data, "--no-worker")
    assert client.get(item).json()["properties"]["platform"].startswith("sandbox-")


def test_the_demo_leaves_other_folders_alone(overflight, tmp_path):
    (tmp_path / "thesis.txt").write_text("all my work")
    answer = overflight("demo", "--data", tmp_path)
    assert answer.returncode == 1
    assert "not empty" in answer.stderr
    assert len(answer.stderr.splitlines()) == 1
    assert (tmp_path / "thesis.txt").read_text() == "all my work"
