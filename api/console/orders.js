// The list of orders, newest first, watched for as long as one of them can still change.

import { placeText, sizeText, unwrapped } from "./area.js";
import { dateAndClock, fromNow } from "./moment.js";
import { Empty, html, Refusal, useEffect, useState } from "./page.js";
import { get, linkOf } from "./server.js";
import { watch } from "./watch.js";

const PAGE = 20;

const FINAL = new Set(["completed", "rejected", "failed", "expired", "cancelled", "user_cancelled"]);

export const isFinal = (order) => FINAL.has(statusOf(order).status_code);

/** STAPI's text lays an order's fields out at the top level, its OpenAPI under `properties`. */
export const fieldOf = (order, name) => order[name] ?? order.properties?.[name];

export const statusOf = (order) => fieldOf(order, "status");

/** The area as it was asked for: in one piece, where the order's own geometry is cut at the antimeridian. */
export const areaOf = (order) => unwrapped(fieldOf(order, "request").geometry);

/** `user_cancelled` → `User cancelled`. */
export const statusName = (code) => code[0].toUpperCase() + code.slice(1).replaceAll("_", " ");

export function Status({ code }) {
  return html`<span class="status" data-status=${code}>${statusName(code)}</span>`;
}

export function Orders({ map }) {
  const [orders, setOrders] = useState(null);
  const [next, setNext] = useState(null);
  const [problem, setProblem] = useState(null);
  useEffect(() => watchOrders(setOrders, setNext, setProblem), []);
  useEffect(() => {
    map.showAreas((orders ?? []).map((order) => ({ id: order.id, geometry: areaOf(order) })));
    map.onAreaChosen = (id) => {
      location.hash = `#order/${id}`;
    };
    return () => map.showAreas([]);
  }, [orders, map]);

  async function older() {
    try {
      const page = await get(next);
      setOrders([...orders, ...ordersOf(page)]);
      setNext(linkOf(page, "next")?.href);
    } catch (error) {
      setProblem(error);
    }
  }

  return html`
    <section aria-label="Orders" class="sheet">
      <${Refusal} problem=${problem} />
      ${
        orders?.length === 0 &&
        html`
        <${Empty} title="No orders yet">
          Choose an area under <a href="#new">New order</a>, look at the passes, and submit. Each order then appears
          here with its state, up to the finished scene on the map.<//>`
      }
      <ul class="orders">${orders?.map((order) => html`<${Row} key=${order.id} order=${order} />`)}</ul>
      ${next && html`<button type="button" onClick=${older}>Older orders</button>`}
    </section>`;
}

function Row({ order }) {
  const created = new Date(fieldOf(order, "created"));
  return html`
    <li>
      <a href="#order/${order.id}" class="order-row">
        <${Status} code=${statusOf(order).status_code} />
        <time datetime=${created.toISOString()} title=${dateAndClock(created)}>${fromNow(created)}</time>
        <span class="place">${placeText(areaOf(order))} · ${sizeText(areaOf(order))}</span>
        <span class="reason">${statusOf(order).reason_text}</span>
      </a>
    </li>`;
}

export const ordersOf = (page) => page.orders ?? page.features;

/** Keeps the newest page fresh; pages that were loaded by hand below it stay. */
function watchOrders(setOrders, setNext, setProblem) {
  let before = null;
  return watch(async (signal) => {
    try {
      const page = await get(`stapi/orders?limit=${PAGE}`, signal);
      const newest = ordersOf(page);
      setProblem(null);
      setOrders((shown) => merged(newest, shown));
      if (before === null) setNext(linkOf(page, "next")?.href);
      const now = JSON.stringify(newest.map((order) => [order.id, statusOf(order)]));
      const changed = now !== before;
      before = now;
      return changed ? "changed" : "same";
    } catch (error) {
      if (error.name !== "AbortError") setProblem(error);
      throw error;
    }
  });
}

function merged(newest, shown) {
  const fresh = new Set(newest.map((order) => order.id));
  return [...newest, ...(shown ?? []).filter((order) => !fresh.has(order.id))];
}
