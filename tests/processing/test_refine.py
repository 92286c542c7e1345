"""Bias compensation against known biases, brute force, and GDAL reading the refined model."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod
from rasterio.rpc import RPC
from rasterio.transform import RPCTransformer

from processing.correction import MAX_REFIT_PX, Correction
from processing.errors import SensorModelError
from processing.field import fit_field
from processing.refine import ControlPoint, metres_per_degree, refine
from processing.rpc import Rpc, fit
from processing.vendors import rpc_text
from tests.processing.pushbroom import Pushbroom

TRUE = Correction(row=(3.2, 1.0004, -0.0003), col=(-5.1, 0.0002, 0.9997))
SHIFT = Correction(row=(3.25, 1.0, 0.0), col=(-5.5, 0.0, 1.0))


@pytest.fixture(scope="module")
def rpc() -> Rpc:
    return fit(**Pushbroom(lon=5.3, lat=44.1, rows=4000, cols=3000).points()).rpc


@pytest.fixture(scope="module")
def one(rpc) -> Rpc:
    """With one denominator, as many vendors have it: a correction costs no fit."""
    return replace(rpc, samp_den=rpc.line_den)


def points_of(rpc, correction, *, n=30, noise_px=0.0, seed=0, wrong=0, rows=4000, cols=3000):
    """Points that an image moved by the correction would show; the first `wrong` ones are off by 20 to 60 px."""
    rng = np.random.default_rng(seed)
    row, col, height = rng.uniform(0, rows, n), rng.uniform(0, cols, n), rng.uniform(0, 1400, n)
    lon, lat = rpc.locate(row, col, height)
    row, col = correction.apply(row, col) + rng.normal(0, noise_px, (2, n))
    angle, far = rng.uniform(0, 2 * np.pi, n), np.where(np.arange(n) < wrong, rng.uniform(20, 60, n), 0)
    row, col = row + far * np.sin(angle), col + far * np.cos(angle)
    numbers = {"lon": lon, "lat": lat, "height": height, "row": row, "col": col}
    return [ControlPoint(id=f"g{k}", **{name: float(part[k]) for name, part in numbers.items()}) for k in range(n)]


def off_px(rpc, refined, correction, *, low=0, high=1400):
    """Largest distance between a refined model and the truth, over a grid of the image and heights."""
    row, col, height = (part.ravel() for part in np.meshgrid(
        np.linspace(0, 4000, 9), np.linspace(0, 3000, 9), np.linspace(low, high, 4)))  # fmt: skip
    lon, lat = rpc.locate(row, col, height)
    return float(np.hypot(*np.subtract(refined.project(lon, lat, height), correction.apply(row, col))).max())


@pytest.mark.parametrize(("model", "truth"), [("shift", SHIFT), ("affine", TRUE)])
def test_a_known_bias_is_recovered_with_a_fifth_of_the_points_wrong(rpc, model, truth):
    points = points_of(rpc, truth, n=60, noise_px=0.1, wrong=12)
    refined = refine(rpc, points, model=model)
    assert off_px(rpc, refined.rpc, truth) < (0.05 if model == "shift" else 0.12)
    row, col = np.meshgrid(np.linspace(500, 3500, 5), np.linspace(400, 2600, 5))
    off = np.hypot(*np.subtract(refined.correction.apply(row, col), truth.apply(row, col)))
    assert np.sqrt(np.mean(off**2)) < 0.05
    assert set(refined.rejected) == {f"g{k}" for k in range(12)}
    assert {point.use for point in refined.points[12:]} == {"fitted"}
    assert all(point.held_out_px > 15 for point in refined.points[:12])
    assert refined.rmse_before_px > 5


@pytest.mark.parametrize(("model", "truth"), [("shift", SHIFT), ("affine", TRUE)])
def test_without_noise_it_is_exact(rpc, model, truth):
    refined = refine(rpc, points_of(rpc, truth, n=8, wrong=1), model=model)
    assert off_px(rpc, refined.rpc, truth) < (1e-8 if model == "shift" else MAX_REFIT_PX)
    assert refined.rejected == ("g0",)
    assert refined.rmse_px < 1e-6


@settings(max_examples=15)
@given(rows=st.floats(-50, 50), cols=st.floats(-50, 50), seed=st.integers(0, 99), n=st.integers(1, 9))
def test_a_shift_goes_into_the_offsets_alone(rpc, rows, cols, seed, n):
    truth = Correction(row=(rows, 1.0, 0.0), col=(cols, 0.0, 1.0))
    refined = refine(rpc, points_of(rpc, truth, n=n, seed=seed))
    assert refined.refit_px == 0.0
    assert refined.rpc.line_off == pytest.approx(rpc.line_off + rows, abs=1e-7)
    assert refined.rpc.samp_off == pytest.approx(rpc.samp_off + cols, abs=1e-7)
    assert refined.rpc == replace(rpc, line_off=refined.rpc.line_off, samp_off=refined.rpc.samp_off)
    assert off_px(rpc, refined.rpc, truth) < 1e-6


def test_least_squares_is_that_of_numpy_where_nothing_is_rejected(rpc):
    points = points_of(rpc, TRUE, n=25, noise_px=0.3, seed=3)
    sigma = np.random.default_rng(1).uniform(0.5, 2.0, 25)
    points = [replace(point, sigma_px=float(s)) for point, s in zip(points, sigma, strict=True)]
    refined = refine(rpc, points, model="affine")
    assert refined.rejected == ()
    seen = np.stack(rpc.project(*np.array([(p.lon, p.lat, p.height) for p in points]).T), axis=1)
    design = np.hstack([np.ones((25, 1)), seen]) / sigma[:, None]
    for axis in ("row", "col"):
        target = np.array([getattr(point, axis) for point in points]) / sigma
        expected = np.linalg.lstsq(design, target, rcond=None)[0]
        np.testing.assert_allclose(getattr(refined.correction, axis), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("model", ["shift", "affine"])
def test_leave_one_out_is_what_leaving_one_out_gives(one, model):
    rpc = one
    points = points_of(rpc, TRUE, n=9, noise_px=0.4, seed=8)
    refined = refine(rpc, points, model=model)
    assert refined.rejected == ()
    geod = Geod(ellps="WGS84")
    for k, point in enumerate(points):
        others = refine(rpc, points[:k] + points[k + 1 :], model=model)
        assert others.rejected == ()
        row, col = others.correction.apply(*rpc.project(point.lon, point.lat, point.height))
        held_out = np.hypot(point.row - row, point.col - col)
        assert refined.points[k].held_out_px == pytest.approx(held_out, rel=1e-6)
        lon, lat = others.rpc.locate(point.row, point.col, point.height)
        metres = geod.inv(lon, lat, point.lon, point.lat)[2]
        assert refined.points[k].held_out_m == pytest.approx(metres, rel=2e-3)  # ± height / radius of the Earth
    px = [point.held_out_px for point in refined.points]
    assert refined.rmse_px == pytest.approx(np.sqrt(np.mean(np.square(px))))
    assert refined.ce90_m == max(point.held_out_m for point in refined.points)  # nine of nine, eight are too few


@pytest.mark.parametrize("model", ["shift", "affine"])
def test_the_error_told_is_the_one_that_fresh_points_find(one, model):
    """Over many small sets of points; residuals of the fit itself would promise less."""
    told, found, fitted = [], [], []
    truth = TRUE if model == "affine" else SHIFT
    for seed in range(100):
        refined = refine(one, points_of(one, truth, n=10, noise_px=0.5, seed=seed), model=model)
        fresh = points_of(one, truth, n=40, noise_px=0.5, seed=1000 + seed)
        lon, lat, height, row, col = np.array([(p.lon, p.lat, p.height, p.row, p.col) for p in fresh]).T
        modelled = np.stack(refined.rpc.project(lon, lat, height))
        found.append(np.hypot(*(modelled - [row, col])) ** 2)
        told.append(refined.rmse_px**2)
        fitted.append(np.mean([point.row_px**2 + point.col_px**2 for point in refined.points]))
    found, told, fitted = (np.sqrt(np.mean(part)) for part in (found, told, fitted))
    assert told == pytest.approx(found, rel=0.12)
    assert fitted < (0.97 if model == "shift" else 0.85) * found


def test_ce90_holds_for_nine_of_ten_fresh_points(rpc):
    refined = refine(rpc, points_of(rpc, TRUE, n=400, noise_px=0.5, seed=1), model="affine")
    fresh = points_of(rpc, TRUE, n=4000, noise_px=0.5, seed=2)
    lon, lat, height, row, col = np.array([(p.lon, p.lat, p.height, p.row, p.col) for p in fresh]).T
    x, y = refined.rpc.locate(row, col, height)
    metres = Geod(ellps="WGS84").inv(x, y, lon, lat)[2]
    assert np.mean(metres <= refined.ce90_m) == pytest.approx(0.9, abs=0.02)
    assert refined.rmse_m == pytest.approx(np.sqrt(np.mean(metres**2)), rel=0.05)


def test_given_points_judge_and_are_not_fitted(rpc):
    points = points_of(rpc, SHIFT, n=12, noise_px=0.1)
    moved = [replace(point, row=point.row + 4.0) for point in points[8:]]
    refined = refine(rpc, points[:8] + moved, check=[point.id for point in moved])
    assert refined.check == "points"
    assert [point.use for point in refined.points] == ["fitted"] * 8 + ["check"] * 4
    assert refined.correction == refine(rpc, points[:8]).correction
    assert refined.rmse_px == pytest.approx(4.0, abs=0.3)
    assert refined.ce90_m == max(point.held_out_m for point in refined.points[8:])


def test_a_linear_change_of_one_denominator_goes_in_exactly(rpc):
    same = replace(rpc, samp_den=rpc.line_den)
    for model, correction in (
        (same, TRUE),
        (rpc, Correction(row=(1.0, 1.01, 0.0), col=(2.0, 0.0, 0.98))),  # each coordinate by itself
        (same, Correction(row=(9.0, 0.0, 1.0), col=(3.0, -1.0, 0.0))),  # a quarter turn
    ):
        folded, error = correction.folded(model)
        assert error == 0.0
        assert off_px(model, folded, correction) < 1e-7


@settings(max_examples=8)
@given(slopes=st.lists(st.floats(-2e-3, 2e-3), min_size=4, max_size=4), lat=st.sampled_from([44.1, -67.0]))
def test_any_other_is_refitted_and_the_error_told_is_not_too_small(slopes, lat):
    rpc = fit(**Pushbroom(lon=179.99, lat=lat, rows=4000, cols=3000).points()).rpc
    rpc = replace(rpc, line_den=rpc.line_den + np.eye(20)[1] * 3e-3, samp_den=rpc.samp_den - np.eye(20)[2] * 2e-3)
    a1, a2, b1, b2 = slopes
    correction = Correction(row=(1.0, 1 + a1, a2), col=(2.0, b1, 1 + b2))
    folded, error = correction.folded(rpc)
    assert error < MAX_REFIT_PX
    assert off_px(rpc, folded, correction) <= max(1.5 * error, 1e-7)


def test_a_change_that_no_rpc_can_stand_for_is_refused(rpc):
    # Denominators that use all their freedom, and rows that become columns.
    wild = np.random.default_rng(5).normal(0, 0.01, (2, 20))
    bent = replace(rpc, line_den=rpc.line_den + wild[0], samp_den=rpc.samp_den + wild[1])
    with pytest.raises(SensorModelError, match=r"the RPC fitted to it is .* px off, more than 0.001"):
        Correction(row=(0.0, 0.7, 0.7), col=(0.0, -0.7, 0.7)).folded(bent)
    with pytest.raises(SensorModelError, match="turns the image over"):
        Correction(row=(0.0, 0.0, 1.0), col=(0.0, 1.0, 0.0)).folded(rpc)


@pytest.mark.parametrize(("model", "truth"), [("shift", SHIFT), ("affine", TRUE)])
def test_gdal_reads_the_refined_model_and_meets_the_points(rpc, tmp_path, model, truth):
    points = points_of(rpc, truth, n=20)
    refined = refine(rpc, points, model=model).rpc
    rpc_text.write(refined, tmp_path / "scene_RPC.TXT")
    assert rpc_text.read(tmp_path / "scene_RPC.TXT") == refined
    theirs = RPC(
        height_off=refined.height_off, height_scale=refined.height_scale, lat_off=refined.lat_off,
        lat_scale=refined.lat_scale, long_off=refined.lon_off, long_scale=refined.lon_scale,
        line_off=refined.line_off, line_scale=refined.line_scale, samp_off=refined.samp_off,
        samp_scale=refined.samp_scale, line_num_coeff=refined.line_num.tolist(),
        line_den_coeff=refined.line_den.tolist(), samp_num_coeff=refined.samp_num.tolist(),
        samp_den_coeff=refined.samp_den.tolist(),
    )  # fmt: skip
    with RPCTransformer(theirs) as transformer:
        lon, lat, height, row, col = np.array([(p.lon, p.lat, p.height, p.row, p.col) for p in points]).T
        rows, cols = transformer.rowcol(lon, lat, zs=height, op=lambda value: value)
    assert np.abs(np.array(rows) - 0.5 - row).max() < 2 * MAX_REFIT_PX  # GDAL counts from the corner
    assert np.abs(np.array(cols) - 0.5 - col).max() < 2 * MAX_REFIT_PX


@pytest.mark.parametrize(("model", "need"), [("shift", 1), ("affine", 3)])
def test_with_the_fewest_points_nothing_is_said_of_the_quality(rpc, model, need):
    points = points_of(rpc, SHIFT, n=need)
    refined = refine(rpc, points, model=model)
    assert (refined.rmse_px, refined.rmse_m, refined.ce90_m) == (None, None, None)
    assert off_px(rpc, refined.rpc, SHIFT) < 2e-3
    told = json.loads(json.dumps(refined.summary(), allow_nan=False))
    assert told["ce90_m"] is None
    assert told["points"] == {"fitted": need, "check": 0, "rejected": 0}
    with pytest.raises(SensorModelError, match=rf"{need - 1} points; the model '{model}' needs {need} or more"):
        refine(rpc, points[:-1], model=model)
    with pytest.raises(SensorModelError, match=f"{need - 1} points"):
        refine(rpc, points, model=model, check=[points[0].id])


def test_four_points_are_too_few_to_find_the_wrong_one(rpc):
    """An affine change meets any three: rejecting the fourth would be a guess."""
    assert refine(rpc, points_of(rpc, TRUE, n=4, noise_px=1.0), model="affine").rejected == ()


def test_points_on_one_line(rpc):
    points = points_of(rpc, SHIFT, n=6)
    line = []
    for k, point in enumerate(points):
        row, col = 500.0 + 400 * k, 300.0 + 350 * k + (0.5 if k == 3 else 0)
        lon, lat = rpc.locate(row, col, point.height)
        line.append(replace(point, lon=float(lon), lat=float(lat), row=row, col=col))
    with pytest.raises(
        SensorModelError, match=r"6 points, all about on one line of the image; .* needs 3 or more that"
    ):
        refine(rpc, line, model="affine")
    assert refine(rpc, line).correction.apply(0.0, 0.0) == pytest.approx((0.0, -0.083), abs=0.1)


def test_points_that_do_not_fit_the_scene(rpc):
    points = points_of(rpc, SHIFT, n=3)
    swapped = [replace(point, lon=point.lat, lat=point.lon) for point in points]
    with pytest.raises(
        SensorModelError, match=r"g0: lon 44\.\d+, lat 5\.\d+ is far from the scene \(3 of 3 points are\)"
    ):
        refine(rpc, swapped)
    with pytest.raises(SensorModelError, match="control point g1 comes twice"):
        refine(rpc, [*points, points[1]])
    with pytest.raises(SensorModelError, match="no control point x9 to check by"):
        refine(rpc, points, check=["g1", "x9"])
    with pytest.raises(SensorModelError, match="control point g0: lat is"):
        replace(points[0], lat=90.5)
    with pytest.raises(SensorModelError, match="control point g0: height is nan"):
        replace(points[0], height=np.nan)


def test_the_summary_says_it_all_in_json(rpc):
    refined = refine(rpc, points_of(rpc, SHIFT, n=10, noise_px=0.1, wrong=2))
    told = json.loads(json.dumps(refined.summary(), allow_nan=False))
    assert told["model"] == "shift"
    assert told["points"] == {"fitted": 8, "check": 0, "rejected": 2}
    assert told["rejected"] == ["g0", "g1"]
    assert told["check"] == "leave-one-out"
    assert told["correction"]["row"] == list(refined.correction.row)
    assert 0 < told["rmse_px"] < 0.3
    assert told["ce90_m"] == refined.ce90_m


@pytest.mark.parametrize("share", [0.2, 0.45])
@pytest.mark.parametrize("alike", [True, False])
def test_mistakes_to_one_side_do_not_lead_astray(share, alike):
    """They pull least squares, not the start that it is given."""
    rng = np.random.default_rng(9)
    place = rng.uniform(0, 1000, (100, 2))
    change = np.stack([2 + 0.01 * place[:, 0], -1 + 0.02 * place[:, 1]], axis=1) + rng.normal(0, 0.1, (100, 2))
    wrong = np.arange(100) < 100 * share
    change[wrong] += (7.0, 9.0) if alike else rng.uniform(20, 200, (int(wrong.sum()), 2))
    field = fit_field(place, change, model="affine", sigma=np.ones(100))
    assert (field.accepted == ~wrong).mean() > 0.97
    assert not field.accepted[wrong].any()
    correction = field.correction()
    np.testing.assert_allclose(correction.row, (2, 1.01, 0), atol=0.08)
    np.testing.assert_allclose(correction.col, (-1, 0, 1.02), atol=0.08)


@pytest.mark.parametrize("lat", [-80.0, 0.0, 44.1])
def test_metres_per_degree_are_those_of_geodesics(lat):
    geod = Geod(ellps="WGS84")
    east, north = metres_per_degree(np.array(lat), np.array(0.0))
    assert east * 1e-3 == pytest.approx(geod.inv(5, lat, 5.001, lat)[2], rel=1e-6)
    assert north * 1e-3 == pytest.approx(geod.inv(5, lat - 5e-4, 5, lat + 5e-4)[2], rel=1e-6)
