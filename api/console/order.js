// One order: what was asked, how it goes, and the scenes that came of it.

import { placeText, sizeText } from "./area.js";
import { dateAndClock, dateAndSeconds, span } from "./moment.js";
import { areaOf, fieldOf, isFinal, Status, statusName, statusOf } from "./orders.js";
import { html, number, Refusal, useEffect, useState } from "./page.js";
import { SceneCard, sceneOf } from "./scene.js";
import { get, linkOf, local, post } from "./server.js";
import { watch } from "./watch.js";

export function OrderPage({ id, map }) {
  const [order, setOrder] = useState(null);
  const [history, setHistory] = useState([]);
  const [scenes, setScenes] = useState([]);
  const [problem, setProblem] = useState(null);

  useEffect(() => {
    setOrder(null);
    setHistory([]);
    setScenes([]);
    return watchOrder(id, { setOrder, setHistory, setScenes, setProblem });
  }, [id]);
  useShownOnMap(order, scenes, map);

  return html`
    <section aria-label="Order" class="sheet">
      <a class="back" href="#orders">All orders</a>
      <${Refusal} problem=${problem} />
      ${
        order &&
        html`
        <${Heading} order=${order} map=${map} />
        ${scenes.map((scene) => html`
          <${SceneCard} key=${scene.id} scene=${scene} onShow=${() => map.goTo(scene.footprint, { near: true })} />`)}
        <${Timeline} history=${history} moving=${!isFinal(order)} />
        <${Asked} order=${order} />
        <${Cancel} order=${order} onCancelled=${setOrder} onProblem=${setProblem} />`
      }
    </section>`;
}

function Heading({ order, map }) {
  return html`
    <header class="order-heading">
      <h2>${placeText(areaOf(order))}</h2>
      <p role="status"><${Status} code=${statusOf(order).status_code} /></p>
      <button type="button" class="quiet" onClick=${() => map.goTo(areaOf(order))}>Show area</button>
    </header>`;
}

function Timeline({ history, moving }) {
  return html`
    <h3>History</h3>
    <ol class="timeline ${moving ? "moving" : ""}" aria-label="History, newest first">
      ${history.map(
        (change) => html`
        <li key=${change.timestamp + change.status_code} data-status=${change.status_code}>
          <strong>${statusName(change.status_code)}</strong>
          <time datetime=${change.timestamp}>${dateAndSeconds(new Date(change.timestamp))}</time>
          ${change.reason_text && html`<p>${change.reason_text}</p>`}
        </li>`,
      )}
    </ol>`;
}

function Asked({ order }) {
  const request = fieldOf(order, "request");
  const cloud = request.order_parameters?.max_cloud_cover;
  const created = new Date(fieldOf(order, "created"));
  const rows = [
    ["Area", sizeText(areaOf(order))],
    ["Time span", span(request.datetime)],
    ...termsOf(request.filter),
    ...(cloud === undefined ? [] : [["Cloud cover", `at most ${number(cloud)} %`]]),
    ["Product", fieldOf(order, "product_id")],
    ["Ordered", dateAndClock(created)],
    ["Order", html`<a href="stapi/orders/${order.id}" class="id">${order.id}</a>`],
  ];
  return html`
    <h3>Request</h3>
    <dl class="facts">${rows.map(([term, value]) => html`<dt>${term}</dt><dd>${value}</dd>`)}</dl>`;
}

const WORDS = { "view:off_nadir": "Off-nadir angle", "view:sun_elevation": "Sun elevation" };
const RELATIONS = { "<=": "at most", ">=": "at least" };

/** The filter in words; one that this page did not write is shown as it is. */
function termsOf(filter) {
  if (!filter) return [];
  const parts = filter.op === "and" ? filter.args : [filter];
  return parts.map((part) => {
    const word = WORDS[part.args?.[0]?.property];
    const plain = word && RELATIONS[part.op] && typeof part.args[1] === "number";
    return plain
      ? [word, `${RELATIONS[part.op]} ${number(part.args[1])}°`]
      : ["Filter", html`<code>${JSON.stringify(part)}</code>`];
  });
}

/** An extension of this server: an order that may still be called off has a link for it. */
function Cancel({ order, onCancelled, onProblem }) {
  const [asking, setAsking] = useState(false);
  const link = linkOf(order, "cancel");
  if (!link) return null;

  async function cancel() {
    setAsking(false);
    try {
      onCancelled(await post(link.href, {}));
    } catch (error) {
      onProblem(error);
    }
  }

  if (!asking)
    return html`<button type="button" class="quiet" onClick=${() => setAsking(true)}>Cancel this order</button>`;
  return html`
    <p class="confirm">No more pictures will be taken for it.
      <button type="button" class="danger" onClick=${cancel}>Cancel the order</button>
      <button type="button" class="quiet" onClick=${() => setAsking(false)}>Keep it</button>
    </p>`;
}

/** Follows the order to its end; its scenes are fetched once each, as they appear. */
function watchOrder(id, { setOrder, setHistory, setScenes, setProblem }) {
  const scenes = new Map();
  let before = null;
  return watch(async (signal) => {
    try {
      const order = await get(`stapi/orders/${encodeURIComponent(id)}`, signal);
      const { statuses } = await get(`stapi/orders/${encodeURIComponent(id)}/statuses?limit=200`, signal);
      const hrefs = order.links.filter((link) => link.rel === "item").map((link) => local(link.href));
      for (const href of hrefs.filter((one) => !scenes.has(one))) scenes.set(href, sceneOf(await get(href, signal)));
      setProblem(null);
      setOrder(order);
      setHistory(statuses);
      setScenes([...scenes.values()]);
      const now = JSON.stringify(statuses);
      const changed = now !== before;
      before = now;
      return isFinal(order) || (changed ? "changed" : "same");
    } catch (error) {
      if (error.name !== "AbortError") setProblem(error);
      if (error.status === 404) return true;
      throw error;
    }
  });
}

/** The map shows the order's area first, and goes to a scene once it is there. */
function useShownOnMap(order, scenes, map) {
  const known = order !== null;
  useEffect(() => {
    if (!known) return undefined;
    map.goTo(areaOf(order));
    return () => map.showArea(null);
  }, [known && order.id]);
  useEffect(() => {
    if (known) map.showArea(areaOf(order), { hollow: scenes.length > 0 });
    map.showScenes(scenes);
    if (scenes.length > 0) map.goTo(scenes.at(-1).footprint, { near: true });
    return () => map.showScenes([]);
  }, [known && order.id, scenes.length]);
}
