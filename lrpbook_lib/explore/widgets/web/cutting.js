// SegmentationExplorer: cut a heatmap at a level, and see region and Dice answer.

const FOUND = PALETTE.against[1];

/** The largest connected part of a region of zeros and ones, neighbors by edges. */
const largestPart = (region, width) => {
  const part = new Int32Array(region.length); // 0: not seen
  let [best, size, count] = [0, 0, 0];
  const waiting = [];
  for (let start = 0; start < region.length; start += 1) {
    if (!region[start] || part[start]) continue;
    count += 1;
    let mine = 0;
    waiting.push(start);
    part[start] = count;
    while (waiting.length) {
      const i = waiting.pop();
      mine += 1;
      const x = i % width;
      const near = [x > 0 ? i - 1 : -1, x < width - 1 ? i + 1 : -1, i - width, i + width];
      for (const j of near) {
        if (j < 0 || j >= region.length || !region[j] || part[j]) continue;
        part[j] = count;
        waiting.push(j);
      }
    }
    if (mine > size) [best, size] = [count, mine];
  }
  return region.map((_, i) => (best && part[i] === best ? 1 : 0));
};

/** Dice and intersection over union; one where both are empty. */
const overlap = (found, drawn) => {
  let [both, a, b] = [0, 0, 0];
  for (let i = 0; i < found.length; i += 1) {
    a += found[i];
    b += drawn[i];
    both += found[i] & drawn[i];
  }
  return { dice: a + b ? (2 * both) / (a + b) : 1, iou: a + b ? both / (a + b - both) : 1, pixels: a };
};

class Cutting {
  constructor(model, about, data) {
    Object.assign(this, { model, about, data, engine: null, closed: false });
    [, this.height, this.width] = about.shape;
    this.pixels = this.height * this.width;
    this.view = { heat: true, part: true };
    this.assets = model.get("assets") ?? {};
    this.voice = announcer();
    this.redraw = oncePerFrame(() => this.draw());
    this.build();
    if (about.probability.length) {
      this.kernel = new Kernel(model);
      this.kernel.ready.then(() => {
        this.engine = this.kernel;
        this.move(model.get("threshold"));
      });
    }
    this.choose(model.get("slice"));
  }

  set(name, value) {
    this.model.set(name, value);
    this.model.save_changes();
  }

  choose(n) {
    this.n = clamp(n, 0, this.about.slices.length - 1);
    const cut = (array) => array.subarray(this.n * this.pixels, (this.n + 1) * this.pixels);
    [this.gray, this.labels, this.brain] = ["gray", "labels", "brain"].map((name) => cut(this.data[name]));
    this.drawn = outline(this.labels, this.width, this.height, (label) => label > 0);
    this.set("slice", this.n);
    const { patient, label, words, truth } = this.about.slices[this.n];
    this.words.textContent = [patient, label, words, `truth: ${this.about.classes[truth] ?? "unknown"}`].filter(Boolean).join(" · ");
    this.take();
  }

  /** Take up slice and map: the curve over all levels. */
  take() {
    const m = Math.max(0, this.about.maps.indexOf(this.model.get("map")));
    const from = (m * this.about.slices.length + this.n) * this.pixels;
    this.heat = this.data.heat.subarray(from, from + this.pixels);
    this.strength = Float32Array.from(this.heat, (level) => level / 255);
    this.curve = Array.from({ length: 101 }, (_, at) => overlap(this.cut(at), this.labels).dice);
    this.chart.line(this.curve);
    this.said("");
    this.move(this.model.get("threshold"));
  }

  /** The region above a level, in percent of the largest value. */
  cut(percent) {
    const level = 2.55 * percent;
    const region = Uint8Array.from(this.heat, (value, i) => (value > level && this.brain[i] ? 1 : 0));
    return this.view.part ? largestPart(region, this.width) : region;
  }

