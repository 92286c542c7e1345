"""Documents in bulk: into a catalog and out of it, as newline-delimited JSON, GeoParquet and static STAC."""
