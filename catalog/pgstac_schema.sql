-- What this catalog keeps of its own in a pgstac database: schema overflight, one index and two triggers on pgstac.items.
-- Every statement may run again. Functions of folding are added by pgstac_schema.py, out of Python's Unicode tables.

CREATE SCHEMA IF NOT EXISTS overflight;
GRANT USAGE ON SCHEMA overflight TO PUBLIC;

-- version: of this schema; key: signs tokens.
CREATE TABLE IF NOT EXISTS overflight.state (version text NOT NULL, key bytea NOT NULL);

-- The sum of these, the revision, grows with the collections, their tenants, their spans, and the names of the properties
-- in them, so that who has read these need not read them again. A change is a row of its own: writers never wait here.
CREATE TABLE IF NOT EXISTS overflight.changes (count bigint NOT NULL);

CREATE OR REPLACE FUNCTION overflight.revision() RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce(sum(count), 0)::bigint FROM overflight.changes
$$;

CREATE OR REPLACE FUNCTION overflight.change() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO overflight.changes VALUES (1);
    -- Now and then, and by one at a time, many rows become one of the same sum.
    IF random() < 0.02 AND current_setting('transaction_isolation') = 'read committed' AND pg_try_advisory_xact_lock(1870030194) THEN
        WITH gone AS (DELETE FROM overflight.changes RETURNING count)
        INSERT INTO overflight.changes SELECT sum(count) FROM gone;
    END IF;
END
$$;

-- A collection that only other programs know has no row, or one without a summary. content: digest of pgstac's column,
-- which another program may change; modified: microseconds since 1970.
CREATE TABLE IF NOT EXISTS overflight.collections (
    id text PRIMARY KEY REFERENCES pgstac.collections (id) ON DELETE CASCADE ON UPDATE CASCADE,
    tenant text,
    content text,
    modified bigint,
    summary jsonb
);

-- How far, in microseconds, an item's moment lies behind its start, and its end behind its moment, at most.
CREATE TABLE IF NOT EXISTS overflight.spans (
    collection text PRIMARY KEY,
    lead bigint NOT NULL,
    lag bigint NOT NULL
);
GRANT SELECT ON overflight.spans, overflight.collections, overflight.changes TO PUBLIC;

-- --- moments: microseconds since 1970, and what PostgreSQL makes of them; none of it depends on a session's settings

CREATE OR REPLACE FUNCTION overflight.micros(moment timestamptz) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN moment > '9999-12-31 23:59:59.999999+00' THEN 253402300800000000
        WHEN moment < '0001-01-01 00:00:00+00' THEN -62135596800000001
        ELSE (extract(epoch FROM moment AT TIME ZONE 'UTC') * 1000000)::bigint
    END
$$;

