"""Our own objects in a pgstac database: how they come there, and how they are kept up to date.

pgstac itself is installed only into a database that has none. One that another program keeps is that program's to
upgrade.
"""

import secrets
import sys
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache
from importlib.resources import files
from itertools import groupby
from typing import Any

import psycopg

from catalog.errors import CatalogError
from catalog.folding import accenti, casei

VERSION = 1
"""Of ``pgstac_schema.sql``."""

KNOWN_PGSTAC = ("0.9.", "0.10.")
"""Versions of pgstac whose tables these are."""

_LOCK = 0x6F766572
"""Of those who make the schema at the same time, one does."""

_STATE = "overflight.state"

Connection = psycopg.Connection[Any]


def make(dsn: str) -> None:
    """Bring a database to where a catalog can be kept in it; nothing is changed where that is so already.

    Raises
    ------
    CatalogError
        It cannot be reached, has no PostGIS, a pgstac that is not known here, or our schema of a newer program; or it
        does not let us make what is missing.
    """
    try:
        with psycopg.connect(dsn, autocommit=True, connect_timeout=10) as connection:
            _check_server(connection)
            # Held by the session, so that it spans the installation of pgstac, which commits on its own.
            connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
            version = _pgstac_version(connection)
            if version is None:
                _install_pgstac(dsn)
                version = _pgstac_version(connection)
            if version is None or not version.startswith(KNOWN_PGSTAC):
                raise CatalogError(
                    f"catalog: pgstac {version} in database {connection.info.dbname!r} is not known here;"
                    f" bring it to {KNOWN_PGSTAC[-1]}x by pypgstac migrate"
                )
            _make_ours(connection)
    except psycopg.OperationalError as error:
        raise CatalogError(
            f"catalog: {address(dsn)} cannot be reached ({_line(error)}); see OVERFLIGHT_CATALOG"
        ) from None
    except psycopg.errors.InsufficientPrivilege as error:
        raise CatalogError(
            f"catalog: {address(dsn)}: {_line(error)}; the role needs CREATE on the database, and pgstac_admin"
        ) from None
    except psycopg.Error as error:
        raise CatalogError(f"catalog: {address(dsn)}: {_line(error)}") from error


def address(dsn: str) -> str:
    """A database for a person, without what opens it."""
    try:
        parts = psycopg.conninfo.conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        return "the database"
    return f"database {parts.get('dbname', '')!r} at {parts.get('host', 'localhost')}:{parts.get('port', 5432)}"


def _line(error: psycopg.Error) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _check_server(connection: Connection) -> None:
    if connection.info.parameter_status("server_encoding") != "UTF8":
        raise CatalogError("catalog: the database's encoding is not UTF8; make it with ENCODING 'UTF8'")
    row = connection.execute("SELECT installed_version FROM pg_available_extensions WHERE name = 'postgis'").fetchone()
    if row is None:
        raise CatalogError(
            "catalog: PostgreSQL has no PostGIS; install it, as in apt-get install postgresql-15-postgis-3"
        )


def _pgstac_version(connection: Connection) -> str | None:
    there = connection.execute("SELECT to_regproc('pgstac.get_version')").fetchone()
    if there is None or there[0] is None:
        return None
    row = connection.execute("SELECT pgstac.get_version()").fetchone()
    return None if row is None else row[0]


def _install_pgstac(dsn: str) -> None:
    from pypgstac.db import PgstacDB
    from pypgstac.migrate import Migrate

    database = PgstacDB(dsn=dsn)
    try:
        Migrate(database).run_migration()
    finally:
        database.close()


def _make_ours(connection: Connection) -> None:
    """All or nothing; other programs' writes wait until the index over their items is built."""
    wanted = f"{VERSION}/{unicodedata.unidata_version}"
    kept = _kept_version(connection)
    if kept == wanted:
        return
    if kept is not None and int(kept.partition("/")[0]) > VERSION:
        raise CatalogError(
            f"catalog: schema overflight {kept} in database {connection.info.dbname!r} is newer than {VERSION},"
            " which this program knows; use a newer program"
        )
    with connection.transaction():
        connection.execute("SET LOCAL search_path TO pgstac, public")
        # As client and server have it, a statement without parameters may hold many.
        connection.execute(files("catalog").joinpath("pgstac_schema.sql").read_text("utf-8").encode())
        for function in (*_folding_functions(), _TOLERANT_INDEX):
            connection.execute(function.encode())
        if kept is None:
            connection.execute("INSERT INTO overflight.state VALUES (%s, %s)", (wanted, secrets.token_bytes(32)))
        else:
            connection.execute("UPDATE overflight.state SET version = %s", (wanted,))


