// A finished scene: a STAC item, as a card and as a picture on the map.

import { dateAndClock } from "./moment.js";
import { html, quantity } from "./page.js";
import { linkOf, local } from "./server.js";

/** A STAC item as this page uses it. */
export function sceneOf(item) {
  const assets = Object.entries(item.assets).map(([key, asset]) => ({ key, ...asset, href: local(asset.href) }));
  const thumbnail = assets.find((asset) => asset.roles?.includes("thumbnail"));
  const bbox = thumbnail?.["proj:bbox"];
  return {
    id: item.id,
    href: linkOf(item, "self")?.href,
    footprint: item.geometry,
    properties: item.properties,
    thumbnail: thumbnail?.href,
    // Only a picture in lon, lat can be laid down by its box as it is.
    picture: thumbnail && bbox && thumbnail["proj:code"] === "EPSG:4326" ? { href: thumbnail.href, bbox } : undefined,
    files: assets.filter((asset) => asset.roles?.includes("data") || asset.type?.includes("cloud-optimized")),
  };
}

export function SceneCard({ scene, onShow }) {
  const { properties } = scene;
  const facts = [
    ["Acquired", dateAndClock(new Date(properties.datetime ?? properties.start_datetime))],
    ["Satellite", properties.platform],
    ["GSD", properties.gsd !== undefined && quantity(properties.gsd, " m")],
    ["Clouds", properties["eo:cloud_cover"] !== undefined && quantity(properties["eo:cloud_cover"], " %")],
    ["Off-nadir", properties["view:off_nadir"] !== undefined && quantity(properties["view:off_nadir"], "°")],
    ["Sun", properties["view:sun_elevation"] !== undefined && quantity(properties["view:sun_elevation"], "°")],
  ].filter(([, value]) => value);
  return html`
    <article class="scene" aria-label="Scene ${scene.id}">
      <h3>${breakable(scene.id)}</h3>
      ${scene.thumbnail && html`<img src=${scene.thumbnail} alt="Thumbnail of scene ${scene.id}" />`}
      <dl class="facts">${facts.map(([term, value]) => html`<dt>${term}</dt><dd>${value}</dd>`)}</dl>
      <ul class="files" aria-label="Files">
        ${scene.files.map((file) => html`
          <li><a href=${file.href} download>${file.title ?? file.key}</a>
            <span>${size(file["file:size"])}</span></li>`)}
        <li><a href=${scene.href}>STAC item</a> <span>JSON</span></li>
      </ul>
      <button type="button" onClick=${onShow}>Show on map</button>
    </article>`;
}

/** Long names may break after an underscore. */
const breakable = (name) => name.split(/(?<=_)/).flatMap((part) => [part, html`<wbr />`]);

function size(bytes) {
  if (!bytes) return "";
  return bytes < 1e6
    ? `${Math.ceil(bytes / 1e3)} kB`
    : `${(bytes / 1e6).toLocaleString("en", { maximumSignificantDigits: 2 })} MB`;
}
