"""The option --data, and settings from a command's options."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from api.settings import Settings

data_option = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder that holds everything the installation keeps.  [default: ./var]",
)


def settings_of(**given: object) -> "Settings":
    """Settings from the options that were given, then the environment, then the defaults.

    Raises
    ------
    click.UsageError
        One of them is wrong.
    """
    from pydantic import ValidationError

    from api.settings import Settings, explain

    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        raise click.UsageError(explain(error)) from None
