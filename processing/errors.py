"""What can go wrong between a delivery and a finished item."""


class ProcessingError(Exception):
    """What was wrong, where, and what would be right: ``left.tif: no RPC; put left_RPC.TXT beside it``."""


class DeliveryError(ProcessingError):
    """A delivery that cannot be accepted: missing, damaged or contradictory files."""


class HeightsError(ProcessingError):
    """Heights that are unknown: no declared vertical datum, no geoid grid, or ground that the DEM does not cover."""


class SensorModelError(ProcessingError):
    """A sensor model that is incomplete, does not converge, or does not see the ground asked for."""


class OutputError(ProcessingError):
    """A product that could not be written whole; nothing of it remains."""


class NoDetailError(OutputError):
    """A pan and bands that cannot be sharpened: too little of the same ground, or nothing to be seen on it."""
