// An area of interest: GeoJSON polygons in lon, lat degrees, from what a person types to what a person reads.
// Longitudes are kept continuous (…179, 181…) across the antimeridian; the server cuts the area there.

/** Half the side of the box that is made around a single point, in km. */
const POINT_HALF_KM = 5;
const KM_PER_DEGREE = 111.32;

export const HINT = "west, south, east, north; a list of lon lat pairs; one lon, lat point; or GeoJSON";

/**
 * Read typed or pasted text.
 * @returns {object} a GeoJSON Polygon or MultiPolygon
 * @throws {Error} with a sentence that says what would be right
 */
export function parse(text) {
  const trimmed = text.trim();
  if (!trimmed) throw new Error(`Give ${HINT}.`);
  return checked(unwrapped(trimmed.startsWith("{") ? fromJson(trimmed) : fromNumbers(trimmed)));
}

function fromJson(text) {
  let read;
  try {
    read = JSON.parse(text);
  } catch (error) {
    throw new Error(`This begins like GeoJSON but is no valid JSON: ${error.message}.`);
  }
  const polygons = polygonsOf(read);
  if (polygons.length === 0) {
    throw new Error(`An area is a GeoJSON Polygon or MultiPolygon (or a Feature of one), not ${read.type ?? "this"}.`);
  }
  return geometryOf(polygons);
}

function polygonsOf(node) {
  switch (node?.type) {
    case "FeatureCollection":
      return (node.features ?? []).flatMap(polygonsOf);
    case "GeometryCollection":
      return (node.geometries ?? []).flatMap(polygonsOf);
    case "Feature":
      return polygonsOf(node.geometry);
    case "Polygon":
      return [node.coordinates];
    case "MultiPolygon":
      return node.coordinates;
    default:
      return [];
  }
}

function geometryOf(polygons) {
  if (polygons.length === 1) return { type: "Polygon", coordinates: polygons[0] };
  return { type: "MultiPolygon", coordinates: polygons };
}

function fromNumbers(text) {
  const words = text.split(/[\s,;()[\]]+/).filter(Boolean);
  const numbers = words.map(Number);
  const strange = words.find((_, index) => !Number.isFinite(numbers[index]));
  if (strange !== undefined) throw new Error(`“${strange.slice(0, 30)}” is no number. Give ${HINT}.`);
  if (numbers.length === 2) return boxAround(...numbers);
  if (numbers.length === 4) return box(...numbers);
  if (numbers.length < 6 || numbers.length % 2) {
    throw new Error(
      `${numbers.length} number${numbers.length > 1 ? "s" : ""} cannot be read as an area. Give ${HINT}.`,
    );
  }
  const ring = [];
  for (let index = 0; index < numbers.length; index += 2) ring.push([numbers[index], numbers[index + 1]]);
  return { type: "Polygon", coordinates: [ring] };
}

/** A box; west > east means that it crosses the antimeridian. */
export function box(west, south, east, north) {
  if (south >= north)
    throw new Error(`South ${south} does not lie below north ${north}. Give west, south, east, north.`);
  const right = east < west ? east + 360 : east;
  return {
    type: "Polygon",
    coordinates: [
      [
        [west, south],
        [right, south],
        [right, north],
        [west, north],
        [west, south],
      ],
    ],
  };
}

function boxAround(lon, lat) {
  if (Math.abs(lat) > 90) throw new Error(`Latitude ${lat} is not on Earth; the order is lon, lat.`);
  const up = POINT_HALF_KM / KM_PER_DEGREE;
  const aside = up / Math.max(Math.cos((lat * Math.PI) / 180), 0.01);
  return box(lon - aside, Math.max(lat - up, -90), lon + aside, Math.min(lat + up, 90));
}

/**
 * The same with every ring closed and continued over the antimeridian, its first longitude inside [-180, 180).
 * An edge from -180° to 180° is meant as it is drawn, round the Earth, unless `seam` says that it has no length.
 */
