"""The STAC API over any catalog: stored bytes go out as they are, but for the public address."""
