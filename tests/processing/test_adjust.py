"""Blocks of made-up scenes whose errors are known, brute force, and the real stereo pair (in test_tie.py)."""

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares

from processing.adjust import adjust
from processing.bundle import BlockScene
from processing.correction import Correction
from processing.errors import SensorModelError
from processing.refine import ControlPoint, metres_per_degree, refine
from processing.rpc import Rpc, fit
from processing.tie_point import Sighting, TiePoint
from tests.processing.pushbroom import Pushbroom

SIZE = 1000
PLACES = {"a": (0, 0, 18, 192), "b": (0.008, 0.002, -12, 195), "c": (0.002, 0.008, 2, 190), "d": (0.009, 0.009, 25, 10)}
"""Degrees east and north, roll, heading."""


def terrain(lon, lat):
    return 500 + 200 * np.sin(lon * 900) * np.cos(lat * 900)


@dataclass(frozen=True)
class Truth:
    """What the images really show: the models of a block, each moved by its correction."""

    models: dict[str, Rpc]
    corrections: dict[str, Correction]

    @property
    def scenes(self):
        return [BlockScene(name=name, rpc=rpc, height=SIZE, width=SIZE) for name, rpc in self.models.items()]

    def seen(self, name, lon, lat, height):
        return np.array(self.corrections[name].apply(*self.models[name].project(lon, lat, height)))

    def places(self, n, rng):
        lon, lat = 5.3 + rng.uniform(-0.012, 0.02, n), 44.1 + rng.uniform(-0.009, 0.018, n)
        return lon, lat, terrain(lon, lat)

    def ties(self, n=500, *, seed=0, noise_px=0.1, dem_m=0.2, wrong=0.0):
        """At most n; of the first sighting of that share, row and column are up to 30 px off."""
        rng = np.random.default_rng(seed)
        made = []
        for k, place in enumerate(zip(*self.places(n, rng), strict=True)):
            seen = []
            for name in self.models:
                row, col = self.seen(name, *place)
                if 0 <= row < SIZE and 0 <= col < SIZE:
                    off = rng.uniform(2, 30, 2) * rng.choice([-1, 1], 2) if k < wrong * n and not seen else np.zeros(2)
                    row, col = np.array([row, col]) + rng.normal(0, noise_px, 2) + off
                    seen.append(Sighting(scene=name, row=float(row), col=float(col)))
            if len(seen) >= 2:
                lon, lat = place[:2] + rng.normal(0, 1e-5, 2)
                made.append(
                    TiePoint(
                        id=f"t{k}",
                        seen=tuple(seen),
                        lon=float(lon),
                        lat=float(lat),
                        height=float(place[2] + rng.normal(0, dem_m)),
                        sigma_px=max(noise_px, 0.01),
                    )
                )
        return made

    def control(self, name, n=20, *, seed=0, noise_px=0.1, wrong=0):
        rng = np.random.default_rng(1000 + seed)
        points = []
        lon, lat, height = self.places(20 * n, rng)
        row, col = self.seen(name, lon, lat, height)
        for k in np.flatnonzero((row >= 0) & (row < SIZE) & (col >= 0) & (col < SIZE))[:n]:
            off = rng.normal(0, noise_px, 2) + (25.0 if len(points) < wrong else 0.0)
            points.append(
                ControlPoint(id=f"{name}{len(points)}", lon=float(lon[k]), lat=float(lat[k]), height=float(height[k]),
                             row=float(row[k] + off[0]), col=float(col[k] + off[1]), sigma_px=noise_px)
            )  # fmt: skip
        return points


def shift(rows, cols):
    return Correction(row=(rows, 1.0, 0.0), col=(cols, 0.0, 1.0))


SHIFTS = {"a": shift(3.0, -4.0), "b": shift(-6.0, 2.0), "c": shift(1.0, 5.0), "d": shift(-2.0, -7.0)}
AFFINE = {
    name: Correction(row=(one.row[0], 1 + slope, -slope / 2), col=(one.col[0], slope / 3, 1 - slope))
    for (name, one), slope in zip(SHIFTS.items(), (1e-3, -2e-3, 5e-4, 0.0), strict=True)
}


@pytest.fixture(scope="module")
def models():
    made = {}
    for name, (east, north, roll, heading) in PLACES.items():
        camera = Pushbroom(lon=5.3 + east, lat=44.1 + north, rows=SIZE, cols=SIZE, roll_deg=roll, heading_deg=heading)
        made[name] = fit(**camera.points()).rpc
    return made


@pytest.fixture(scope="module")
def block(models):
    return Truth(models, SHIFTS)