-- Whole days and the rest: PostgreSQL multiplies intervals by doubles.
CREATE OR REPLACE FUNCTION overflight.stamp(us bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (timestamp '1970-01-01' + us / 86400000000 * interval '1 day' + us % 86400000000 * interval '1 microsecond')
        AT TIME ZONE 'UTC'
$$;

-- RFC 3339 with an offset, as catalog.extent.parse_time reads it; NULL where it is none.
CREATE OR REPLACE FUNCTION overflight.instant(written text) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    m text[] := regexp_match(
        written,
        '^([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))$'
    );
    y int := m[1]; mon int := m[2]; d int := m[3]; h int := m[4]; mi int := m[5]; s int := m[6];
    days int;
    us bigint;
BEGIN
    IF m IS NULL OR y < 1 OR mon < 1 OR mon > 12 OR d < 1 OR h > 23 OR mi > 59 OR s > 60 THEN
        RETURN NULL;
    END IF;
    IF m[9]::int > 23 OR m[10]::int > 59 THEN
        RETURN NULL;
    END IF;
    days := CASE
        WHEN mon = 2 THEN CASE WHEN y % 4 = 0 AND (y % 100 <> 0 OR y % 400 = 0) THEN 29 ELSE 28 END
        WHEN mon IN (4, 6, 9, 11) THEN 30
        ELSE 31
    END;
    IF d > days THEN
        RETURN NULL;
    END IF;
    us := ((make_date(y, mon, d) - date '1970-01-01')::bigint * 86400 + h * 3600 + mi * 60 + s) * 1000000
        + rpad(left(coalesce(m[7], '0'), 6), 6, '0')::int;
    IF m[8] IS NOT NULL THEN
        us := us - (m[8] || '1')::int * (m[9]::int * 3600 + m[10]::int * 60)::bigint * 1000000;
    END IF;
    IF us < -62135596800000000 OR us >= 253402300800000000 THEN
        RETURN NULL;
    END IF;
    RETURN us;
END
$$;

-- An item's datetime, else its start. pgstac's column datetime is the start where there are a start and an end; where that
-- is not the moment of an item of ours, it is noted.
CREATE OR REPLACE FUNCTION overflight.moment(datetime timestamptz, end_datetime timestamptz, content jsonb, private jsonb)
RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(
        overflight.stamp((private->'overflight'->>'moment')::bigint),
        CASE WHEN datetime <> end_datetime THEN overflight.stamp(overflight.instant(content->'properties'->>'datetime')) END,
        datetime
    )
$$;

CREATE INDEX IF NOT EXISTS overflight_moment ON pgstac.items (
    overflight.moment(datetime, end_datetime, content, private) DESC, collection COLLATE "C" DESC, id COLLATE "C" DESC
);

-- --- values out of JSON; none of these raises an error, whatever is in the data

-- A number of any size as a double; NULL where that would not be finite.
CREATE OR REPLACE FUNCTION overflight.wide_number(written numeric) RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CASE
        WHEN abs(written) >= 1.797693134862315807e308 THEN NULL
        WHEN abs(written) <= 2.4703282292062327208e-324 THEN 0
        ELSE written::float8
    END
$$;

-- So short a number lies between the smallest and the largest double; PostgreSQL writes it without an exponent.
CREATE OR REPLACE FUNCTION overflight.number(value jsonb) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN jsonb_typeof(value) = 'number' THEN
        CASE WHEN length(value #>> '{}') < 300 THEN (value #>> '{}')::float8
        ELSE overflight.wide_number((value #>> '{}')::numeric) END
    END
$$;

CREATE OR REPLACE FUNCTION overflight.text(value jsonb) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN jsonb_typeof(value) = 'string' THEN value #>> '{}' END
$$;

CREATE OR REPLACE FUNCTION overflight.truth(value jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN jsonb_typeof(value) = 'boolean' THEN value::boolean END
$$;

-- An array of scalars with its numbers as doubles; NULL for anything else.
CREATE OR REPLACE FUNCTION overflight.scalars(value jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN jsonb_typeof(value) = 'array' THEN (
        SELECT CASE WHEN count(*) = count(plain) THEN coalesce(jsonb_agg(plain), '[]') END
        FROM jsonb_array_elements(value) AS element,
        LATERAL (SELECT CASE jsonb_typeof(element)
            WHEN 'number' THEN to_jsonb(overflight.number(element))
            WHEN 'string' THEN element
            WHEN 'boolean' THEN element
        END AS plain) AS one
    ) END
$$;

-- Whether two such arrays have an element in common.
CREATE OR REPLACE FUNCTION overflight.overlap(a jsonb, b jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT EXISTS (
        SELECT FROM jsonb_array_elements(a) AS one JOIN jsonb_array_elements(b) AS other ON one = other
    )
$$;

-- --- arithmetic on doubles as IEEE 754 has it, but for what is not finite: that is NULL

-- The remainder, exactly, of what is written as mantissa times a power of two.
CREATE OR REPLACE FUNCTION overflight.remainder(a float8, b float8) RETURNS float8
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    left_bits bigint := ('x' || encode(float8send(abs(a)), 'hex'))::bit(64)::bigint;
    right_bits bigint := ('x' || encode(float8send(abs(b)), 'hex'))::bit(64)::bigint;
    left_exponent int := greatest(left_bits >> 52, 1);
    right_exponent int := greatest(right_bits >> 52, 1);
    low int := least(left_exponent, right_exponent);
    left_whole numeric := left_bits - ((left_exponent - CASE WHEN left_bits >> 52 = 0 THEN 1 ELSE 0 END)::bigint << 52)
        + CASE WHEN left_bits >> 52 = 0 THEN 0 ELSE 4503599627370496 END;
    right_whole numeric := right_bits - ((right_exponent - CASE WHEN right_bits >> 52 = 0 THEN 1 ELSE 0 END)::bigint << 52)
        + CASE WHEN right_bits >> 52 = 0 THEN 0 ELSE 4503599627370496 END;
    rest numeric;
    scale int := low - 1075;
BEGIN
    IF abs(a) < abs(b) THEN
        RETURN a;
    END IF;
    rest := mod(left_whole * trunc(2::numeric ^ (left_exponent - low)), right_whole * trunc(2::numeric ^ (right_exponent - low)));
    -- A double cannot hold more than 2^1023, and no power below 2^-1074: take the scale in parts that it can.
    WHILE rest > 2::numeric ^ 900 LOOP
        rest := div(rest, trunc(2::numeric ^ 400));
        scale := scale + 400;
    END LOOP;
    IF rest = 0 THEN
        RETURN 0;
    END IF;
    RETURN sign(a) * rest::float8
        * (2::float8 ^ (scale / 2)) * (2::float8 ^ (scale - scale / 2));
END
$$;

CREATE OR REPLACE FUNCTION overflight.arithmetic(op text, a float8, b float8) RETURNS float8
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    size float8; -- of the result: the logarithm of its magnitude, where it may be too large or too small for a double
BEGIN
    CASE op
        WHEN '+', '-' THEN
            IF op = '-' THEN
                b := -b;
            END IF;
            IF greatest(abs(a), abs(b)) > 8e307 AND least(abs(a), abs(b)) > 1
                AND abs(a / 2 + b / 2) >= 8.98846567431158e307 -- 2^1023
            THEN
                RETURN NULL;
            END IF;
            RETURN a + b;
        WHEN '*' THEN
            IF a = 0 OR b = 0 THEN
                RETURN 0;
            END IF;
            size := ln(abs(a)) + ln(abs(b));
            IF abs(size) < 700 THEN
                RETURN a * b;
            END IF;
            BEGIN
                RETURN a * b;
            EXCEPTION WHEN numeric_value_out_of_range THEN
                RETURN CASE WHEN size < 0 THEN 0 END;
            END;
        WHEN '/', 'div' THEN
            IF b = 0 THEN
                RETURN NULL;
            END IF;
            IF a = 0 THEN
                RETURN 0;
            END IF;
            size := ln(abs(a)) - ln(abs(b));
            IF abs(size) < 700 THEN
                RETURN CASE op WHEN 'div' THEN trunc(a / b) ELSE a / b END;
            END IF;
            BEGIN
                RETURN CASE op WHEN 'div' THEN trunc(a / b) ELSE a / b END;
            EXCEPTION WHEN numeric_value_out_of_range THEN
                RETURN CASE WHEN size < 0 THEN 0 END;
            END;
        WHEN '%' THEN
            IF b = 0 THEN
                RETURN NULL;
            END IF;
            IF a = trunc(a) AND b = trunc(b) AND abs(a) < 9007199254740992 AND abs(b) < 9007199254740992 THEN
                RETURN a::bigint % b::bigint;
            END IF;
            RETURN overflight.remainder(a, b);
        WHEN '^' THEN
            IF b = 0 OR a = 1 THEN
                RETURN 1;
            END IF;
            IF a = 0 THEN
                RETURN CASE WHEN b > 0 THEN 0 END;
            END IF;
            IF a < 0 AND b <> trunc(b) THEN
                RETURN NULL;
            END IF;
            size := CASE
                WHEN abs(b) > 1e9 THEN sign(b) * sign(ln(abs(a))) * 1e9
                WHEN abs(b) > 1e-9 THEN b * ln(abs(a))
                ELSE 0
            END;
            IF abs(size) < 700 THEN
                RETURN a ^ b;
            END IF;
            BEGIN
                RETURN a ^ b;
            EXCEPTION WHEN numeric_value_out_of_range THEN
                RETURN CASE WHEN size < 0 THEN 0 END;
            END;
    END CASE;
END
$$;

-- --- what other programs write

-- Who changes an item's document leaves our notes on it behind: pgstac's own upsert keeps the column private.
CREATE OR REPLACE FUNCTION overflight.forget() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.private := nullif(NEW.private - 'overflight', '{}');
    RETURN NEW;
END
$$;

CREATE OR REPLACE TRIGGER overflight_forget BEFORE UPDATE ON pgstac.items FOR EACH ROW
WHEN (
    OLD.private->'overflight' = NEW.private->'overflight'
    AND (OLD.content <> NEW.content OR OLD.geometry::bytea <> NEW.geometry::bytea)
)
EXECUTE FUNCTION overflight.forget();

-- A span that reaches further than every one before it; rounded up, so that it happens seldom.
CREATE OR REPLACE FUNCTION overflight.note_span() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    here bigint := overflight.micros(overflight.moment(NEW.datetime, NEW.end_datetime, NEW.content, NEW.private));
    further_lead bigint := overflight.roundly(here - overflight.micros(NEW.datetime));
    further_lag bigint := overflight.roundly(overflight.micros(NEW.end_datetime) - here);
BEGIN
    PERFORM FROM overflight.spans s
        WHERE s.collection = NEW.collection AND s.lead >= further_lead AND s.lag >= further_lag;
    IF NOT FOUND THEN
        INSERT INTO overflight.spans AS s VALUES (NEW.collection, further_lead, further_lag)
        ON CONFLICT (collection) DO UPDATE
            SET lead = greatest(s.lead, excluded.lead), lag = greatest(s.lag, excluded.lag);
        PERFORM overflight.change();
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION overflight.note_collections() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM overflight.change();
    RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER overflight_note_collections AFTER INSERT OR UPDATE OR DELETE ON pgstac.collections
FOR EACH STATEMENT EXECUTE FUNCTION overflight.note_collections();

-- The next power of two microseconds; 0 for what is not later.
CREATE OR REPLACE FUNCTION overflight.roundly(us bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CASE WHEN us <= 0 THEN 0 ELSE 1::bigint << least(ceil(log(2, us))::int, 60) END
$$;

CREATE OR REPLACE TRIGGER overflight_note_span AFTER INSERT OR UPDATE ON pgstac.items FOR EACH ROW
WHEN (NEW.datetime <> NEW.end_datetime OR (NEW.private->'overflight') ? 'moment')
EXECUTE FUNCTION overflight.note_span();

INSERT INTO overflight.spans AS s
SELECT collection, max(overflight.roundly(here - since)), max(overflight.roundly(until - here))
FROM pgstac.items, LATERAL (
    SELECT overflight.micros(datetime) AS since, overflight.micros(end_datetime) AS until,
        overflight.micros(overflight.moment(datetime, end_datetime, content, private)) AS here
) AS times
WHERE datetime <> end_datetime OR (private->'overflight') ? 'moment'
GROUP BY collection
ON CONFLICT (collection) DO UPDATE
    SET lead = greatest(s.lead, excluded.lead), lag = greatest(s.lag, excluded.lag);
