// Graticule: meridians and parallels at round degrees, the closer the nearer one comes, named at the map's edges.

const STEPS = [90, 60, 30, 15, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01];

/** At least as many pixels between two lines. */
const LEAST_PX = 90;

/**
 * Features of the lines that a map of `width` pixels shows.
 * @param {number[]} extent west, south, east, north in degrees
 */
export function graticule([west, south, east, north], width) {
  const step = [...STEPS].reverse().find((size) => (size / (east - west)) * width >= LEAST_PX) ?? STEPS[0];
  const bottom = Math.max(south, -90);
  const top = Math.min(north, 90);
  const meridians = multiples(step, west, east).map((lon) =>
    named(
      [
        [lon, bottom],
        [lon, top],
      ],
      { label: lonName(lon, step), meridian: true },
      [lon, bottom],
    ),
  );
  const parallels = multiples(step, bottom, top).map((lat) =>
    named(
      [
        [west, lat],
        [east, lat],
      ],
      { label: latName(lat, step) },
      [east, lat],
    ),
  );
  return [...meridians, ...parallels].flat();
}

function multiples(step, from, to) {
  const first = Math.ceil(from / step);
  const count = Math.max(Math.floor(to / step) - first + 1, 0);
  return Array.from({ length: count }, (_, index) => (first + index) * step);
}

function named(line, properties, place) {
  return [
    new ol.Feature(new ol.geom.LineString(line)),
    new ol.Feature({ ...properties, geometry: new ol.geom.Point(place) }),
  ];
}

const digits = (step) => (step >= 1 ? 0 : step >= 0.1 ? 1 : 2);

function lonName(lon, step) {
  const wrapped = ((((lon + 180) % 360) + 360) % 360) - 180;
  const size = Math.abs(wrapped).toFixed(digits(step));
  return Number(size) % 180 === 0 ? `${Number(size)}°` : `${size}° ${wrapped < 0 ? "W" : "E"}`;
}

function latName(lat, step) {
  const size = Math.abs(lat).toFixed(digits(step));
  return Number(size) === 0 ? "0°" : `${size}° ${lat < 0 ? "S" : "N"}`;
}
