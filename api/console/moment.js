// Moments: always UTC, as orders and passes are.

const DAY = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", weekday: "short", day: "numeric", month: "short" });
const DATE = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", day: "numeric", month: "short", year: "numeric" });
const CLOCK = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", hour: "2-digit", minute: "2-digit" });
const SECONDS = new Intl.DateTimeFormat("en-GB", {
  timeZone: "UTC",
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});

export const day = (moment) => DAY.format(moment);
export const clock = (moment) => CLOCK.format(moment);
export const dateAndSeconds = (moment) => SECONDS.format(moment);
export const dateAndClock = (moment) => `${DATE.format(moment)}, ${CLOCK.format(moment)} UTC`;

/** The value of a `datetime-local` field that means UTC. */
export const toField = (moment) => moment.toISOString().slice(0, 16);

/** The moment of such a field, or null while it is not filled in. */
export function fromField(text) {
  const moment = new Date(`${text}Z`);
  return Number.isNaN(moment.getTime()) ? null : moment;
}

/** Start and end of an RFC 3339 interval; an open end is null. */
export function interval(text) {
  const [start, end = start] = text.split("/");
  return [start, end].map((part) => (part === "" || part === ".." ? null : new Date(part)));
}

/** `13 Nov, 10:02 – 10:05 UTC`, with as much of it as differs. */
export function span(text) {
  const [start, end] = interval(text);
  if (!start) return `until ${dateAndClock(end)}`;
  if (!end) return `from ${dateAndClock(start)}`;
  if (DATE.format(start) !== DATE.format(end)) return `${DATE.format(start)}, ${clock(start)} – ${dateAndClock(end)}`;
  if (clock(start) === clock(end)) return `${DATE.format(start)}, ${clock(start)} UTC`;
  return `${DATE.format(start)}, ${clock(start)} – ${clock(end)} UTC`;
}

const STEPS = [
  ["day", 86400],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
];
const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

/** `in 3 hours`, `2 minutes ago`. */
export function fromNow(moment, now = new Date()) {
  const away = (moment - now) / 1000;
  const [unit, size] = STEPS.find(([, length]) => Math.abs(away) >= length) ?? STEPS.at(-1);
  return RELATIVE.format(Math.round(away / size), unit);
}
