// A request in the making: what the form holds, and the STAPI body that it becomes.

import { fromField, toField } from "./moment.js";

const DAY_MS = 86_400_000;
const DEFAULT_DAYS = 3;

/** What the filters mean, in the order they are shown; their bounds come from the product's own schemas. */
export const LIMITS = [
  {
    key: "maxOffNadir",
    label: "Off-nadir angle at most",
    unit: "°",
    property: "view:off_nadir",
    op: "<=",
    floor: 0,
    ceiling: 30,
  },
  {
    key: "minSun",
    label: "Sun elevation at least",
    unit: "°",
    property: "view:sun_elevation",
    op: ">=",
    floor: 0,
    ceiling: 80,
  },
  { key: "maxCloud", label: "Cloud cover at most", unit: " %", parameter: "max_cloud_cover", floor: 0, ceiling: 100 },
];

export function newRequest(now = new Date()) {
  const start = new Date(Math.ceil(now.getTime() / 60_000) * 60_000);
  return { area: null, ...spanOf(start, DEFAULT_DAYS), maxOffNadir: 30, minSun: 10, maxCloud: 100 };
}

/** A time span of so many days from a moment on, as the form's fields hold it. */
export function spanOf(start, days) {
  return { start: toField(start), end: toField(new Date(start.getTime() + days * DAY_MS)) };
}

/** What still keeps the request from being sent, as a sentence, or null. */
export function missing(request) {
  if (!request.area) return "Choose an area first: draw it on the map, or type its coordinates.";
  const [start, end] = [fromField(request.start), fromField(request.end)];
  if (!start || !end) return "Give both ends of the time span.";
  if (start >= end) return "The time span ends before it starts.";
  if (end < new Date()) return "The time span lies in the past; passes can only be ordered ahead.";
  return null;
}

/**
 * Bounds of each limit as this product has them.
 * @param {object} queryables JSON Schema of what a filter may name
 * @param {object} parameters JSON Schema of the order parameters
 */
export function limitsOf(queryables, parameters) {
  return LIMITS.map((limit) => ({ ...limit, schema: schemaOf(limit, queryables, parameters) }))
    .filter(({ schema }) => schema)
    .map((limit) => ({
      ...limit,
      floor: limit.schema.minimum ?? limit.floor,
      ceiling: Math.min(
        limit.schema.maximum ?? limit.ceiling,
        limit.property === "view:sun_elevation" ? limit.ceiling : Infinity,
      ),
    }));
}

function schemaOf(limit, queryables, parameters) {
  return limit.property ? queryables.properties?.[limit.property] : parameters.properties?.[limit.parameter];
}

/** Body of an opportunity search, and of an order. A limit at its loosest is left out. */
export function bodyOf(request, limits) {
  const filters = limits
    .filter((limit) => limit.property && tightens(limit, request[limit.key]))
    .map(({ op, property, key }) => ({ op, args: [{ property }, request[key]] }));
  return {
    datetime: `${fromField(request.start).toISOString()}/${fromField(request.end).toISOString()}`,
    geometry: request.area,
    ...(filters.length === 1 ? { filter: filters[0] } : filters.length ? { filter: { op: "and", args: filters } } : {}),
  };
}

export function orderBodyOf(request, limits) {
  const parameters = limits
    .filter((limit) => limit.parameter && tightens(limit, request[limit.key]))
    .map(({ parameter, key }) => [parameter, request[key]]);
  return { ...bodyOf(request, limits), order_parameters: Object.fromEntries(parameters) };
}

const tightens = (limit, value) => (limit.op === ">=" ? value > limit.floor : value < limit.ceiling);
