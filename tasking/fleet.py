"""The fleet: satellites with the history of their element sets, and ground stations; its statements, all of them.

An element set that came in stays: what was planned with an older one can be looked at again. Planning takes the newest.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from tasking.errors import InvalidSatelliteError, UnknownSatelliteError
from tasking.satellite import ElementSet, Satellite
from tasking.satellite_document import description, read_description, read_station, station_document
from tasking.schema import element_sets, satellites, stations
from tasking.station import Station


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptElements:
    """An element set, and when it came in."""

    elements: ElementSet
    added: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What a file of element sets brought."""

    newer: tuple[str, ...]
    """Satellites that have a newer element set now, by id."""

    older: tuple[str, ...]
    """Satellites whose set was there already, or is older than what they fly by; it is kept in the history."""

    foreign: int
    """Sets of satellites that are not in the fleet, left out."""


class Fleet:
    """Satellites and stations in the tables of `tasking.schema`; safe for threads and processes."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._writing = engine.execution_options(writes=True)

    def put(self, fleet: Iterable[Satellite], *, now: datetime) -> None:
        """Add satellites, or describe them anew; an element set is added to what is kept: all or nothing.

        Raises
        ------
        InvalidSatelliteError
            Another satellite has the catalog number.
        """
        with self._writing.begin() as connection:
            for one in fleet:
                row = {"title": one.title, "number": one.elements.number, "description": description(one)}
                holder = sa.select(satellites.c.id).where(satellites.c.number == one.elements.number)
                other = connection.execute(holder.where(satellites.c.id != one.id)).scalar()
                if other is not None:
                    raise InvalidSatelliteError(
                        f"satellite {one.id}: {other} has the catalog number {one.elements.number}; remove it first"
                    )
                connection.execute(self._upsert(satellites, ["id"], {"id": one.id, **row}))
                self._keep(connection, one.id, one.elements, now)

    def update(self, sets: Sequence[ElementSet], *, now: datetime) -> Update:
        """Add element sets to the satellites of their catalog numbers: all or nothing."""
        newer: list[str] = []
        older: list[str] = []
        foreign = 0
        with self._writing.begin() as connection:
            numbers = {
                row.number: row.id for row in connection.execute(sa.select(satellites.c.id, satellites.c.number))
            }
            latest = {row.satellite_id: row.epoch for row in connection.execute(_latest())}
            for elements in sets:
                mine = numbers.get(elements.number)
                if mine is None:
                    foreign += 1
                    continue
                (newer if elements.epoch > latest[mine] else older).append(mine)
                latest[mine] = max(latest[mine], elements.epoch)
                self._keep(connection, mine, elements, now)
        return Update(newer=tuple(newer), older=tuple(older), foreign=foreign)

    def satellites(self) -> tuple[Satellite, ...]:
        """All of them by id, each with its newest element set."""
        latest = _latest().subquery()
        query = (
            sa.select(satellites, element_sets.c.line1, element_sets.c.line2)
            .join(element_sets, element_sets.c.satellite_id == satellites.c.id)
            .join(latest, sa.and_(latest.c.satellite_id == satellites.c.id, latest.c.epoch == element_sets.c.epoch))
            .order_by(satellites.c.id)
        )
        with self._engine.begin() as connection:
            return tuple(_read(row) for row in connection.execute(query))

    def satellite(self, satellite_id: str) -> Satellite:
        """One of them, with its newest element set.

        Raises
        ------
        UnknownSatelliteError
            There is none of that id.
        """
        newest = self.history(satellite_id)[0].elements
        with self._engine.begin() as connection:
            row = connection.execute(sa.select(satellites).where(satellites.c.id == satellite_id)).one_or_none()
        if row is None:
            raise _unknown(satellite_id)
        return _with(row, newest)

    def history(self, satellite_id: str) -> tuple[KeptElements, ...]:
        """All element sets that came in for a satellite, the newest epoch first.

        Raises
        ------
        UnknownSatelliteError
            There is none of that id.
        """
        query = sa.select(element_sets).where(element_sets.c.satellite_id == satellite_id)
        with self._engine.begin() as connection:
            rows = connection.execute(query.order_by(element_sets.c.epoch.desc())).all()
        if not rows:
            raise _unknown(satellite_id)
        return tuple(
            KeptElements(elements=ElementSet(line1=row.line1, line2=row.line2), added=row.added) for row in rows
        )

    def remove(self, satellite_id: str) -> None:
        """Take a satellite out, and its history with it.

        Raises
        ------
        UnknownSatelliteError
            There is none of that id.
        """
        with self._writing.begin() as connection:
            connection.execute(sa.delete(element_sets).where(element_sets.c.satellite_id == satellite_id))
            if connection.execute(sa.delete(satellites).where(satellites.c.id == satellite_id)).rowcount != 1:
                raise _unknown(satellite_id)

    def put_stations(self, given: Iterable[Station]) -> None:
        """Add ground stations, or describe them anew: all or nothing."""
        with self._writing.begin() as connection:
            for one in given:
                row = {"id": one.id, "description": station_document(one)}
                connection.execute(self._upsert(stations, ["id"], row))

    def stations(self) -> tuple[Station, ...]:
        """All of them by id."""
        with self._engine.begin() as connection:
            rows = connection.execute(sa.select(stations).order_by(stations.c.id)).all()
        return tuple(read_station(row.description) for row in rows)

    def _keep(self, connection: sa.Connection, satellite_id: str, elements: ElementSet, now: datetime) -> None:
        """Add an element set; another one of the same epoch is a correction and takes its place."""
        row = {"satellite_id": satellite_id, "epoch": elements.epoch, "line1": elements.line1, "line2": elements.line2}
        connection.execute(self._upsert(element_sets, ["satellite_id", "epoch"], {**row, "added": now}))

    def _upsert(self, table: sa.Table, key: list[str], row: dict[str, Any]) -> Any:  # noqa: ANN401 - two dialects' type
        insert = (sqlite.insert if self._engine.dialect.name == "sqlite" else postgresql.insert)(table).values(row)
        return insert.on_conflict_do_update(
            index_elements=key, set_={name: insert.excluded[name] for name in row if name not in key}
        )


def _latest() -> sa.Select[Any]:
    newest = sa.func.max(element_sets.c.epoch).label("epoch")
    return sa.select(element_sets.c.satellite_id, newest).group_by(element_sets.c.satellite_id)


def _read(row: sa.Row[Any]) -> Satellite:
    return _with(row, ElementSet(line1=row.line1, line2=row.line2))


def _with(row: sa.Row[Any], elements: ElementSet) -> Satellite:
    described = read_description(row.description, f"satellite {row.id}")
    return Satellite(id=row.id, title=row.title, elements=elements, **described)


def _unknown(satellite_id: str) -> UnknownSatelliteError:
    return UnknownSatelliteError(
        f"satellite {satellite_id!r:.80} is not in the fleet; `overflight satellites list` shows who is"
    )
