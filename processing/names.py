"""What the files of an item are called: keys of its assets, and of the files in its folder."""

from typing import Final

MULTISPECTRAL: Final = "multispectral"
PANCHROMATIC: Final = "panchromatic"
CLOUD_MASK: Final = "cloud-mask"
PANSHARPENED: Final = "pansharpened"
REFLECTANCE: Final = "reflectance"
QUALITY_MASK: Final = "quality-mask"
ACCURACY: Final = "accuracy"
ACCURACY_PICTURE: Final = "accuracy-picture"
THUMBNAIL: Final = "thumbnail"

ROLES: Final = (MULTISPECTRAL, PANCHROMATIC, CLOUD_MASK)
"""What a raster of a delivery can be."""

DERIVED: Final = (PANSHARPENED, REFLECTANCE, CLOUD_MASK, QUALITY_MASK, ACCURACY)
"""What can be made of a scene beside its own rasters, where it has what is needed."""
