// The area of a request: drawn on the map, or typed.

import { HINT, parse, placeText, sizeText, squareKm, unwrapped } from "./area.js";
import { html, number, Refusal, useEffect, useLayoutEffect, useState } from "./page.js";

const HOW = {
  box: "Press on the map and drag to the opposite corner. Esc ends it.",
  polygon: "Click the corners on the map; double-click the last one. Backspace takes one back, Esc ends it.",
};

export function AreaField({ area, most, onArea, map }) {
  const [mode, setMode] = useState(null);
  const [problem, setProblem] = useState(null);
  useDrawingKeys(mode, map, () => setMode(null));
  useEffect(() => {
    map.showArea(area, { editable: true });
    map.onAreaEdited = (geometry) => onArea(unwrapped(geometry));
    return () => map.showArea(null);
  }, [area, map]);
  useEffect(() => () => map.stopDrawing(), [map]);

  function draw(kind) {
    setProblem(null);
    if (mode === kind) return stop();
    setMode(kind);
    map.draw(kind, (geometry) => {
      setMode(null);
      if (geometry) onArea(unwrapped(geometry));
      else setProblem(new Error("That area has no extent. Press at one corner, drag, and let go at the opposite one."));
    });
  }

  function stop() {
    map.stopDrawing();
    setMode(null);
  }

  function type() {
    map.stopDrawing();
    setProblem(null);
    setMode(mode === "type" ? null : "type");
  }

  function take(geometry) {
    setMode(null);
    onArea(geometry);
    map.goTo(geometry);
  }

  const tool = (kind, label, act) => html`
    <button type="button" aria-pressed=${mode === kind} onClick=${act}>${label}</button>`;
  return html`
    <fieldset class="field">
      <legend>Area</legend>
      <div class="tools">
        ${tool("box", "Draw box", () => draw("box"))}
        ${tool("polygon", "Draw polygon", () => draw("polygon"))}
        ${tool("type", "Type or paste", type)}
      </div>
      ${HOW[mode] && html`<p class="hint" role="status">${HOW[mode]}</p>`}
      ${mode === "type" && html`<${TypedArea} onArea=${take} />`}
      <${Refusal} problem=${problem} />
      <${AreaSummary} area=${area} most=${most} idle=${mode === null}
        onShow=${() => map.goTo(area)} onClear=${() => onArea(null)} />
    </fieldset>`;
}

function AreaSummary({ area, most, idle, onShow, onClear }) {
  if (!area)
    return idle && html`<p class="hint">Where should the picture be taken? Draw on the map, or type coordinates.</p>`;
  const tooLarge = most && squareKm(area) > most;
  return html`
    <p class="area-summary">
      <span class="swatch" aria-hidden="true"></span>
      <span><strong>${sizeText(area)}</strong> <span class="hint">${placeText(area)}</span></span>
      <button type="button" class="quiet" onClick=${onShow}>Show</button>
      <button type="button" class="quiet" onClick=${onClear}>Clear</button>
    </p>
    ${tooLarge && html`<p class="warning" role="status">
      This product takes at most ${number(most)} km² an order. Drag the corners closer, or draw a smaller area.
    </p>`}`;
}

function TypedArea({ onArea }) {
  const [text, setText] = useState("");
  const [problem, setProblem] = useState(null);

  function submit() {
    try {
      onArea(parse(text));
    } catch (error) {
      setProblem(error);
    }
  }

  return html`
    <div class="typed">
      <label for="typed-area">Coordinates in degrees</label>
      <textarea id="typed-area" rows="3" spellcheck=${false} value=${text} aria-describedby="typed-hint"
        placeholder="5.20, 44.10, 5.40, 44.25"
        onInput=${(event) => setText(event.target.value)}
        onKeyDown=${(event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && submit()}
        ref=${(field) => field && !text && field.focus()}></textarea>
      <p id="typed-hint" class="hint">${HINT[0].toUpperCase() + HINT.slice(1)}.</p>
      <${Refusal} problem=${problem} />
      <button type="button" onClick=${submit}>Use this area</button>
    </div>`;
}

function useDrawingKeys(mode, map, stopped) {
  useLayoutEffect(() => {
    if (mode !== "box" && mode !== "polygon") return undefined;
    function onKey(event) {
      if (event.key === "Escape") {
        map.stopDrawing();
        stopped();
      } else if (event.key === "Backspace" && mode === "polygon") {
        event.preventDefault();
        map.undoCorner();
      }
    }
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [mode, map]);
}
