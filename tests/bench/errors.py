"""Why a figure is missing."""


class LeftOutError(Exception):
    """Cannot be measured here or now; the message says what is missing. No figure is printed in its place."""