def off_px(found, truth, names=PLACES):
    """Of each scene's correction from the truth in the middle and towards the corners of its image; the largest."""
    row, col = np.meshgrid([100.0, 499.5, 900.0], [100.0, 499.5, 900.0])
    corrections = {scene.name: scene.correction for scene in found.scenes}
    off = [np.subtract(corrections[n].apply(row, col), truth.corrections[n].apply(row, col)) for n in names]
    return max(float(np.hypot(*one).max()) for one in off)


def test_a_fifth_of_wrong_ties_and_some_control_in_one_scene(block):
    """Each scene's shift comes out, though only one of the four has control, of which a fifth is wrong as well."""
    ties = block.ties(wrong=0.2)
    control = {"a": block.control("a", 60, wrong=12)}
    found = adjust(block.scenes, ties, control=control, height_sigma_m=0.3)
    assert off_px(found, block) < 0.05
    wrong = {tie.id for tie in ties if int(tie.id[1:]) < 100}
    assert wrong <= set(found.rejected_ties)
    assert len(found.rejected_ties) < len(wrong) + 0.05 * len(ties)
    assert set(found.rejected_control) == {f"a: a{k}" for k in range(12)}
    for scene in found.scenes:
        assert scene.rmse_px < 0.16
        assert scene.rmse_before_px > 1
        assert max(scene.sigma_px) < 0.05
    assert found.unit_sigma == pytest.approx(1.0, abs=0.15)


def test_an_affine_change_of_each_scene(models):
    truth = Truth(models, AFFINE)
    control = {name: truth.control(name, 60, wrong=12) for name in ("a", "d")}
    found = adjust(truth.scenes, truth.ties(wrong=0.2), control=control, model="affine", height_sigma_m=0.3)
    assert off_px(found, truth) < 0.08
    middle = [np.subtract(s.correction.apply(499.5, 499.5), truth.corrections[s.name].apply(499.5, 499.5))
              for s in found.scenes]  # fmt: skip
    assert np.abs(middle).max() < 0.05
    assert adjust(truth.scenes, truth.ties(), control=control, height_sigma_m=0.3).unit_sigma > 2, "a shift will not do"


@pytest.mark.parametrize("model", ["shift", "affine"])
def test_the_refined_models_show_the_ties_where_the_images_do(models, model):
    truth = Truth(models, AFFINE)
    ties = truth.ties()
    found = adjust(truth.scenes, ties, model=model)
    for scene in found.scenes:
        off = []
        for tie, lon, lat, height, good in zip(ties, found.lon, found.lat, found.height, found.accepted, strict=True):
            seen = next((one for one in tie.seen if one.scene == scene.name and good), None)
            if seen:
                off.append(np.subtract(scene.rpc.project(lon, lat, height), (seen.row, seen.col)))
        assert scene.ties == len(off) > 50
        assert scene.control == 0
        assert scene.rmse_px == pytest.approx(np.sqrt(np.mean(np.sum(np.square(off), axis=1))), abs=2e-3)
        assert scene.refit_px < 1e-3


def test_the_sigmas_told_are_those_of_the_errors(models):
    """Errors drawn from what is assumed: over many blocks, error over sigma has a spread of 1."""
    ratios = []
    for seed in range(25):
        rng = np.random.default_rng(seed)
        truth = Truth(models, {name: shift(*rng.normal(0, 10, 2)) for name in models})
        ties = truth.ties(120, seed=seed, noise_px=0.3, dem_m=5.0)
        control = {"b": truth.control("b", 2, seed=seed, noise_px=0.5)} if seed % 2 else None
        found = adjust(truth.scenes, ties, control=control, height_sigma_m=5.0)
        for scene in found.scenes:
            true = truth.corrections[scene.name]
            ratios.append((scene.correction.row[0] - true.row[0]) / scene.sigma_px[0])
            ratios.append((scene.correction.col[0] - true.col[0]) / scene.sigma_px[1])
    assert np.sqrt(np.mean(np.square(ratios))) == pytest.approx(1.0, abs=0.2)


