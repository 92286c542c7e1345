"""The report as JSON and back, against its published schema."""

import json
from dataclasses import fields, is_dataclass, replace

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processing import accuracy
from processing.accuracy import (
    AccuracyReport,
    CheckPointError,
    CheckPoints,
    Coregistration,
    HeightSource,
    RefinementFigures,
    SensorFit,
    Vector,
)
from processing.accuracy_document import from_document, read_report, schema, to_document, write_report
from processing.error_statistics import PlanarErrors
from processing.errors import DeliveryError

NUMBERS = st.floats(-1e4, 1e4).map(lambda value: float(f"{value:.9g}"))
SHARES = st.floats(0, 100).map(lambda value: float(f"{value:.9g}"))
POSITIVE = st.floats(1e-3, 1e4).map(lambda value: float(f"{value:.9g}"))


def rounded(errors):
    """As it comes back: nine digits."""
    return replace(
        errors,
        **{
            one.name: float(f"{value:.9g}")
            for one in fields(errors)
            if isinstance(value := getattr(errors, one.name), float)
        },
    )


ERRORS = st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=5).map(
    lambda pairs: rounded(PlanarErrors.of(*zip(*pairs, strict=True)))
)
NAMES = st.text(min_size=1, max_size=12)
MAYBE = st.none() | POSITIVE
POINTS = st.builds(
    CheckPointError, id=NAMES, lon=st.floats(-180, 180).map(lambda v: float(f"{v:.9g}")), lat=st.just(44.25),
    row_px=NUMBERS, col_px=NUMBERS, model_east_m=NUMBERS, model_north_m=NUMBERS, product_east_m=st.none() | NUMBERS,
    product_north_m=st.none() | NUMBERS, dem_m=st.none() | NUMBERS,
)  # fmt: skip
REPORTS = st.builds(
    AccuracyReport,
    product=NAMES,
    crs=st.just("EPSG:32631"),
    resolution_m=POSITIVE,
    sensor_fits=st.lists(st.builds(SensorFit, raster=NAMES, rms_px=POSITIVE, max_px=MAYBE), max_size=2).map(tuple),
    refinement=st.none()
    | st.builds(
        RefinementFigures, model=st.sampled_from(["shift", "affine"]), fitted=st.integers(1, 99),
        rejected=st.integers(0, 9), check=st.sampled_from(["points", "leave-one-out"]), rmse_before_px=POSITIVE,
        rmse_px=MAYBE, rmse_m=MAYBE, ce90_m=MAYBE,
    ),
    heights=st.none() | st.builds(HeightSource, dem=NAMES, vertical_datum=NAMES, geoid=st.none() | NAMES),
    occluded_pct=st.none() | SHARES,
    check_points=st.none()
    | st.builds(
        CheckPoints, source=NAMES, points=st.lists(POINTS, max_size=3).map(tuple), rmse_px=POSITIVE, model=ERRORS,
        product=st.none() | ERRORS, dem_median_m=st.none() | NUMBERS, dem_nmad_m=MAYBE, dem_rmse_m=MAYBE,
    ),
    coregistrations=st.lists(
        st.builds(
            Coregistration, against=NAMES, resolution_m=POSITIVE, window_px=st.integers(16, 64),
            windows=st.integers(9, 99), outliers=st.integers(0, 9), errors=st.none() | ERRORS,
            vectors=st.lists(
                st.builds(Vector, lon=st.just(5.5), lat=st.just(-44.0), east_m=NUMBERS, north_m=NUMBERS), max_size=3
            ).map(tuple),
        ),
        max_size=2,
    ).map(tuple),
    software=st.dictionaries(NAMES, NAMES, max_size=2),
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(REPORTS, MAYBE, MAYBE)
def test_there_and_back(report, nmad_px, ce90_m):
    report = report.judged(max_nmad_px=nmad_px, max_ce90_m=ce90_m)
    report = replace(report, limits=tuple(
        one if one.value is None else replace(one, value=float(f"{one.value:.9g}")) for one in report.limits
    ))  # fmt: skip
    document = to_document(report)
    jsonschema.Draft202012Validator(schema()).validate(document)
    assert from_document(json.loads(json.dumps(document, allow_nan=False))) == report


def test_the_schema_is_one_and_names_every_field():
    jsonschema.Draft202012Validator.check_schema(schema())
    kinds = {
        name: kind for name, kind in vars(accuracy).items() if isinstance(kind, type) and is_dataclass(kind)
    }  # fmt: skip
    kinds.pop("Refinement", None)
    described = schema()["$defs"] | {"AccuracyReport": schema()}
    for name, kind in kinds.items():
        assert {one.name for one in fields(kind)} <= set(described[name]["properties"]), name


def small():
    return AccuracyReport(product="a", crs="EPSG:32631", resolution_m=0.5)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"overflight_accuracy": "2.0"}, "overflight_accuracy"),
        ({"resolution_m": 0}, "resolution_m"),
        ({"resolution_m": None}, "resolution_m"),
        ({"occluded_pct": 101}, "occluded_pct"),
        ({"coregistrations": [{"against": 4}]}, "coregistrations"),
        ({"heights": {"dem": "x"}}, "heights"),
        ({"product": 3}, "product"),
    ],
)
def test_what_is_no_report(change, told):
    with pytest.raises(DeliveryError, match=told):
        from_document(to_document(small()) | change)


def test_a_later_minor_version_is_read():
    document = to_document(small()) | {"overflight_accuracy": "1.7", "something_new": [1]}
    assert from_document(document) == small()


def test_files(tmp_path):
    path = tmp_path / "a.json"
    write_report(small(), path)
    first = path.read_bytes()
    assert read_report(path) == small()
    write_report(small(), path)
    assert path.read_bytes() == first
    path.write_text("{", encoding="utf-8")
    with pytest.raises(DeliveryError, match=r"a.json: no JSON"):
        read_report(path)
    with pytest.raises(DeliveryError, match=r"b.json: cannot be read"):
        read_report(tmp_path / "b.json")


def agreement(nmad_m):
    errors = PlanarErrors.of([-nmad_m / 1.4826, 0.0, nmad_m / 1.4826], [0.0, 0.0, 0.0])
    return Coregistration(
        against="b", resolution_m=0.5, window_px=48, windows=9, outliers=0, vectors=(), errors=errors
    )  # fmt: skip


def test_limits():
    report = replace(small(), coregistrations=(agreement(0.1), agreement(0.3)))
    assert report.nmad_px == pytest.approx(0.6), "the worse of the two"
    assert report.judged().is_within_limits
    assert report.judged(max_nmad_px=0.7).is_within_limits
    assert not report.judged(max_nmad_px=0.5).is_within_limits
    assert not report.judged(max_nmad_px=0.7, max_ce90_m=5.0).is_within_limits, "what was not measured is not met"
    summary = to_document(report.judged(max_nmad_px=0.5))["summary"]
    assert summary == {"ce90_m": None, "coregistration_nmad_px": pytest.approx(0.6), "is_within_limits": False}
    assert to_document(small())["summary"]["is_within_limits"] is None


def test_nssda_needs_twenty_points():
    """Table values of FGDC-STD-007.3-1998, appendix 3-B: RMSE 1 m is 1.7308 m at 95 %."""

    def checks(count):
        return CheckPoints(
            source="p.csv", points=(), rmse_px=1.0, model=PlanarErrors.of([1.0] * count, [0.0] * count), product=None,
            dem_median_m=None, dem_nmad_m=None, dem_rmse_m=None,
        )  # fmt: skip

    assert checks(19).nssda_m is None
    assert checks(20).nssda_m == pytest.approx(1.7308)
