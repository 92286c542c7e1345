// The passes that could fulfil a request: over time at a glance, and one by one.

import { Empty, html, number, quantity, useEffect, useRef } from "./page.js";
import { clock, day, fromField, fromNow, interval } from "./moment.js";

/** An opportunity as this page uses it. */
export function passOf(feature, index) {
  const { properties } = feature;
  const [start] = interval(properties["overflight:best"] ?? properties.datetime);
  return {
    id: feature.id ?? `pass-${index}`,
    geometry: feature.geometry,
    start,
    satellite: properties.platform ?? "satellite",
    offNadir: properties["view:off_nadir"],
    sun: properties["view:sun_elevation"],
    orbit: properties["sat:orbit_state"],
    order: (feature.links ?? []).find((link) => link.rel === "create-order" && link.body),
  };
}

export function Passes({ passes, request, pointed, chosen, onPoint, onChoose }) {
  const section = useRef(null);
  useEffect(() => section.current.scrollIntoView({ block: "nearest" }), [passes]);
  if (passes.length === 0) {
    return html`<div ref=${section} class="passes"><${Empty} title="No pass within these limits">
      Allow a longer time span, a larger off-nadir angle or a lower sun, and search again.<//></div>`;
  }
  return html`
    <section ref=${section} class="passes" aria-label="Passes" onMouseLeave=${() => onPoint(null)}>
      <p class="count" role="status">${passes.length} ${passes.length === 1 ? "pass" : "passes"}</p>
      <${Strip} passes=${passes} request=${request} lit=${pointed ?? chosen} onPoint=${onPoint} onChoose=${onChoose} />
      ${byDay(passes).map(
        ([name, ofDay]) => html`
        <h3>${name}</h3>
        <ul>${ofDay.map((pass) => html`
          <${Pass} key=${pass.id} pass=${pass} pointed=${pass.id === pointed} chosen=${pass.id === chosen}
            onPoint=${onPoint} onChoose=${onChoose} />`)}</ul>`,
      )}
    </section>`;
}

function byDay(passes) {
  const days = new Map();
  for (const pass of passes) days.set(day(pass.start), [...(days.get(day(pass.start)) ?? []), pass]);
  return [...days];
}

function Pass({ pass, pointed, chosen, onPoint, onChoose }) {
  return html`
    <li>
      <button type="button" class="pass ${pointed ? "pointed" : ""}" aria-pressed=${chosen} data-pass=${pass.id}
        onMouseEnter=${() => onPoint(pass.id)} onFocus=${() => onPoint(pass.id)} onBlur=${() => onPoint(null)}
        onClick=${() => onChoose(chosen ? null : pass.id)}>
        <time datetime=${pass.start.toISOString()} title=${fromNow(pass.start)}>${clock(pass.start)}</time>
        <span class="satellite">${pass.satellite}</span>
        <${Tilt} degrees=${leastOffNadir(pass)} />
        <span class="figure"><span class="sr">off-nadir </span>${quantity(pass.offNadir, "°")}</span>
        <span class="sun" aria-hidden="true">☀</span>
        <span class="figure"><span class="sr">sun elevation </span>${quantity(pass.sun, "°")}</span>
      </button>
    </li>`;
}

/** How far the satellite leans over: a look straight down is a plumb line. */
function Tilt({ degrees }) {
  return html`
    <svg class="tilt" viewBox="0 0 20 16" aria-hidden="true">
      <path d="M2 14.500H18" class="ground" />
      <path d="M10 14V2" transform="rotate(${degrees} 10 14)" class="look" />
    </svg>`;
}

const STEEPEST = 45;

/** All passes over the time span; the higher a mark, the closer to straight down. */
function Strip({ passes, request, lit, onPoint, onChoose }) {
  const [from, to] = [fromField(request.start), fromField(request.end)];
  if (!from || !to || from >= to) return null;
  const at = (pass) => 1 + (98 * (pass.start - from)) / (to - from);
  return html`
    <figure class="strip">
      <svg viewBox="0 0 100 24" preserveAspectRatio="none" aria-hidden="true">
        <path d="M0 23.500H100" class="ground" />
        ${passes.map(
          (pass) => html`
          <g key=${pass.id} class=${pass.id === lit ? "lit" : ""}
            onMouseEnter=${() => onPoint(pass.id)} onMouseLeave=${() => onPoint(null)}
            onClick=${() => onChoose(pass.id)}>
            <path class="touch" d="M${at(pass)} 0V24" />
            <path class="mark" d="M${at(pass)} 23.500V${2 + 20 * (leastOffNadir(pass) / STEEPEST)}" />
          </g>`,
        )}
      </svg>
      <figcaption>
        <span>${day(from)}</span><span>taller: closer to straight down</span><span>${day(to)}</span>
      </figcaption>
    </figure>`;
}

export const passText = (pass) =>
  `${day(pass.start)} ${clock(pass.start)} UTC, ${pass.satellite}, ${number(leastOffNadir(pass))}° off nadir`;

/** STAPI lets an uncertain value be a range. */
function leastOffNadir(pass) {
  return [pass.offNadir].flat()[0] ?? 0;
}
