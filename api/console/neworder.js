// A new order: product, area, time span and limits; the passes that would serve; and submitting it.

import { AreaField } from "./areafield.js";
import { fromField } from "./moment.js";
import { Passes, passOf, passText } from "./passes.js";
import { html, number, Refusal, useEffect, useState } from "./page.js";
import { bodyOf, limitsOf, missing, orderBodyOf, spanOf } from "./request.js";
import { get, linkOf, local, post } from "./server.js";

const SPANS = [
  [1, "1 day"],
  [3, "3 days"],
  [7, "7 days"],
  [14, "14 days"],
];

/** Pages of passes that are fetched at most: more than anyone reads. */
const MOST_PAGES = 5;

export function NewOrder({ request, onRequest, map }) {
  const { products, product, limits, problem: productProblem } = useProducts(request.product);
  const [passes, setPasses] = useState(null);
  const [pointed, setPointed] = useState(null);
  const [chosen, setChosen] = useState(null);
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(null);
  const change = (part) => onRequest((old) => ({ ...old, ...part }));
  const choice = passes?.find((pass) => pass.id === chosen);

  useEffect(() => {
    setPasses(null);
    setChosen(null);
    setProblem(null);
  }, [request, product]);
  usePassesOnMap({ passes, lit: pointed ?? chosen, setPointed, setChosen }, map);

  async function act(name, work) {
    const lack = missing(request);
    setProblem(lack && { of: name, error: new Error(lack) });
    if (lack) return;
    setBusy(name);
    try {
      await work();
    } catch (error) {
      setProblem({ of: name, error });
    }
    setBusy(null);
  }

  const search = () =>
    act("search", async () => {
      setChosen(null);
      setPasses(await findPasses(linkOf(product, "opportunities").href, bodyOf(request, limits)));
    });

  const submit = () =>
    act("submit", async () => {
      const body = orderBodyOf(request, limits);
      const wanted = choice ? { ...choice.order.body, order_parameters: body.order_parameters } : body;
      const order = await post(choice ? local(choice.order.href) : linkOf(product, "create-order").href, wanted);
      change({ area: null });
      location.hash = `#order/${order.id}`;
    });

  if (!product) return html`<section class="sheet"><${Refusal} problem=${productProblem} /></section>`;
  const searchable = Boolean(linkOf(product, "opportunities"));
  return html`
    <form class="sheet" aria-label="New order" novalidate onSubmit=${(event) => {
      event.preventDefault();
      (searchable ? search : submit)();
    }}>
      <${ProductField} products=${products} product=${product} onProduct=${(id) => change({ product: id })} />
      <${AreaField} area=${request.area} most=${product["overflight:limits"]?.max_area_km2}
        onArea=${(area) => change({ area })} map=${map} />
      <${SpanField} request=${request} most=${product["overflight:limits"]?.max_days} onSpan=${change} />
      <${LimitFields} request=${request} limits=${limits} onLimit=${change} />
      ${
        searchable
          ? html`<button type="submit" class="wide" disabled=${busy !== null}>
              ${busy === "search" ? "Looking for passes…" : "Find passes"}
            </button>`
          : html`<p class="hint">
              The vendor of this product chooses the pass: there is nothing to look for before ordering.
            </p>`
      }
      ${problem?.of === "search" && html`<${Refusal} problem=${problem.error} />`}
      ${passes && html`<${Passes} passes=${passes} request=${request} pointed=${pointed} chosen=${chosen}
        onPoint=${setPointed} onChoose=${setChosen} />`}
      <footer class="submit">
        ${problem?.of === "submit" && html`<${Refusal} problem=${problem.error} />`}
        <p class="hint">${choice ? `Only this pass: ${passText(choice)}.` : submitHint(request, searchable)}</p>
        <button type="button" class="primary" disabled=${busy !== null || !request.area} onClick=${submit}>
          ${busy === "submit" ? "Submitting…" : choice ? "Submit for this pass" : "Submit order"}
        </button>
      </footer>
    </form>`;
}

