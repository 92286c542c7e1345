"""An accuracy report as JSON, and back; `accuracy.schema.json` beside this file says what stands in it.

The layout has a version: a reader of 1.x reads every 1.y. What was not measured is null.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from functools import lru_cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, get_args, get_origin, get_type_hints

import jsonschema

from processing.accuracy import AccuracyReport
from processing.errors import DeliveryError

VERSION: Final = "1.0"

_MARK: Final = "overflight_accuracy"
"""The member that says what the document is, and in which version."""

_DIGITS: Final = 9
"""Significant ones: a nanometre in a metre is no accuracy, and a document should not differ between two machines."""


@lru_cache(maxsize=1)
def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the document."""
    found: dict[str, Any] = json.loads(Path(__file__).with_name("accuracy.schema.json").read_text(encoding="utf-8"))
    return found


def to_document(report: AccuracyReport) -> dict[str, Any]:
    """The report as what JSON can hold, with the figures that follow from others written out."""
    document = asdict(report)
    document["summary"] = {
        "ce90_m": report.ce90_m,
        "coregistration_nmad_px": report.nmad_px,
        "is_within_limits": report.is_within_limits if report.limits else None,
    }
    for entry, one in zip(document["coregistrations"], report.coregistrations, strict=True):
        entry |= {"nmad_px": one.nmad_px, "nmad_across_px": one.nmad_across_px, "matched_pct": one.matched_pct}
    if report.check_points:
        document["check_points"]["nssda_m"] = report.check_points.nssda_m
    return {_MARK: VERSION, **_plain(document)}


def from_document(document: Any) -> AccuracyReport:  # noqa: ANN401 - whatever JSON gave
    """The report that a document holds.

    Raises
    ------
    DeliveryError
        It is none of these, and where it differs.
    """
    wrong = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema()).iter_errors(document))
    if wrong is not None:
        raise DeliveryError(f"accuracy report: {wrong.json_path}: {wrong.message[:200]}")
    built: AccuracyReport = _built(AccuracyReport, document)
    return built


def write_report(report: AccuracyReport, destination: Path) -> None:
    """Write the document: the same report, the same bytes."""
    destination.write_text(json.dumps(to_document(report), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def read_report(path: Path) -> AccuracyReport:
    """Read one that `write_report` wrote.

    Raises
    ------
    DeliveryError
        It cannot be read, or is no report.
    """
    try:
        return from_document(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise DeliveryError(f"{path.name}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise DeliveryError(f"{path.name}: no JSON ({error})") from None


def _plain(value: Any) -> Any:  # noqa: ANN401 - any field
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value


def _built(kind: Any, document: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a dataclass, and one of it
    """A dataclass of its fields; what the document knows beyond them is left alone."""
    kinds = get_type_hints(kind)
    known = [one.name for one in fields(kind) if one.name in document]
    return kind(**{name: _value(kinds[name], document[name]) for name in known})


def _value(kind: Any, value: Any) -> Any:  # noqa: ANN401 - a type, and what it is built of
    origin = get_origin(kind)
    if value is None:
        return None
    if origin is UnionType:
        return _value(next(one for one in get_args(kind) if one is not NoneType), value)
    if origin is tuple:
        return tuple(_value(get_args(kind)[0], one) for one in value)
    if origin is not None or kind in (str, int):  # a Literal, a mapping of names
        return value
    return float(value) if kind is float else _built(kind, value)
