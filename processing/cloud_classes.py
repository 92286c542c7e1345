"""What a pixel of a cloud mask can be, delivered or found."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

CLEAR: Final = 0
CLOUD: Final = 1

SHADOW: Final = 2
"""Clear of clouds, but in the shadow of one; delivered masks do not tell it."""

UNKNOWN: Final = 255
"""Not judged; nodata of the mask."""

Classes = NDArray[np.uint8]
"""Shape (rows, columns)."""