function submitHint(request, searchable) {
  if (!request.area) return "An order needs an area.";
  return searchable ? "The planner takes the best passes of the time span." : "The vendor is asked for the whole area.";
}

function ProductField({ products, product, onProduct }) {
  const limits = product["overflight:limits"];
  return html`
    <div class="field">
      <label for="product">Product</label>
      <select id="product" value=${product.id} onChange=${(event) => onProduct(event.target.value)}>
        ${products.map((one) => html`
          <option value=${one.id} selected=${one.id === product.id}>${one.title ?? one.id}</option>`)}
      </select>
      <p class="hint">
        ${product.description}
        ${limits && ` Up to ${number(limits.max_area_km2)} km² and ${number(limits.max_days)} days an order.`}
      </p>
    </div>`;
}

function SpanField({ request, most, onSpan }) {
  const start = fromField(request.start);
  const spans = SPANS.filter(([days]) => !most || days <= most);
  const isSpan = (days) => start && request.end === spanOf(start, days).end;
  return html`
    <fieldset class="field">
      <legend>Time span <span class="unit">UTC</span></legend>
      <div class="span">
        <label for="start">From</label>
        <input id="start" type="datetime-local" value=${request.start} required
          onChange=${(event) => onSpan({ start: event.target.value })} />
        <label for="end">To</label>
        <input id="end" type="datetime-local" value=${request.end} required
          onChange=${(event) => onSpan({ end: event.target.value })} />
      </div>
      <div class="tools">
        ${spans.map(
          ([days, label]) => html`
          <button type="button" aria-pressed=${isSpan(days)}
            onClick=${() => onSpan(spanOf(start ?? new Date(), days))}>${label}</button>`,
        )}
      </div>
    </fieldset>`;
}

function LimitFields({ request, limits, onLimit }) {
  if (limits.length === 0) return null;
  return html`
    <fieldset class="field limits">
      <legend>Limits</legend>
      ${limits.map(({ key, label, unit, floor, ceiling }) => {
        const value = Math.min(Math.max(request[key], floor), ceiling);
        return html`
          <label for=${key}>${label}</label>
          <input id=${key} type="range" min=${floor} max=${ceiling} step="1" value=${value}
            onInput=${(event) => onLimit({ [key]: Number(event.target.value) })} />
          <output for=${key}>${number(value)}${unit}</output>`;
      })}
    </fieldset>`;
}

/** The products, the chosen one (unless told, the first whose passes are known), and its limits by its schemas. */
function useProducts(wanted) {
  const [state, setState] = useState({ products: [], limits: [], problem: null });
  const { products } = state;
  const product =
    products.find(({ id }) => id === wanted) ?? products.find((one) => linkOf(one, "opportunities")) ?? products[0];

  useEffect(() => {
    get("stapi/products")
      .then(({ products }) => setState({ products, limits: [], problem: null }))
      .catch((problem) => setState({ products: [], limits: [], problem }));
  }, []);
  useEffect(() => {
    if (!product) return;
    setState((old) => ({ ...old, limits: [] }));
    Promise.all([get(linkOf(product, "queryables").href), get(linkOf(product, "order-parameters").href)])
      .then(([queryables, parameters]) => setState((old) => ({ ...old, limits: limitsOf(queryables, parameters) })))
      .catch((problem) => setState((old) => ({ ...old, problem })));
  }, [product?.id]);
  return { ...state, product };
}

async function findPasses(href, body) {
  let page = await post(href, body);
  const features = [...page.features];
  for (let pages = 1; pages < MOST_PAGES; pages += 1) {
    const next = linkOf(page, "next");
    if (!next) break;
    page = await post(next.href, next.body);
    features.push(...page.features);
  }
  return features.map(passOf);
}

/** The list and the map light the same pass, whichever of the two is pointed at. */
function usePassesOnMap({ passes, lit, setPointed, setChosen }, map) {
  useEffect(() => {
    map.showPasses(passes ?? []);
    map.onPassPointed = setPointed;
    map.onPassChosen = setChosen;
    return () => map.showPasses([]);
  }, [passes, map]);
  useEffect(() => map.choosePass(lit), [lit, map]);
}
