// The operators' page: a map, and beside it a new order, the orders so far, or one of them. The hash says which.

import { positionText } from "./area.js";
import { NewOrder } from "./neworder.js";
import { OrderPage } from "./order.js";
import { Orders } from "./orders.js";
import { html, render, useEffect, useRef, useState } from "./page.js";
import { newRequest } from "./request.js";
import { WorldMap } from "./worldmap.js";

function App() {
  const route = useRoute();
  const [map, setMap] = useState(null);
  const [request, setRequest] = useState(newRequest);
  return html`
    <header class="masthead">
      <h1><img src="favicon.svg" alt="" width="22" height="22" />Overflight</h1>
      <nav aria-label="Main">
        <a href="#new" aria-current=${route.view === "new" ? "page" : null}>New order</a>
        <a href="#orders" aria-current=${route.view === "orders" ? "page" : null}>Orders</a>
      </nav>
      <nav aria-label="Services" class="services">
        <a href="stac">Catalog</a>
        <a href="docs">Interface</a>
      </nav>
    </header>
    <main>
      <${MapPane} onMap=${setMap} />
      <div class="panel">
        ${map && route.view === "new" && html`<${NewOrder} request=${request} onRequest=${setRequest} map=${map} />`}
        ${map && route.view === "orders" && !route.id && html`<${Orders} map=${map} />`}
        ${map && route.id && html`<${OrderPage} id=${route.id} map=${map} />`}
      </div>
    </main>`;
}

function MapPane({ onMap }) {
  const target = useRef(null);
  const map = useRef(null);
  const [position, setPosition] = useState(null);
  const [poles, setPoles] = useState(false);
  useEffect(() => {
    map.current = new WorldMap(target.current);
    map.current.onPointer = setPosition;
    map.current.onPlane = setPoles;
    onMap(map.current);
  }, []);
  return html`
    <div class="map-pane">
      <div class="map" ref=${target} tabindex="0" role="application"
        aria-label="World map. Arrow keys move it, plus and minus zoom. An area can also be typed under New order.">
      </div>
      <div class="map-tools">
        <button type="button" title="Show the whole world" onClick=${() => map.current.showWorld()}>World</button>
        <button type="button" aria-pressed=${poles} title="Show the whole Earth up to the poles (plate carrée)"
          onClick=${() => map.current.showPoles(!poles)}>Poles</button>
      </div>
      <p class="map-notes">
        ${position && html`<span aria-hidden="true">${positionText(...position, 3)}</span>`}
        <span>Outlines: Natural Earth</span>
      </p>
    </div>`;
}

/** `#new`, `#orders`, `#order/ID`. */
function useRoute() {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const follow = () => setHash(location.hash);
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  const [view, id] = hash.slice(1).split("/");
  if (view === "order" && id) return { view: "orders", id };
  return { view: view === "orders" ? "orders" : "new" };
}

const root = document.getElementById("app");
root.replaceChildren();
render(html`<${App} />`, root);
