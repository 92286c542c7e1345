"""Who carries out an attempt: the protocol that every provider answers.

A delivery is a folder that `processing.delivery.read_delivery` reads.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from tasking.order import Attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """Nothing has come yet."""

    check_again: datetime
    """When it makes sense to ask again, UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """The raw scene is here."""

    folder: Path
    """A complete delivery; the provider leaves it in place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The acquisition will not come."""

    reason_code: str
    reason_text: str


class Provider(Protocol):
    """Every command may be repeated: the attempt's id makes the second one a no-op."""

    def task(self, attempt: Attempt) -> None:
        """Command the acquisition; returns once it will survive a restart of this process.

        Raises
        ------
        ProviderError
            The provider refuses it, or cannot be reached now.
        """
        ...

    def poll(self, attempt: Attempt) -> Pending | Delivered | Failed:
        """What has become of it."""
        ...

    def cancel(self, attempt: Attempt) -> None:
        """Call it off; without effect once it is acquired."""
        ...
