"""What is known of an item that is put into a catalog: its document, and its shape as it was drawn."""

import re
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from catalog.geometry import mend_geometry
from tests.catalog.documents import Drawn

TIMES = ("datetime", "start_datetime", "end_datetime")
CORE = {"id", "collection", *TIMES}


@dataclass(frozen=True)
class Known:
    """An item as it was put, and its shape as it was drawn."""

    document: dict
    drawn: Drawn | None

    @property
    def name(self):
        return self.document["collection"], self.document["id"]

    @property
    def properties(self):
        return self.document["properties"]

    @cached_property
    def shape(self):
        """In longitude and latitude, cut at the antimeridian."""
        return None if self.drawn is None else mend_geometry(self.document["geometry"])

    @cached_property
    def times(self):
        """Moment, first and last; microseconds since 1970."""
        moment, start, end = (
            microseconds(self.properties.get(name)) for name in ("datetime", "start_datetime", "end_datetime")
        )
        if start is not None and end is not None:
            return (start if moment is None else moment), start, end
        return moment, moment, moment

    def value(self, name):
        """A property, or what is an item's own whatever its properties say."""
        if name in TIMES:
            return dict(zip(TIMES, self.times, strict=True))[name]
        return self.document[name] if name in CORE else self.properties.get(name)

    def touches(self, place):
        """On the globe; unknown where there is no shape."""
        return None if self.drawn is None else self.drawn.touches(Drawn(place))


RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))", flags=re.ASCII
)


def microseconds(text):
    """Since 1970; None where text is no RFC 3339 date-time of the years 1 to 9999."""
    found = RFC3339.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    fraction, sign, east_h, east_min = found.groups()[6:]
    try:
        days = date(year, month, day).toordinal() - date(1970, 1, 1).toordinal()
    except ValueError:
        return None
    if hour > 23 or minute > 59 or second > 60 or int(east_h or 0) > 23 or int(east_min or 0) > 59:
        return None
    offset = (int(east_h or 0) * 60 + int(east_min or 0)) * (-1 if sign == "-" else 1)
    seconds = days * 86400 + hour * 3600 + (minute - offset) * 60 + second
    return seconds * 1_000_000 + int((fraction or "0")[:6].ljust(6, "0")) if YEARS[0] <= seconds < YEARS[1] else None


YEARS = tuple((date(1, 1, 1).toordinal() - date(1970, 1, 1).toordinal() + days) * 86400 for days in (0, 3652059))
