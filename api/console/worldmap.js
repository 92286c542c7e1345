// The world map: outlines and graticule that need no network, and on them the area, the passes and the finished scenes.
// Every coordinate here is lon, lat in degrees; OpenLayers projects (Web Mercator, or plate carrée for the poles).

import { extent as extentOf } from "./area.js";
import { graticule } from "./graticule.js";
import { inks } from "./ink.js";
import { outlines } from "./outlines.js";
import { pictureLayers } from "./picture.js";

/** Beyond this latitude Web Mercator runs out, and the map is shown in plate carrée. */
const MERCATOR_LIMIT = 84;

/** From this zoom level on the finest outlines are worth their 3.6 MB. */
const FINE_OUTLINES_FROM_ZOOM = 6;

const PLANES = { mercator: "EPSG:3857", geographic: "EPSG:4326" };

/** Where the map starts: most of the land, a little of the Antarctic. */
const WORLD = { center: [11, 22] };

/** The zoom level at which the world is as wide as the map: level 0 is 256 px wide. */
const worldZoom = (element) => Math.log2(Math.max(element.clientWidth, 256) / 256);

const nobody = () => {};

export class WorldMap {
  /** Who wants to know: assigned by the part of the page that is shown. */
  onPointer = nobody;
  onPlane = nobody;
  onAreaEdited = nobody;
  onAreaChosen = nobody;
  onPassPointed = nobody;
  onPassChosen = nobody;