_TOLERANT_INDEX = """
    DO $$ BEGIN
        IF to_regclass('pgstac.queryable_index_template') IS NOT NULL THEN
            CREATE INDEX IF NOT EXISTS overflight_moment_template ON pgstac.queryable_index_template (
                overflight.moment(datetime, end_datetime, content, private) DESC,
                collection COLLATE "C" DESC, id COLLATE "C" DESC
            );
        END IF;
    END $$
"""
"""pgstac 0.10 drops what its template of a partition lacks, when it is told to drop indexes."""


def _kept_version(connection: Connection) -> str | None:
    """Version of our schema; none where a part of it is gone with a pgstac that was dropped."""
    row = connection.execute(
        "SELECT to_regclass('overflight.state') IS NOT NULL, to_regclass('pgstac.overflight_moment') IS NOT NULL"
    ).fetchone()
    if row is None or not row[0]:
        return None
    version = connection.execute("SELECT version FROM overflight.state").fetchone()
    if version is None:
        return None
    return str(version[0]) if row[1] else "0/"


# --- folding, as Python's tables have it ---


@cache
def _folding_functions() -> tuple[str, ...]:
    """`catalog.folding` for PostgreSQL: the same tables, whatever its own locale knows."""
    return tuple(_written())


def _written() -> Iterator[str]:
    yield _function("casei", _case_folding())
    marks = _class(lambda char: not accenti(char))
    yield _function("accenti", f"""
        IF octet_length(t) = length(t) THEN RETURN t; END IF;
        RETURN normalize(regexp_replace(normalize(t, NFD), '{marks}', '', 'g'), NFC);""")  # fmt: skip
    others = _class(lambda char: not char.isalnum())
    yield _function("words", f"""
        t := btrim(regexp_replace(overflight.casei(t), '{others}+', ' ', 'g'));
        RETURN CASE WHEN t = '' THEN '' ELSE ' ' || t || ' ' END;""")  # fmt: skip
    yield """
        CREATE OR REPLACE FUNCTION overflight.item_words(properties jsonb) RETURNS text
        LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
            SELECT string_agg(overflight.words(one #>> '{}'), '' ORDER BY place) FROM (
                SELECT properties->'title', 0
                UNION ALL SELECT properties->'description', 1
                UNION ALL SELECT keyword, place + 1 FROM jsonb_array_elements(
                    CASE jsonb_typeof(properties->'keywords') WHEN 'array' THEN properties->'keywords' ELSE '[]' END
                ) WITH ORDINALITY AS listed (keyword, place)
            ) AS texts (one, place) WHERE jsonb_typeof(one) = 'string'
        $$"""


def _function(name: str, body: str) -> str:
    return f"""
        CREATE OR REPLACE FUNCTION overflight.{name}(written text) RETURNS text
        LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $body$
        DECLARE
            t text COLLATE "C" := written;
        BEGIN
            {body}
        END $body$"""


def _case_folding() -> str:
    """Block by block, since PostgreSQL's translate tries every pair for every character."""
    changed = [chr(code) for code in _codes() if code > 127 and casei(chr(code)) != chr(code)]
    single = [char for char in changed if len(casei(char)) == 1]
    several = [char for char in changed if len(casei(char)) > 1]
    lines = ["t := lower(t);", "IF octet_length(t) = length(t) THEN RETURN t; END IF;"]
    for block, chars in groupby(single, lambda char: ord(char) >> 8):
        some = "".join(chars)
        span = f"[{_escaped(max(block << 8, 128))}-{_escaped((block << 8) + 255)}]"
        lines.append(f"IF t ~ '{span}' THEN t := translate(t, '{some}', '{casei(some)}'); END IF;")
    replaced = "t"
    for char in several:
        replaced = f"replace({replaced}, '{char}', '{casei(char)}')"
    lines.append(f"IF t ~ '[{''.join(several)}]' THEN t := {replaced}; END IF;")
    return "\n".join([*lines, "RETURN t;"])


def _codes() -> Iterator[int]:
    """Every code point that a text in PostgreSQL can have."""
    yield from range(1, 0xD800)
    yield from range(0xE000, sys.maxunicode + 1)


def _class(wanted: Callable[[str], bool]) -> str:
    """Those characters as a class of a regular expression, in ranges."""
    spans: list[list[int]] = []
    for code in _codes():
        if wanted(chr(code)):
            if spans and spans[-1][1] == code - 1:
                spans[-1][1] = code
            else:
                spans.append([code, code])
    return "[" + "".join(f"{_escaped(first)}-{_escaped(last)}" for first, last in spans) + "]"


def _escaped(code: int) -> str:
    return f"\\U{code:08x}"