  move(percent) {
    const begun = performance.now();
    const at = clamp(Math.round(percent), 0, 100);
    this.level.set(at);
    this.set("threshold", at);
    this.found = this.cut(at);
    this.fit = overlap(this.found, this.labels);
    this.region = outline(this.found, this.width, this.height, (value) => value > 0);
    this.chart.cursor(at);
    const best = this.curve.indexOf(Math.max(...this.curve));
    this.numbers.textContent =
      `Dice ${two(this.fit.dice)} · IoU ${two(this.fit.iou)} · ${this.fit.pixels} pixels found; ` +
      `the best level, ${best} %, would give ${two(this.curve[best])}`;
    this.root.dataset.dice = this.fit.dice.toFixed(4);
    this.erase.disabled = !this.fit.pixels || !this.canRun;
    this.voice.say(`Threshold ${at} percent, Dice ${two(this.fit.dice)}`);
    this.draw();
    this.root.dataset.milliseconds = (performance.now() - begun).toFixed(1);
  }

  draw() {
    const paths = [[this.drawn, PALETTE.outline], [this.region, FOUND]];
    this.picture.draw(this.gray, this.view.heat ? this.strength : null, 0.8, 0, paths);
    this.picture.canvas.setAttribute("aria-label",
      `${this.model.get("map")} of ${this.words.textContent}, cut at ${this.model.get("threshold")} percent: Dice ${two(this.fit.dice)}`);
  }

  // ---- the network -------------------------------------------------------------------

  get canRun() {
    return this.about.probability.length > 0 && (this.engine !== null || !Page.lacks(this.assets));
  }

  /** The image, what was found filled with the mean of the rest of the brain. */
  erased() {
    const [channels] = this.about.shape;
    const x = new Float32Array(channels * this.pixels);
    for (let c = 0; c < channels; c += 1) {
      const [low, step] = this.about.tones[this.n][c];
      const at = (this.n * channels + c) * this.pixels;
      let [sum, count] = [0, 0];
      for (let i = 0; i < this.pixels; i += 1) {
        x[c * this.pixels + i] = low + step * this.data.pixels[at + i];
        if (this.brain[i] && !this.found[i]) [sum, count] = [sum + x[c * this.pixels + i], count + 1];
      }
      for (let i = 0; i < this.pixels; i += 1) if (this.found[i]) x[c * this.pixels + i] = sum / (count || 1);
    }
    return x;
  }

  async run() {
    this.said("running the network …");
    this.root.setAttribute("aria-busy", "true");
    const begun = performance.now();
    const n = this.n;
    try {
      this.engine ??= await new Page(this.about, this.assets).start();
      const wish = { slice: n, edited: true, image: this.erased(), model: "network", composite: "own" };
      const { logits } = await this.engine.explain({ ...wish, target: 0, epsilon: 0, gamma: 0 });
      if (this.closed || n !== this.n) return;
      const [before, after] = [this.about.probability[n], softmax(logits)];
      const told = this.about.classes.map((name, c) => `${name} ${two(before[c])} → ${two(after[c])}`);
      this.said(`Without the region found: ${told.join(", ")} (computed by ${this.engine.words})`);
      this.root.dataset.after = after.map((p) => p.toFixed(4)).join(" ");
    } catch (error) {
      this.said(`That did not work: ${error.message}`);
    } finally {
      this.root.setAttribute("aria-busy", "false");
      this.root.dataset.run = Math.round(performance.now() - begun);
    }
  }

  said(text) {
    this.answer.textContent = text;
  }

  // ---- the frame ---------------------------------------------------------------------

