"""What has been written survives a power cut."""

import os
from pathlib import Path


def flush(path: Path) -> None:
    """Put a file's bytes or a folder's entries onto the disk (fsync(2): a new entry needs its folder's own flush)."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