export function unwrapped(geometry, { seam = false } = {}) {
  return geometryOf(
    polygonsOf(geometry).map((rings) => {
      const outer = closed(rings[0] ?? []);
      const start = wrap(outer[0]?.[0] ?? 0);
      return rings.map((ring) => continued(closed(ring), start, seam ? Infinity : 360));
    }),
  );
}

function closed(ring) {
  const first = ring[0];
  const last = ring.at(-1);
  return first && (first[0] !== last[0] || first[1] !== last[1]) ? [...ring, [...first]] : ring;
}

/** The ring with each longitude near the one before it; one that goes once round a pole is closed along that pole. */
function continued(ring, near, round) {
  let turned = ring.length ? 360 * Math.round((near - ring[0][0]) / 360) : 0;
  const points = ring.map(([lon, lat], index) => {
    const step = index ? lon - ring[index - 1][0] : 0;
    if (Math.abs(step) > 180 && Math.abs(step) < round) turned -= 360 * Math.sign(step);
    return [lon + turned, lat];
  });
  const [first, last] = [points[0], points.at(-1)];
  if (!first || first[0] === last[0]) return points;
  const pole = points.reduce((sum, [, lat]) => sum + lat, 0) > 0 ? 90 : -90;
  return [...points, [last[0], pole], [first[0], pole], [...first]];
}

const wrap = (lon) => ((((lon + 180) % 360) + 360) % 360) - 180;

function checked(geometry) {
  for (const ring of polygonsOf(geometry).flat()) {
    if (ring.length < 4) throw new Error("A polygon needs three corners or more.");
    for (const [lon, lat] of ring) {
      if (!Number.isFinite(lon) || !Number.isFinite(lat)) throw new Error("A coordinate is no number.");
      if (Math.abs(lat) > 90) throw new Error(`Latitude ${lat} is not on Earth; the order is lon, lat.`);
    }
  }
  return geometry;
}

/** West, south, east, north of a geometry; east runs beyond 180 where it crosses the antimeridian. */
export function extent(geometry) {
  const polygons = polygonsOf(geometry).map((rings) => rings[0]);
  const spans = polygons.map((ring) => bounds(ring.map(([lon]) => lon))).sort((a, b) => a[0] - b[0]);
  const [south, north] = bounds(polygons.flat().map(([, lat]) => lat));
  // The widest stretch of longitude without any part is what the extent leaves out.
  let best = { gap: -Infinity, west: spans[0][0], east: spans[0][1] };
  let reach = spans[0][1];
  for (const [west, east] of spans.slice(1)) {
    if (west - reach > best.gap) best = { gap: west - reach, west, east: reach + 360 };
    reach = Math.max(reach, east);
  }
  if (spans[0][0] + 360 - reach >= best.gap) best = { west: spans[0][0], east: reach };
  return [best.west, south, best.east, north];
}

function bounds(values) {
  return values.reduce(
    ([least, most], value) => [Math.min(least, value), Math.max(most, value)],
    [Infinity, -Infinity],
  );
}

/** Area in km² on the sphere: what a person compares, not what is billed. */
export function squareKm(geometry) {
  const shape = new ol.format.GeoJSON().readGeometry(geometry);
  return ol.sphere.getArea(shape, { projection: "EPSG:4326" }) / 1e6;
}

export function sizeText(geometry) {
  const area = squareKm(geometry);
  return `${area.toLocaleString("en", { maximumSignificantDigits: area < 1 ? 1 : 3 })} km²`;
}

/** `44.17° N, 5.28° E` of the middle of the extent. */
export function placeText(geometry) {
  const [west, south, east, north] = extent(geometry);
  return positionText((west + east) / 2, (south + north) / 2);
}

export function positionText(lon, lat, digits = 2) {
  const degrees = (value, [plus, minus]) => `${Math.abs(value).toFixed(digits)}° ${value < 0 ? minus : plus}`;
  return `${degrees(lat, "NS")}, ${degrees(wrap(lon), "EW")}`;
}
