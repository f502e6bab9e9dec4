// What the widgets share: elements, packed bytes, pictures and controls. Python joins the
// colors of palette.py (PALETTE), this file and a widget's own into one module.

/** An element: tag, properties (`class`, `text`, `on…` and attributes), children. */
const h = (tag, props = {}, ...children) => {
  const svg = ["svg", "path", "line", "polyline", "text", "circle", "rect", "image", "g"];
  const element = svg.includes(tag)
    ? document.createElementNS("http://www.w3.org/2000/svg", tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "text") element.textContent = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
};

let lastId = 0;
const freshId = () => `lrpx-${(lastId += 1)}-${Math.random().toString(36).slice(2, 8)}`;

/** Bytes of a gzipped buffer, as Python's `pack` made it. */
const inflate = async (packed) => {
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
};

/** Bytes of base64 text. */
const fromBase64 = (text) => {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i += 1) bytes[i] = raw.charCodeAt(i);
  return bytes;
};

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

// ---- color -------------------------------------------------------------------------

const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
const [FOR, AGAINST] = [PALETTE.for.map(rgb), PALETTE.against.map(rgb)];
const lineColor = (n) => PALETTE.series[n % PALETTE.series.length];
const colorOf = (label) => PALETTE.regions[label] ?? PALETTE.outline;
/** Signed strength (-1..1) of one of the 31 levels that Python's `levels` made. */
const strengthOf = (level) => ((level - 15) / 15) * Math.abs((level - 15) / 15);

const TABLE = (() => {
  // Signed strength -1..1 in 511 steps to red, green, blue.
  const table = new Uint8Array(511 * 3);
  for (let i = 0; i < 511; i += 1) {
    const value = (i - 255) / 255;
    const stops = value >= 0 ? FOR : AGAINST;
    const at = Math.abs(value) * (stops.length - 1);
    const left = Math.min(Math.floor(at), stops.length - 2);
    for (let c = 0; c < 3; c += 1) {
      table[3 * i + c] = stops[left][c] + (at - left) * (stops[left + 1][c] - stops[left][c]);
    }
  }
  return table;
})();

/** Paint gray values (0..255) with signed strengths (-1..1) over them into `pixels`. */
const blend = (pixels, gray, heat, opacity, threshold = 0) => {
  for (let i = 0; i < gray.length; i += 1) {
    let [r, g, b] = [gray[i], gray[i], gray[i]];
    const value = heat ? clamp(heat[i], -1, 1) : 0;
    const size = Math.abs(value);
    if (size > threshold && size > 0) {
      const alpha = opacity * Math.sqrt(size); // weak relevance stays visible
      const at = 3 * Math.round(value * 255 + 255);
      r += alpha * (TABLE[at] - r);
      g += alpha * (TABLE[at + 1] - g);
      b += alpha * (TABLE[at + 2] - b);
    }
    pixels.set([r, g, b, 255], 4 * i);
  }
};

// ---- pictures ----------------------------------------------------------------------

/** Border segments of a region, as a path along pixel edges. */
const outline = (labels, width, height, inside) => {
  const path = new Path2D();
  const at = (x, y) => x >= 0 && y >= 0 && x < width && y < height && inside(labels[y * width + x]);
  for (let y = 0; y <= height; y += 1) {
    for (let x = 0; x <= width; x += 1) {
      if (at(x, y) !== at(x - 1, y)) {
        path.moveTo(x, y);
        path.lineTo(x, y + 1);
      }
      if (at(x, y) !== at(x, y - 1)) {
        path.moveTo(x, y);
        path.lineTo(x + 1, y);
      }
    }
  }
  return path;
};

/** A canvas that shows small pictures large and crisp, with outlines on top. */
class Picture {
  constructor(width, height, props = {}) {
    this.size = [width, height];
    this.small = new OffscreenCanvas(width, height);
    this.pen = this.small.getContext("2d");
    this.data = this.pen.createImageData(width, height);
    this.canvas = h("canvas", { class: "lrpx-picture", role: "img", ...props });
    this.scale = 0;
    this.fit(Math.ceil(320 / width));
  }

  fit(scale) {
    if (scale === this.scale) return;
    this.scale = scale;
    this.canvas.width = this.size[0] * scale;
    this.canvas.height = this.size[1] * scale;
  }

  /** `paths`: pairs of a Path2D in pixel units and a color. */
  draw(gray, heat, opacity, threshold, paths = []) {
    blend(this.data.data, gray, heat, opacity, threshold);
    this.pen.putImageData(this.data, 0, 0);
    const pen = this.canvas.getContext("2d");
    pen.imageSmoothingEnabled = false;
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.drawImage(this.small, 0, 0, this.canvas.width, this.canvas.height);
    pen.setTransform(this.scale, 0, 0, this.scale, 0, 0);
    for (const [path, color] of paths) this.line(path, color);
  }

  /** A line over the picture; a dark rim keeps it readable on white. */
  line(path, color, width = 1.6) {
    const pen = this.canvas.getContext("2d");
    for (const [wide, stroke] of [[2 * width, "rgba(0, 0, 0, 0.55)"], [width, color]]) {
      pen.lineWidth = wide / this.scale;
      pen.strokeStyle = stroke;
      pen.stroke(path);
    }
  }

