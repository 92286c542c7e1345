"""The files that lie beside a raster, found by name whatever its case, and never outside its folder."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from processing.errors import SensorModelError


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder, listed once."""

    path: Path
    names: tuple[str, ...]
    """Of its files and links, sorted."""

    @classmethod
    def of(cls, raster: Path) -> Self:
        """The folder in which a raster lies.

        Raises
        ------
        SensorModelError
            It cannot be listed.
        """
        try:
            with os.scandir(raster.parent) as entries:
                names = tuple(sorted(entry.name for entry in entries if not entry.is_dir(follow_symlinks=False)))
        except OSError as error:
            raise SensorModelError(
                f"{raster.name}: its folder cannot be listed ({error.strerror}); name its sensor model's file"
            ) from None
        return cls(path=raster.parent, names=names)

    def named(self, *names: str) -> list[Path]:
        """The files of these names, in their order, then by case.

        Raises
        ------
        SensorModelError
            One is a link that leads out of the folder.
        """
        return [self._inside(found) for name in names for found in self.names if found.lower() == name.lower()]

    def matching(self, pattern: str) -> list[Path]:
        """The files whose whole name matches a regular expression, whatever the case.

        Raises
        ------
        SensorModelError
            One is a link that leads out of the folder.
        """
        expression = re.compile(pattern, flags=re.IGNORECASE)
        return [self._inside(name) for name in self.names if expression.fullmatch(name)]

    def _inside(self, name: str) -> Path:
        path = self.path / name
        try:
            inside = not path.is_symlink() or path.resolve(strict=True).parent == self.path.resolve()
        except (OSError, RuntimeError):
            inside = False
        if not inside:
            raise SensorModelError(f"{name}: a link that leads out of the folder; put the file itself there")
        return path