def brute_force(truth, ties, control, bias_sigma_px, height_sigma_m):
    """The same least squares by an optimiser that knows nothing of the equations' shape."""
    names = list(truth.models)
    lon, lat, height = np.array([(tie.lon, tie.lat, tie.height) for tie in ties]).T
    east, north = metres_per_degree(lat, height)

    def residuals(unknown):
        change, move = unknown[: 2 * len(names)].reshape(-1, 2), unknown[2 * len(names) :].reshape(-1, 3)
        place = np.stack([lon + move[:, 0] / east, lat + move[:, 1] / north, height + move[:, 2]])
        off = [change.ravel() / bias_sigma_px, move[:, 2] / height_sigma_m]
        for k, tie in enumerate(ties):
            for one in tie.seen:
                seen = np.array(truth.models[one.scene].project(*place[:, k])) + change[names.index(one.scene)]
                off.append((np.array([one.row, one.col]) - seen) / tie.sigma_px)
        for name, points in control.items():
            for p in points:
                seen = np.array(truth.models[name].project(p.lon, p.lat, p.height)) + change[names.index(name)]
                off.append((np.array([p.row, p.col]) - seen) / p.sigma_px)
        return np.concatenate(off)

    found = least_squares(residuals, np.zeros(2 * len(names) + 3 * len(ties)), method="trf", x_scale="jac", xtol=1e-12)
    return found.x[: 2 * len(names)].reshape(-1, 2), found.x[2 * len(names) :].reshape(-1, 3)


def test_least_squares_is_that_of_brute_force(block):
    """Where no observation is so far off that it loses weight."""
    ties = block.ties(50, noise_px=0.0, dem_m=1.0)[:16]
    rng = np.random.default_rng(3)
    around = rng.uniform(0, 2 * np.pi, 99)
    ties = [
        replace(
            tie,
            sigma_px=0.3,
            seen=tuple(
                replace(
                    one, row=one.row + 0.2 * np.sin(around[3 * k + j]), col=one.col + 0.2 * np.cos(around[3 * k + j])
                )
                for j, one in enumerate(tie.seen[:3])
            ),
        )
        for k, tie in enumerate(ties)
    ]
    control = {"b": block.control("b", 3, noise_px=0.5)}
    found = adjust(block.scenes, ties, control=control, bias_sigma_px=7.0, height_sigma_m=2.0)
    assert found.rejected_ties == found.rejected_control == ()
    change, move = brute_force(block, ties, control, 7.0, 2.0)
    told = np.array([(scene.correction.row[0], scene.correction.col[0]) for scene in found.scenes])
    np.testing.assert_allclose(told, change, atol=2e-4)
    np.testing.assert_allclose(found.height, [tie.height for tie in ties] + move[:, 2], atol=2e-3)


def test_control_alone_is_bias_compensation(block):
    points = block.control("c", 12, noise_px=0.3)
    scene = [scene for scene in block.scenes if scene.name == "c"]
    found = adjust(scene, [], control={"c": points}, bias_sigma_px=1e6)
    alone = refine(scene[0].rpc, points)
    np.testing.assert_allclose(found.scenes[0].correction.row, alone.correction.row, atol=1e-6)
    np.testing.assert_allclose(found.scenes[0].correction.col, alone.correction.col, atol=1e-6)
    assert found.scenes[0].sigma_px[0] == pytest.approx(0.3 / np.sqrt(12), rel=0.6)


def test_without_control_the_scenes_agree_and_stay_about_where_they_were(block):
    found = adjust(block.scenes, block.ties(dem_m=3.0), bias_sigma_px=10.0)
    assert all(scene.rmse_px < 0.2 < scene.rmse_before_px for scene in found.scenes)
    assert all(2 < sigma < 10 for scene in found.scenes for sigma in scene.sigma_px), "no control: nobody knows better"
    tight = adjust(block.scenes, block.ties(dem_m=3.0), bias_sigma_px=1e-4)
    assert all(abs(scene.correction.row[0]) < 0.5 for scene in tight.scenes)


def test_free_heights_come_from_the_rays(block):
    """With a DEM that is 60 m off."""
    ties = [replace(tie, height=tie.height + 60) for tie in block.ties(noise_px=0.05)]
    control = {name: block.control(name, noise_px=0.05) for name in PLACES}
    found = adjust(block.scenes, ties, control=control, height_sigma_m=None)
    error = (found.height - [tie.height - 60 for tie in ties])[found.accepted]
    assert np.median(np.abs(error)) < 0.5
    assert off_px(found, block) < 0.05
    held = adjust(block.scenes, ties, control=control, height_sigma_m=30.0)
    assert off_px(held, block) < 0.05


def test_heights_are_held_as_firmly_as_is_said(block):
    ties = block.ties(dem_m=0.05)
    held = adjust(block.scenes, ties, height_sigma_m=1e-4)
    assert np.abs(held.height - [tie.height for tie in ties])[held.accepted].max() < 1e-3


