// Outlines: the countries of Natural Earth, from world-atlas' TopoJSON.

import { unwrapped } from "./area.js";

/** The countries as features in lon, lat, fetched when they are first seen. */
export function outlines(url) {
  const source = new ol.source.Vector({
    url,
    format: new ol.format.TopoJSON({ layers: ["countries"] }),
  });
  source.on("addfeature", ({ feature }) => settle(feature));
  return source;
}

/** Natural Earth's rings jump at ±180°; continued over it, they fill what they mean. A name stands in the largest. */
function settle(country) {
  const [west, , east] = country.getGeometry().getExtent();
  if (east - west > 180) country.setGeometry(over180(country.getGeometry()));
  const geometry = country.getGeometry();
  const parts = geometry.getType() === "Polygon" ? [geometry] : geometry.getPolygons();
  country.set(
    "largest",
    parts.reduce((best, part) => (part.getArea() > best.getArea() ? part : best)),
    true,
  );
}

function over180(geometry) {
  const format = new ol.format.GeoJSON();
  return format.readGeometry(unwrapped(format.writeGeometryObject(geometry), { seam: true }));
}
