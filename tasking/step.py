"""Steps of durable work, and what the end of one does: values only, recorded by `tasking.store` in one transaction."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from catalog.extent import Footprint
from tasking.order import Attempt, AttemptStatus, Order, StatusChange


class StepKind(StrEnum):
    """What there is to do; `tasking.worker` does it."""

    PLAN = "plan"
    """Judge the order, look for passes, plan attempts for what is not covered."""

    TASK = "task"
    """Command an attempt at its provider."""

    COLLECT = "collect"
    """Ask the provider for an attempt's delivery."""

    PRODUCE = "produce"
    """Make the item of a delivered attempt and publish it."""

    EXPIRE = "expire"
    """End the order after its window."""

    INGEST = "ingest"
    """Make the item of a delivery that nobody ordered here and publish it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewStep:
    """A step to be recorded."""

    kind: StepKind

    key: str
    """Unique among all steps ever: the same work is recorded once."""

    due: datetime
    """Not before, UTC."""

    order_id: str | None = None
    attempt_id: str | None = None

    payload: Mapping[str, Any] = field(default_factory=dict)
    """What else the work needs, as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step as it stands; a claimed one belongs to its owner until `due`."""

    id: int
    kind: StepKind
    key: str
    order_id: str | None
    attempt_id: str | None
    payload: Mapping[str, Any]

    due: datetime
    """When it may be claimed, UTC; while somebody owns it, the end of the lease."""

    owner: str | None
    """Token of the worker that holds it."""

    claims: int
    """How often it was claimed: with the owner it names one claim, so that a lost one is told from a renewed one."""

    tries: int
    """Claims since it last came forward."""

    error: str | None
    """What went wrong the last time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dossier:
    """Everything that a decision about an order rests on, read at one moment."""

    order: Order

    version: int
    """Counts the order's changes; what is decided here is recorded only if it is still the same."""

    attempts: tuple[Attempt, ...]
    """By running number."""

    covered: Footprint | None
    """What of the order's area is in the catalog; None while nothing is."""

    last: StatusChange
    """The newest line of the history."""

    def attempt(self, attempt_id: str) -> Attempt:
        """The attempt of that id; KeyError when it is not this order's."""
        return next(a for a in self.attempts if a.id == attempt_id)

    def in_flight(self) -> tuple[Attempt, ...]:
        """The attempts that may still bring something."""
        return tuple(attempt for attempt in self.attempts if attempt.status in IN_FLIGHT)


IN_FLIGHT = (AttemptStatus.PLANNED, AttemptStatus.TASKED, AttemptStatus.DELIVERED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """A part of an order's area that an attempt brought into the catalog."""

    attempt_id: str
    area: Footprint


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What satellites are committed to."""

    acquisitions: tuple[tuple[str, datetime, datetime, float], ...]
    """Satellite's id, start, end (UTC), off-nadir angle in degrees."""

    versions: Mapping[str, int]
    """Counts each satellite's plans; a plan made on this schedule is recorded only if they are still the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a decision does to an order, its attempts and the work still to do."""

    changes: tuple[StatusChange, ...] = ()
    """New lines of the history, oldest first; the last one's status becomes the order's.

    A line with the same status as the one before is a remark: the state stays, its reason is new.
    """

    planned: tuple[Attempt, ...] = ()
    """New attempts."""

    versions: Mapping[str, int] = field(default_factory=dict)
    """`Schedule.versions` of the satellites of the new attempts."""

    attempts: tuple[Attempt, ...] = ()
    """Known attempts as they are from now on."""

    credit: Credit | None = None
    """Area gained."""

    steps: tuple[NewStep, ...] = ()
    """What is to be done next."""

    again: datetime | None = None
    """When this same step is due again; None when it is done."""
