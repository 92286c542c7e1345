"""The fields extension: which members of an Item a client wants (STAC API – Fields 1.0)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from catalog.errors import InvalidSearchError

OF_COLLECTION = ("type", "id", "description", "license", "extent", "links")
"""What a Collection has beside what was asked for."""

OF_ITEM = ("type", "stac_version", "id", "collection")
"""What an Item has beside what was asked for: what it is, and which."""

DEFAULT = ("type", "stac_version", "id", "collection", "geometry", "bbox", "links", "assets", "properties.datetime")
"""What an Item has where a client says that it includes nothing, and what to leave out."""

MAX_FIELDS = 200

_CORE = frozenset({"type", "stac_version", "stac_extensions", "id", "collection", "geometry", "bbox", "links", "assets",
                   "properties"})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fields:
    """Paths of members, as ``properties.eo:cloud_cover`` or ``assets``."""

    include: tuple[str, ...]
    exclude: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.include) + len(self.exclude) > MAX_FIELDS:
            raise InvalidSearchError(f"fields: more than {MAX_FIELDS} of them")

    @classmethod
    def of(cls, include: Iterable[str] | None, exclude: Iterable[str]) -> "Fields | None":
        """None where nothing is asked for; a property may be named without its ``properties.``.

        To include nothing, unlike to say nothing of it, leaves what an Item has by `DEFAULT`.
        """
        wanted, unwanted = tuple(map(_path, include or ())), tuple(map(_path, exclude))
        if include is not None and not wanted and unwanted:
            return cls(DEFAULT, unwanted)
        return cls(wanted, unwanted) if wanted or unwanted else None

    @classmethod
    def parse(cls, text: str) -> "Fields | None":
        """Read ``id,properties.gsd,-geometry``."""
        names = [name.strip() for name in text.split(",") if name.strip()]
        wanted = [name.removeprefix("+") for name in names if not name.startswith("-")]
        return cls.of(wanted or None, [name.removeprefix("-") for name in names if name.startswith("-")])

    def of_item(self, body: bytes) -> bytes:
        """An Item with these members only."""
        return orjson.dumps(self._of(orjson.loads(body), OF_ITEM))

    def of_collection(self, body: bytes) -> bytes:
        """A Collection with these members only."""
        return orjson.dumps(self._of(orjson.loads(body), OF_COLLECTION))

    def _of(self, document: dict[str, Any], always: Iterable[str]) -> dict[str, Any]:
        if self.include:
            chosen: dict[str, Any] = {}
            for path in (*always, *self.include):
                _copy(document, chosen, path.split("."))
            document = chosen
        for path in self.exclude:
            # What is included wins; of what is not, nothing is there.
            if path in OF_ITEM:
                continue
            if not any(one == path or one.startswith(f"{path}.") for one in self.include) or self.include == DEFAULT:
                _remove(document, path.split("."))
        return document


def _path(name: str) -> str:
    if not isinstance(name, str) or not name.isprintable():
        raise InvalidSearchError(f"fields: {name!r:.60} is no name")
    return name if name.partition(".")[0] in _CORE or ":" not in name else f"properties.{name}"


def _copy(source: Mapping[str, Any], target: dict[str, Any], path: list[str]) -> None:
    """Take one member over, if it is there; a name may hold dots itself."""
    whole = ".".join(path)
    if whole in source:
        if not isinstance(target.get(whole), dict):
            target[whole] = source[whole]
        elif isinstance(source[whole], dict):
            target[whole] = {**source[whole]}
        return
    inner = source.get(path[0])
    if len(path) > 1 and isinstance(inner, dict):
        held = target.get(path[0])
        made = dict(held) if isinstance(held, dict) else {}
        _copy(inner, made, path[1:])
        target[path[0]] = made


def _remove(target: dict[str, Any], path: list[str]) -> None:
    whole = ".".join(path)
    if whole in target:
        del target[whole]
    elif len(path) > 1 and isinstance(target.get(path[0]), dict):
        target[path[0]] = dict(target[path[0]])
        _remove(target[path[0]], path[1:])
