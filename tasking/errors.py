"""What can go wrong between an order and its delivery."""


class TaskingError(Exception):
    """What was wrong, where, and what would be right: ``product 'x' is unknown; GET /stapi/products lists them``."""


class InvalidOrderError(TaskingError):
    """An order that no satellite could ever fulfil as it is written."""


class IdempotencyError(TaskingError):
    """A key of a submission that is none, or was used for another one."""


class UnknownProductError(TaskingError):
    """No such product can be ordered here."""


class UnknownOrderError(TaskingError):
    """No such order."""


class IllegalTransitionError(TaskingError):
    """A change of state that the table of transitions does not allow."""


class ElementSetError(TaskingError):
    """An element set that is damaged or cannot be propagated to the time asked for."""


class InvalidSatelliteError(TaskingError):
    """A satellite or a ground station that cannot be as it is described."""


class UnknownSatelliteError(TaskingError):
    """No such satellite is in the fleet."""


class ProviderError(TaskingError):
    """A provider that refused a command or cannot be reached."""


class InvalidTokenError(TaskingError):
    """A page's token or limit that no earlier page gave out."""


class LeaseLostError(TaskingError):
    """A step that another owner has taken over since; whoever gets this must not write about it."""


class ConflictError(TaskingError):
    """Something changed between a decision and its recording; read again and decide again."""


class PlanError(TaskingError):
    """A planning problem whose numbers do not fit together."""
