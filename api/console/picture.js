// A scene's picture: a PNG in EPSG:4326, laid on the map by its box; OpenLayers projects it.

/** The layers that show it: across the antimeridian two, one on either side of the world. */
export function pictureLayers({ href, bbox }) {
  const [west, south, , north] = bbox;
  const east = bbox[2] < west ? bbox[2] + 360 : bbox[2];
  const turns = [0, east > 180 ? -360 : null, west < -180 ? 360 : null].filter((turn) => turn !== null);
  return turns.map(
    (turn) =>
      new ol.layer.Image({
        source: new ol.source.ImageStatic({
          url: href,
          imageExtent: [west + turn, south, east + turn, north],
          projection: "EPSG:4326",
        }),
      }),
  );
}