  /** @param {HTMLElement} target */
  constructor(target) {
    ol.proj.useGeographic();
    this.chosenPass = null;
    this.sources = Object.fromEntries(
      ["graticule", "scenes", "passes", "area"].map((name) => [name, new ol.source.Vector()]),
    );
    this.layers = this.#makeLayers();
    this.pictures = new ol.layer.Group({ zIndex: 5 });
    this.map = new ol.Map({
      target,
      view: viewOf(PLANES.mercator, WORLD.center, worldZoom(target)),
      layers: [...Object.values(this.layers), this.pictures],
      // By default a map that can have the focus is not moved without it; this one is not passed by in scrolling.
      interactions: ol.interaction.defaults.defaults({ onFocusOnly: false }),
      controls: [
        new ol.control.Zoom({ zoomInTipLabel: "Zoom in", zoomOutTipLabel: "Zoom out" }),
        new ol.control.ScaleLine(),
      ],
    });
    this.#listen();
    this.ink();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.ink());
  }

  #makeLayers() {
    const coarse = outlines("vendor/world-atlas/countries-50m.json");
    const vector = (source, zIndex, more = {}) => new ol.layer.Vector({ source, zIndex, ...more });
    return {
      coarse: vector(coarse, 0, { maxZoom: FINE_OUTLINES_FROM_ZOOM }),
      fine: vector(outlines("vendor/world-atlas/countries-10m.json"), 0, { minZoom: FINE_OUTLINES_FROM_ZOOM }),
      graticule: vector(this.sources.graticule, 1),
      names: vector(coarse, 2, { declutter: true }),
      scenes: vector(this.sources.scenes, 6),
      passes: vector(this.sources.passes, 7),
      area: vector(this.sources.area, 8),
    };
  }

  /** Take the colours of the page's theme. */
  ink() {
    this.styles = inks((extent) => this.#pixels(extent));
    this.layers.coarse.setStyle(this.styles.land);
    this.layers.fine.setStyle(this.styles.land);
    this.layers.names.setStyle(this.styles.countryName);
    this.layers.graticule.setStyle(this.styles.graticule);
    this.layers.scenes.setStyle(this.styles.scene);
    this.layers.area.setStyle(this.styles.area);
    this.layers.passes.setStyle((pass) =>
      pass.getId() === this.chosenPass ? this.styles.chosenPass : this.styles.pass,
    );
  }

  /** How large an extent is on the screen. */
  #pixels([west, , east]) {
    const size = this.map.getSize();
    const [left, , right] = this.map.getView().calculateExtent(size);
    return ((east - west) / (right - left)) * size[0];
  }

  #listen() {
    this.map.on("moveend", () => this.#moved());
    this.map.on("pointermove", (event) => this.#pointed(event));
    this.map.on("singleclick", (event) => this.#clicked(event));
    this.map.getViewport().addEventListener("pointerleave", () => this.onPointer(null));
    this.modify = new ol.interaction.Modify({ source: this.sources.area, style: () => this.styles.sketch });
    this.modify.setActive(false);
    this.modify.on("modifyend", (event) => this.onAreaEdited(geometryOf(event.features.item(0))));
    this.map.addInteraction(this.modify);
  }

  #moved() {
    const view = this.map.getView();
    const [lon, lat] = view.getCenter();
    if (!this.drawing && Math.abs(lon) > 180) {
      view.setCenter([lon - 360 * Math.round(lon / 360), lat]);
      return;
    }
    this.sources.graticule.clear(true);
    this.sources.graticule.addFeatures(graticule(view.calculateExtent(this.map.getSize()), this.map.getSize()[0]));
  }

  #pointed({ coordinate, pixel, dragging }) {
    this.onPointer(coordinate);
    if (this.drawing || dragging) return;
    const id = this.#at(pixel, this.layers.passes);
    if (id !== this.pointedPass) this.onPassPointed(id);
    this.pointedPass = id;
  }

  #clicked({ pixel }) {
    const pass = this.#at(pixel, this.layers.passes);
    const area = this.#at(pixel, this.layers.area);
    if (this.drawing) return;
    if (pass !== null) this.onPassChosen(pass);
    else if (area !== null) this.onAreaChosen(area);
  }

  /** Id of the uppermost feature of a layer at a pixel, or null. */
  #at(pixel, wanted) {
    const options = { layerFilter: (layer) => layer === wanted, hitTolerance: 3 };
    return this.map.forEachFeatureAtPixel(pixel, (feature) => feature.getId(), options) ?? null;
  }

  /**
   * Let a person draw an area; a drawing under way is given up.
   * @param {"box" | "polygon"} kind
   * @param {(geometry: object | null) => void} done called with the area, or with null when nothing was drawn
   */
  draw(kind, done) {
    this.stopDrawing();
    const box = kind === "box";
    this.drawing = new ol.interaction.Draw({
      type: box ? "Circle" : "Polygon",
      geometryFunction: box ? ol.interaction.Draw.createBox() : undefined,
      freehandCondition: box ? ol.events.condition.always : ol.events.condition.never,
      style: this.styles.sketch,
    });
    this.drawing.on("drawend", (event) => {
      const geometry = geometryOf(event.feature);
      this.stopDrawing();
      done(ol.extent.getArea(extentOf(geometry)) > 0 ? geometry : null);
    });
    this.#letDoubleClickZoom(false);
    this.modify.setActive(false);
    this.map.addInteraction(this.drawing);
    this.map.getViewport().classList.add("drawing");
  }

  /** Take back the last corner of the polygon being drawn. */
  undoCorner() {
    this.drawing?.removeLastPoint();
  }

  stopDrawing() {
    if (!this.drawing) return;
    this.map.removeInteraction(this.drawing);
    this.drawing = null;
    this.modify.setActive(this.editable);
    this.map.getViewport().classList.remove("drawing");
    // The double click that ends a polygon must not also zoom.
    setTimeout(() => this.#letDoubleClickZoom(true), 300);
  }

  #letDoubleClickZoom(active) {
    this.map.getInteractions().forEach((interaction) => {
      if (interaction instanceof ol.interaction.DoubleClickZoom) interaction.setActive(active);
    });
  }

  /** Show an area of interest, or none: an editable one has corners to drag, a hollow one tints nothing. */
  showArea(geometry, { editable = false, hollow = false } = {}) {
    this.editable = editable;
    this.modify.setActive(editable && !this.drawing);
    this.sources.area.clear();
    if (geometry) this.sources.area.addFeature(featureOf(geometry, { editable, hollow }));
  }

  /** Show several areas that can be chosen. @param {{id: string, geometry: object}[]} areas */
  showAreas(areas) {
    this.showArea(null);
    this.sources.area.addFeatures(areas.map(({ id, geometry }) => featureOf(geometry, { id })));
  }

  /** Show the footprints of passes. @param {{id: string, geometry: object}[]} passes */
  showPasses(passes) {
    this.sources.passes.clear();
    for (const { id, geometry } of passes) {
      if (geometry) this.sources.passes.addFeature(featureOf(geometry, { id }));
    }
  }

  choosePass(id) {
    this.chosenPass = id;
    this.layers.passes.changed();
  }

  /**
   * Lay finished scenes down: each picture by its box in EPSG:4326, and its outline.
   * @param {{footprint: object, picture?: {href: string, bbox: number[]}}[]} scenes
   */
  showScenes(scenes) {
    this.sources.scenes.clear();
    this.sources.scenes.addFeatures(scenes.map(({ footprint }) => featureOf(footprint)));
    this.pictures.setLayers(
      new ol.Collection(scenes.flatMap(({ picture }) => (picture ? pictureLayers(picture) : []))),
    );
  }

  /** Pan and zoom to a geometry. */
  goTo(geometry, { near = false } = {}) {
    const extent = extentOf(geometry);
    const plane = extent[1] < -MERCATOR_LIMIT || extent[3] > MERCATOR_LIMIT ? PLANES.geographic : PLANES.mercator;
    this.#project(plane);
    const [width, height] = this.map.getSize();
    this.map.getView().cancelAnimations();
    this.map.getView().fit(extent, {
      padding: Array(4).fill(Math.min(width, height) * (near ? 0.08 : 0.22)),
      maxZoom: 14,
      duration: this.#duration(600),
    });
  }

  #duration(ms) {
    return matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : ms;
  }

  /** Whether the map reaches the poles (plate carrée) rather than keeps shapes true (Web Mercator). */
  get reachesPoles() {
    return this.map.getView().getProjection().getCode() === PLANES.geographic;
  }

  showPoles(wanted) {
    this.#project(wanted ? PLANES.geographic : PLANES.mercator);
  }

  #project(plane) {
    const view = this.map.getView();
    if (view.getProjection().getCode() === plane) return;
    const [lon, lat] = view.getCenter();
    const size = this.map.getSize();
    const [west, , east] = view.calculateExtent(size);
    const next = viewOf(plane, [lon, lat], 1);
    next.setResolution(
      ((east - west) / size[0]) * (plane === PLANES.mercator ? ol.proj.get(plane).getExtent()[2] / 180 : 1),
    );
    this.map.setView(next);
    this.onPlane(this.reachesPoles);
  }

  showWorld() {
    this.map
      .getView()
      .animate({ ...WORLD, zoom: worldZoom(this.map.getTargetElement()), duration: this.#duration(400) });
  }
}

function viewOf(projection, center, zoom) {
  const [, south, , north] = ol.proj.get(projection).getExtent();
  const degrees = (y) => ol.proj.transform([0, y], projection, "EPSG:4326")[1];
  return new ol.View({
    projection,
    center,
    zoom,
    minZoom: 0,
    maxZoom: 17,
    multiWorld: true,
    extent: [-Infinity, degrees(south), Infinity, degrees(north)],
    constrainOnlyCenter: true,
  });
}

const GEOJSON = new ol.format.GeoJSON();

function featureOf(geometry, { id, ...properties } = {}) {
  const feature = new ol.Feature({ ...properties, geometry: GEOJSON.readGeometry(geometry) });
  if (id !== undefined) feature.setId(id);
  return feature;
}

function geometryOf(feature) {
  return GEOJSON.writeGeometryObject(feature.getGeometry(), { decimals: 6 });
}
