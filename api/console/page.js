// The page's toolkit: preact and htm in one file, and the few pieces that every part of the page shows.

export { html, render, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "./vendor/htm/standalone.module.js";
import { html } from "./vendor/htm/standalone.module.js";

/** A refusal, as the server or the page words it. */
export function Refusal({ problem }) {
  if (!problem) return null;
  const {
    title,
    detail,
    errors = [],
  } = problem instanceof Error && !problem.title ? { title: problem.message } : problem;
  return html`
    <div class="refusal" role="alert">
      <strong>${title}</strong>
      ${detail && detail !== title && html`<p>${detail}</p>`}
      ${errors.length > 1 && html`<ul>${errors.map(({ pointer, detail: what }) => html`
        <li>${pointer && html`<code>${pointer}</code> `}${what}</li>`)}</ul>`}
    </div>`;
}

/** What an empty place will hold, and how one fills it. */
export function Empty({ title, children }) {
  return html`<div class="empty"><strong>${title}</strong><p>${children}</p></div>`;
}

const NUMBER = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

export const number = (value) => NUMBER.format(value);

/** A STAPI value may be a range: `[10, 12]`. */
export function quantity(value, unit) {
  if (value === undefined || value === null) return "–";
  return `${[value].flat().map(number).join("–")}${unit}`;
}
