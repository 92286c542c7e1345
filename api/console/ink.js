// Ink: what things on the map look like. Colours come from style.css and follow the page's light or dark theme.

const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const stroke = (name, width, lineDash) => new ol.style.Stroke({ color: token(name), width, lineDash });
const fill = (name) => new ol.style.Fill({ color: token(name) });
const FONT = token("font");

/** An area smaller than this on the screen is shown as a ring around its place. */
const SMALLEST_PX = 9;

/**
 * Every style, read anew from the theme.
 * @param {(extent: number[]) => number} pixels how wide an extent in degrees is on the screen
 */
export function inks(pixels) {
  const outline = new ol.style.Style({ fill: fill("land"), stroke: stroke("border", 0.8) });
  return {
    land: outline,
    countryName: countryNames(),
    graticule: graticule(),
    sketch: sketch(),
    area: area(pixels),
    pass: new ol.style.Style({ stroke: stroke("pass-faint", 1), geometry: seamless }),
    chosenPass: [
      new ol.style.Style({ fill: fill("pass-fill"), zIndex: 1 }),
      new ol.style.Style({ stroke: stroke("pass", 2), geometry: seamless, zIndex: 1 }),
    ],
    scene: new ol.style.Style({ stroke: stroke("scene", 1.5), geometry: seamless }),
  };
}

function area(pixels) {
  const outline = new ol.style.Style({ stroke: stroke("aoi", 2) });
  const body = new ol.style.Style({ fill: fill("aoi-fill"), stroke: stroke("aoi", 2) });
  const corner = new ol.style.Style({
    image: new ol.style.Circle({ radius: 3.5, fill: fill("paper"), stroke: stroke("aoi", 1.5) }),
    // A ring of hundreds of corners is somebody's coastline: dots would hide it.
    geometry: (feature) =>
      new ol.geom.MultiPoint(
        ringsOf(feature.getGeometry())
          .filter((ring) => ring.length < 200)
          .flat(),
      ),
  });
  const ring = new ol.style.Style({
    image: new ol.style.Circle({ radius: 6, fill: fill("aoi-fill"), stroke: stroke("aoi", 2) }),
    geometry: (feature) => new ol.geom.Point(ol.extent.getCenter(feature.getGeometry().getExtent())),
  });
  return (feature) => {
    if (pixels(feature.getGeometry().getExtent()) < SMALLEST_PX) return ring;
    if (feature.get("hollow")) return outline;
    return feature.get("editable") ? [body, corner] : body;
  };
}

/** The outline without what runs along ±180°: footprints are cut there, and the cut is no edge of anything. */
function seamless(feature) {
  const edges = ringsOf(feature.getGeometry()).flatMap((ring) => ring.slice(1).map((end, index) => [ring[index], end]));
  return new ol.geom.MultiLineString(edges.filter((edge) => edge.some(([lon]) => Math.abs(lon) !== 180)));
}

function ringsOf(geometry) {
  return geometry.getType() === "Polygon" ? geometry.getCoordinates() : geometry.getCoordinates().flat();
}

function sketch() {
  return new ol.style.Style({
    fill: fill("aoi-fill"),
    stroke: stroke("aoi", 2, [6, 5]),
    image: new ol.style.Circle({ radius: 5, fill: fill("aoi"), stroke: stroke("paper", 1.5) }),
  });
}

/** A name stands inside its country's largest polygon; OpenLayers leaves it out where it would not fit. */
function countryNames() {
  const text = new ol.style.Text({ font: `500 11px ${FONT}`, fill: fill("name"), stroke: stroke("land", 3) });
  const style = new ol.style.Style({ text, geometry: (feature) => feature.get("largest") });
  return (feature) => {
    text.setText(feature.get("name"));
    return style;
  };
}

function graticule() {
  const line = new ol.style.Style({ stroke: stroke("graticule", 1) });
  const label = new ol.style.Text({ font: `10px ${FONT}`, fill: fill("name"), stroke: stroke("sea", 2) });
  const mark = new ol.style.Style({ text: label });
  return (feature) => {
    const name = feature.get("label");
    if (!name) return line;
    label.setText(name);
    label.setTextAlign(feature.get("meridian") ? "center" : "right");
    label.setOffsetX(feature.get("meridian") ? 0 : -5);
    label.setOffsetY(feature.get("meridian") ? -8 : -7);
    return mark;
  };
}