def test_stated_sigmas_that_cannot_be_are_told(block):
    """Control and a DEM 60 m off it that is said to hold to a millimetre: neither can be kept."""
    ties = [replace(tie, height=tie.height + 60) for tie in block.ties()]
    control = {name: block.control(name) for name in PLACES}
    assert adjust(block.scenes, ties, control=control, height_sigma_m=1e-3).unit_sigma > 2
    assert adjust(block.scenes, block.ties(), control=control, height_sigma_m=0.2).unit_sigma < 1.2


@settings(max_examples=5)
@given(seed=st.integers(0, 99))
def test_the_order_of_scenes_and_ties_says_nothing(models, seed):
    rng = np.random.default_rng(seed)
    truth = Truth(models, {name: shift(*rng.normal(0, 5, 2)) for name in models})
    ties = truth.ties(150, seed=seed, wrong=0.1)
    first = adjust(truth.scenes, ties)
    order = rng.permutation(len(ties))
    again = adjust(truth.scenes[::-1], [replace(ties[k], seen=ties[k].seen[::-1]) for k in order])
    assert set(first.rejected_ties) == set(again.rejected_ties)
    for one, other in zip(first.scenes, again.scenes[::-1], strict=True):
        assert one.name == other.name
        assert one.correction.row[0] == pytest.approx(other.correction.row[0], abs=1e-3)
        assert one.correction.col[0] == pytest.approx(other.correction.col[0], abs=1e-3)


def test_parts_that_nothing_joins_are_named(block):
    ties = block.ties()
    apart = [tie for tie in ties if {one.scene for one in tie.seen} in ({"a", "b"}, {"c", "d"})]
    assert len(apart) > 20
    with pytest.raises(SensorModelError, match="nothing joins a, b with c, d; add tie points between them or control"):
        adjust(block.scenes, apart)
    control = {name: block.control(name) for name in ("a", "d")}
    assert off_px(adjust(block.scenes, apart, control=control, height_sigma_m=0.3), block) < 0.1
    with pytest.raises(SensorModelError, match="nothing joins c, d with a, b"):
        adjust(block.scenes, apart, control={"d": control["d"]})
    with pytest.raises(SensorModelError, match="nothing joins a, b, c with d"):
        adjust(block.scenes, [tie for tie in ties if "d" not in {one.scene for one in tie.seen}])


def test_parts_that_only_wrong_ties_join_are_named(block):
    ties = [tie for tie in block.ties() if "d" not in {one.scene for one in tie.seen}]
    ways = np.random.default_rng(0).uniform(0, 2 * np.pi, 4)
    lies = [
        TiePoint(id=f"lie{k}", lon=5.305, lat=44.104, height=500.0,
                 seen=(Sighting(scene="a", row=500 + 90 * np.sin(way), col=500 + 90 * np.cos(way)),
                       Sighting(scene="d", row=500 - 90 * np.sin(way), col=500.0)))
        for k, way in enumerate(ways)
    ]  # fmt: skip
    with pytest.raises(SensorModelError, match="nothing joins a, b, c with d"):
        adjust(block.scenes, [*ties, *lies])


def test_what_cannot_be_adjusted(block):
    ties = block.ties(60)
    with pytest.raises(SensorModelError, match="two scenes are called b"):
        adjust([*block.scenes, block.scenes[1]], ties)
    with pytest.raises(SensorModelError, match=r"tie point t\d+ is of the scene 'a', which is none .*: b, c, d"):
        adjust(block.scenes[1:], ties)
    with pytest.raises(SensorModelError, match="control is of the scene 'x'"):
        adjust(block.scenes, ties, control={"x": []})
    with pytest.raises(SensorModelError, match="neither tie points nor control points"):
        adjust(block.scenes, [])
    one = ties[0].seen[0]
    for seen in ((one,), (one, one), ()):
        with pytest.raises(SensorModelError, match=r"t0: seen by [01] scenes; give two or more"):
            TiePoint(id="t0", seen=seen, lon=5.3, lat=44.1, height=0.0)
    with pytest.raises(SensorModelError, match="not all of it is finite"):
        replace(ties[0], lon=np.nan)


def test_the_summary_says_it_all_in_json(block):
    found = adjust(block.scenes, block.ties(wrong=0.05), control={"a": block.control("a", wrong=2)})
    told = json.loads(json.dumps(found.summary(), allow_nan=False))
    assert list(told["scenes"]) == list(PLACES)
    assert told["rejected_ties"] == list(found.rejected_ties)
    assert told["rejected_control"] == ["a: a0", "a: a1"]
    assert told["scenes"]["a"]["control"] == 18
    assert told["scenes"]["b"]["correction"]["row"] == list(found.scenes[1].correction.row)
