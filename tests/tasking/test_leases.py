"""A state machine over the store: whoever claims, stalls, dies or comes late, a step is one owner's and ends once."""

import itertools
import shutil
import tempfile
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from shapely import box

from catalog.extent import Footprint, TimeWindow
from tasking.errors import ConflictError, IllegalTransitionError, LeaseLostError
from tasking.order import TRANSITIONS, Constraints, Order, OrderStatus, StatusChange
from tasking.step import Dossier, NewStep, Outcome, Step, StepKind
from tasking.store import MAX_TRIES, Store

LEASE = timedelta(seconds=10)
OWNERS = st.sampled_from(["a", "b"])
SECONDS = st.sampled_from([0, 4, 11]).map(lambda seconds: timedelta(seconds=seconds))
STATES = st.sampled_from(OrderStatus) | st.sampled_from([OrderStatus.ACCEPTED, OrderStatus.SCHEDULED])
NUMBERS = st.integers(1, 2)


@dataclass
class Known:
    """What the model knows of a step."""

    due: datetime
    state: str = "open"
    owner: str | None = None
    claims: int = 0
    tries: int = 0


class Leases(RuleBasedStateMachine):
    migrated: Path

    claims = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        shutil.copy(self.migrated, self.folder / "tasking.db")
        self.stores = itertools.cycle([Store(f"sqlite:///{self.folder / 'tasking.db'}") for _ in range(2)])
        self.now = datetime(2026, 3, 1, tzinfo=UTC)
        self.steps: dict[int, Known] = {}
        self.histories: dict[str, list[OrderStatus]] = {}
        self.versions: dict[str, int] = {}
        self.readings: dict[str, list[Dossier]] = defaultdict(list)

    @property
    def store(self) -> Store:
        """Two processes take turns."""
        return next(self.stores)

    @precondition(lambda self: len(self.histories) < 2)
    @rule(late=SECONDS)
    def submit(self, late):
        number = len(self.histories) + 1
        order = Order(
            id=f"00000000-0000-4000-8000-{number:012x}",
            product_id="p",
            area=Footprint.of(box(0, 0, 1, 1)),
            window=TimeWindow(start=self.now, end=self.now + timedelta(days=1)),
            constraints=Constraints(),
            request={},
            user="u",
            created=self.now,
            status=OrderStatus.RECEIVED,
        )
        todo = NewStep(kind=StepKind.PLAN, key=f"plan:{order.id}", due=self.now + late, order_id=order.id)
        self.store.submit(order, StatusChange(status=order.status, at=self.now), [todo])
        self.steps[len(self.steps) + 1] = Known(due=self.now + late)
        self.histories[order.id] = [OrderStatus.RECEIVED]
        self.versions[order.id] = 0
        self.read(order.id)

    @rule(by=SECONDS)
    def time_passes(self, by):
        self.now += by

    @rule(owner=OWNERS, target=claims)
    def claim(self, owner):
        step = self.store.claim(owner, now=self.now, lease=LEASE)
        ready = sorted((k.due, i) for i, k in self.steps.items() if k.state == "open" and k.due <= self.now)
        while ready and self.steps[ready[0][1]].tries == MAX_TRIES:
            self.bury(ready.pop(0)[1])
        assert (step is None) == (not ready)
        if step is None:
            return multiple()
        known = self.steps[step.id]
        assert step.id == ready[0][1]
        known.owner, known.due = owner, self.now + LEASE
        known.claims += 1
        known.tries += 1
        assert (step.owner, step.due, step.claims, step.tries) == (known.owner, known.due, known.claims, known.tries)
        return step

    @rule(owner=OWNERS, target=claims)
    def stall(self, owner):
        """Whoever holds a step sleeps over its lease."""
        self.now += LEASE
        return self.claim(owner)

    def bury(self, number: int) -> None:
        known = self.steps[number]
        known.state, known.owner = "dead", None
        known.claims += 1
        known.tries += 1
        self.remark(number)

    def remark(self, number: int) -> None:
        order_id = f"00000000-0000-4000-8000-{number:012x}"
        if TRANSITIONS[self.histories[order_id][-1]]:
            self.histories[order_id].append(self.histories[order_id][-1])
            self.versions[order_id] += 1
            self.read(order_id)

    def holds(self, step: Step) -> bool:
        known = self.steps[step.id]
        return known.state == "open" and (known.owner, known.claims) == (step.owner, step.claims)

    @rule(step=claims)
    def renew(self, step: Step):
        if not self.holds(step):
            with pytest.raises(LeaseLostError):
                self.store.renew(step, now=self.now, lease=LEASE)
            return
        self.store.renew(step, now=self.now, lease=LEASE)
        self.steps[step.id].due = self.now + LEASE

    @rule(step=claims, late=SECONDS | st.none())
    def retry(self, step: Step, late):
        at = None if late is None else self.now + late
        if not self.holds(step):
            with pytest.raises(LeaseLostError):
                self.store.retry(step, error="e", at=at, now=self.now)
            return
        self.store.retry(step, error="e", at=at, now=self.now)
        known = self.steps[step.id]
        known.owner = None
        if at is None or step.tries >= MAX_TRIES:
            known.state = "dead"
            self.remark(step.id)
        else:
            known.due = at

    @rule(number=NUMBERS)
    def requeue(self, number):
        dead = number in self.steps and self.steps[number].state == "dead"
        assert self.store.requeue(number, now=self.now) == dead
        if dead:
            self.steps[number] = replace(self.steps[number], state="open", tries=0, due=self.now)

    def read(self, order_id: str) -> None:
        self.readings[order_id].append(self.store.dossier(order_id))

    @rule(step=claims, age=st.sampled_from([0, 0, 1, 2]), status=STATES, again=SECONDS | st.none())
    def finish(self, step: Step, age, status, again):
        """With a reading of any age and any change of state, allowed or not."""
        readings = self.readings[step.order_id]
        reading = readings[-1 - min(age, len(readings) - 1)]
        outcome = Outcome(
            changes=(StatusChange(status=status, at=self.now, reason_text="r"),),
            again=None if again is None else self.now + again,
        )
        before = reading.order.status
        allowed = status == before or status in TRANSITIONS[before]
        expected = (
            LeaseLostError
            if not self.holds(step)
            else IllegalTransitionError
            if not allowed
            else ConflictError
            if reading.version != self.versions[reading.order.id]
            else None
        )
        if expected:
            with pytest.raises(expected):
                self.store.finish(step, now=self.now, dossier=reading, outcome=outcome)
            return
        self.store.finish(step, now=self.now, dossier=reading, outcome=outcome)
        known = self.steps[step.id]
        known.owner, known.tries = None, 0
        if again is not None:
            known.due = self.now if not TRANSITIONS[status] else outcome.again
        else:
            known.state = "done"
        self.histories[reading.order.id].append(status)
        self.versions[reading.order.id] += 1
        self.read(reading.order.id)

    @invariant()
    def the_tables_are_as_the_model_says(self):
        open_ = {s.id: Known(s.due, "open", s.owner, s.claims, s.tries) for s in self.store.open_steps()}
        assert open_ == {number: known for number, known in self.steps.items() if known.state == "open"}
        assert {s.id for s in self.store.dead_steps()} == {n for n, k in self.steps.items() if k.state == "dead"}
        for order_id, history in self.histories.items():
            assert [c.status for c in self.store.history(order_id).changes] == history[::-1]
            assert self.store.order(order_id).status == history[-1]

    def teardown(self):
        for _ in range(2):
            self.store.close()
        shutil.rmtree(self.folder)


@pytest.mark.slow
def test_leases(migrated):
    Leases.migrated = migrated
    run_state_machine_as_test(
        Leases,
        settings=settings(
            max_examples=70, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