  build() {
    const { about, model } = this;
    this.picture = new Picture(this.width, this.height);
    this.words = h("p", { class: "lrpx-note" });
    this.numbers = h("p", { class: "lrpx-cut-numbers" });
    this.answer = h("p", { class: "lrpx-note", role: "status" });
    this.chart = diceCurve((at) => this.move(at));
    this.level = slider({ label: "Threshold", min: 0, max: 100, value: model.get("threshold"),
      format: (value) => `${value} % of the largest`, oninput: (value) => this.move(value) });
    this.place = slider({ label: "Slice", min: 0, max: about.slices.length - 1, value: model.get("slice"),
      format: (value) => `${value + 1} of ${about.slices.length}`, oninput: (value) => this.choose(value) });
    this.which = menu({ label: "Map", options: about.maps.map((name) => [name, name]), value: model.get("map"),
      onchange: (name) => { this.set("map", name); this.take(); } });
    const part = check({ label: "largest part only", value: true, onchange: (on) => ((this.view.part = on), this.take()) });
    const heat = check({ label: "heatmap", value: true, onchange: (on) => ((this.view.heat = on), this.redraw()) });
    this.erase = button("Erase what was found", () => this.run());
    const legend = h("p", { class: "lrpx-legend" },
      h("span", {}, swatch(PALETTE.outline), "drawn"), h("span", {}, swatch(FOUND), "found"));
    const lack = about.probability.length && Page.lacks(this.assets);
    this.root = frame(about.title,
      h("div", { class: "lrpx-cut" },
        h("figure", {}, this.picture.canvas, legend),
        h("div", { class: "lrpx-cut-side" },
          this.place.root, about.maps.length > 1 ? this.which.root : null, this.level.root,
          this.numbers, this.chart.root,
          h("div", { class: "lrpx-row" }, part.root, heat.root, about.probability.length ? this.erase : null),
          this.answer)),
      this.words,
      h("p", { class: "lrpx-note", text: about.note + (lack ? ` The network cannot be run here, because ${lack}.` : "") }),
      keyHelp({ "← →": "threshold down, up", "PgUp PgDn": "next, previous slice" }),
      this.voice.root);
    onKeys(this.root, "input, select, summary, button", {
      ArrowLeft: () => this.move(model.get("threshold") - 1), ArrowRight: () => this.move(model.get("threshold") + 1),
      PageUp: () => this.step(1), PageDown: () => this.step(-1),
    });
    this.picture.canvas.tabIndex = 0;
  }

  step(by) {
    this.choose(this.n + by);
    this.place.set(this.n);
  }

  close() {
    this.closed = true;
    this.voice.stop();
    this.kernel?.close();
  }
}

/** Dice over all levels, with a cursor to drag. */
const diceCurve = (go) => {
  const [W, H, left, right, top, bottom] = [320, 120, 30, 8, 8, 24];
  const x = (at) => left + (at / 100) * (W - left - right);
  const y = (value) => top + (1 - value) * (H - top - bottom);
  const path = h("polyline", { fill: "none", stroke: FOUND, "stroke-width": 2.5 });
  const mark = h("line", { class: "lrpx-cursor", y1: top, y2: H - bottom });
  const ticks = [0, 0.5, 1].map((value) =>
    h("g", {}, h("line", { class: "lrpx-grid", x1: left, x2: W - right, y1: y(value), y2: y(value) }),
      h("text", { x: left - 5, y: y(value) + 4, "text-anchor": "end", text: String(value) })));
  const root = h("svg", { class: "lrpx-cut-curve", viewBox: `0 0 ${W} ${H}`, "aria-hidden": "true" },
    ...ticks, h("text", { x: left, y: H - 6, text: "threshold 0 %" }),
    h("text", { x: W - right, y: H - 6, "text-anchor": "end", text: "100 %" }), path, mark);
  const follow = (event) => {
    if (event.type === "pointermove" && !event.buttons) return;
    const box = root.getBoundingClientRect();
    go((((event.clientX - box.left) / box.width) * W - left) / (W - left - right) * 100);
  };
  root.addEventListener("pointerdown", follow);
  root.addEventListener("pointermove", follow);
  return {
    root: h("figure", {}, h("figcaption", { class: "lrpx-label", text: "Dice by threshold" }), root),
    line: (values) => path.setAttribute("points", values.map((value, at) => `${x(at)},${y(value)}`).join(" ")),
    cursor: (at) => ["x1", "x2"].forEach((name) => mark.setAttribute(name, x(at))),
  };
};

const cutting = async (model, root) => {
  const names = ["pixels", "gray", "heat", "labels", "brain"];
  const found = await Promise.all(names.map((name) => inflate(model.get(name))));
  const data = Object.fromEntries(names.map((name, i) => [name, found[i]]));
  const widget = new Cutting(model, model.get("about"), data);
  root.append(widget.root);
  return () => widget.close();
};

export default { render: ({ model, el }) => cutting(model, el) };