  /** The pixel under the pointer. */
  at(event) {
    const box = this.canvas.getBoundingClientRect();
    const place = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    return place.map((part, i) => clamp(Math.floor(part * this.size[i]), 0, this.size[i] - 1));
  }
}

/** The color scale with its two ends and zero written under it. */
const colorBar = () => {
  const canvas = h("canvas", { width: 255, height: 1, "aria-hidden": "true" });
  const image = canvas.getContext("2d").createImageData(255, 1);
  const heat = Float32Array.from({ length: 255 }, (_, i) => (i - 127) / 127);
  blend(image.data, new Uint8Array(255).fill(40), heat, 1);
  canvas.getContext("2d").putImageData(image, 0, 0);
  const ends = [h("span", { text: "against" }), h("span", { text: "0" }), h("span", { text: "for" })];
  const root = h("div", { class: "lrpx-bar" }, canvas, h("div", {}, ...ends));
  const set = (limit, unit = "") => {
    ends[0].textContent = `−${limit}${unit}`;
    ends[2].textContent = `+${limit}${unit}`;
  };
  return { root, set };
};

// ---- controls ----------------------------------------------------------------------

/** A labeled slider; `format` writes its value beside it and for screen readers. */
const slider = ({ label, min, max, step = 1, value, format = String, oninput }) => {
  const id = freshId();
  const shown = h("output", { for: id });
  const input = h("input", { type: "range", id, min, max, step });
  const set = (now) => {
    input.value = now;
    const text = format(Number(input.value));
    shown.textContent = text;
    input.setAttribute("aria-valuetext", text);
  };
  input.addEventListener("input", () => {
    set(input.value);
    oninput(Number(input.value));
  });
  set(value);
  const name = h("label", { for: id, text: label });
  return { root: h("div", { class: "lrpx-slider" }, name, shown, input), input, set };
};

const opacitySlider = (value, oninput) =>
  slider({ label: "Opacity", min: 0, max: 1, step: 0.05, value, format: percent, oninput });

/** A labeled menu of `[value, text]` pairs. */
const menu = ({ label, options, value, onchange }) => {
  const id = freshId();
  const select = h("select", { id });
  const fill = (pairs, chosen) => {
    select.replaceChildren(
      ...pairs.map(([key, text]) => h("option", { value: key, text, selected: key === chosen })),
    );
    select.value = chosen;
  };
  fill(options, value);
  select.addEventListener("change", () => onchange(select.value));
  const root = h("div", { class: "lrpx-menu" }, h("label", { for: id, text: label }), select);
  return { root, select, fill };
};

/** A check box with its label. */
const check = ({ label, value, onchange }) => {
  const input = h("input", { type: "checkbox", checked: value });
  input.checked = value;
  input.addEventListener("change", () => onchange(input.checked));
  return { root: h("label", { class: "lrpx-check" }, input, h("span", { text: label })), input };
};

const button = (text, onclick, props = {}) =>
  h("button", { type: "button", class: "lrpx-button", text, onclick, ...props });

/** Help on keys, folded away. */
const keyHelp = (keys) =>
  h(
    "details",
    { class: "lrpx-keys" },
    h("summary", { text: "Keys" }),
    h(
      "dl",
      {},
      ...Object.entries(keys).map(([key, what]) =>
        h("div", {}, h("dt", {}, h("kbd", { text: key })), h("dd", { text: what })),
      ),
    ),
  );

/** What keys do, unless they are meant for one of the controls `within`. */
const onKeys = (element, within, acts) =>
  element.addEventListener("keydown", (event) => {
    if (event.target.matches(within) || event.ctrlKey || event.metaKey || event.altKey) return;
    const act = acts[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation(); // JupyterLab has plans of its own for single letters
    act(event);
  });

const swatch = (color) => {
  const dot = h("span", { class: "lrpx-swatch", "aria-hidden": "true" });
  dot.style.background = color;
  return dot;
};

/** Colors and names of regions `[label, name]`. */
const legendOf = (regions) =>
  h("p", { class: "lrpx-legend" },
    ...regions.map(([label, name]) => h("span", {}, swatch(colorOf(label)), name)));

/** Words for screen readers, said once things stand still. */
const announcer = () => {
  const root = h("p", { class: "lrpx-said", role: "status", "aria-live": "polite" });
  let waiting = 0;
  const say = (text) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => (root.textContent = text), 600);
  };
  return { root, say, stop: () => clearTimeout(waiting) };
};

/** Call `act` at most once a frame, with the latest wish. */
const oncePerFrame = (act) => {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      act();
    });
  };
};

/** The widget's frame: a titled group. */
const frame = (title, ...children) => {
  const id = freshId();
  return h(
    "section",
    { class: "lrpx", role: "group", "aria-labelledby": id },
    h("header", { class: "lrpx-head" }, h("p", { id, class: "lrpx-title", text: title })),
    ...children,
  );
};

const percent = (value) => `${Math.round(100 * value)} %`;
const two = (value) => (Number.isFinite(value) ? value.toFixed(2) : "–");
