// The explorer's controls, and what mouse, touch and keys do.

/** A slider over powers of ten. */
const powers = ({ low, high, value, oninput, ...rest }) =>
  slider({
    ...rest,
    min: Math.log10(low),
    max: Math.log10(high),
    step: 0.1,
    value: Math.log10(value),
    format: (power) => (10 ** power < 0.01 ? (10 ** power).toExponential(0) : two(10 ** power)),
    oninput: (power) => oninput(10 ** power),
  });

Explorer.prototype.build = function build() {
  const { about, view } = this;
  const change = (name) => (value) => {
    this.touch();
    this.set(name, value);
    if (name === "composite") this.rest();
    this.request();
  };
  const look = (name) => (value) => ((view[name] = value), this.redraw());

  this.patients = [...new Map(about.slices.map((each) => [each.patient, each.group])).entries()];
  const single = this.patients.length === about.slices.length;
  this.patient = menu({ label: single ? "Image" : "Patient", options: this.patients, value: "", onchange: (name) => {
    const n = about.slices.findIndex((each) => each.patient === name);
    if (n >= 0) this.choose(n);
  } });
  this.position = slider({ label: "Slice", min: 0, max: 1, value: 0,
    format: (at) => this.mine?.[at] === undefined ? "–" : about.slices[this.mine[at]].label,
    oninput: (at) => this.choose(this.mine[at]) });
  this.position.root.hidden = single;
  this.words = h("p", { class: "lrpx-note" });
  const pairs = (names) => names.map((name) => [name, name]);
  this.sequence = menu({ label: "Sequence shown", options: pairs(about.sequences),
    value: this.get("sequence"), onchange: (name) => (this.set("sequence", name), this.tint()) });
  this.sequence.root.hidden = about.sequences.length === 1;
  const targets = [[String(PREDICTED), "the predicted class"], ...about.classes.map((name, k) => [String(k), name])];
  this.target = menu({ label: "Heatmap explains", options: targets, value: String(this.get("target")),
    onchange: (k) => change("target")(Number(k)) });
  this.composite = menu({ label: "Composite of rules", options: pairs(about.composites.map((each) => each.name)),
    value: this.get("composite"), onchange: change("composite") });
  this.epsilon = powers({ label: "Epsilon", low: 1e-6, high: 10, value: this.get("epsilon"), oninput: change("epsilon") });
  this.gamma = slider({ label: "Gamma", min: 0, max: 3, step: 0.05, value: this.get("gamma"), format: two, oninput: change("gamma") });
  const opacity = opacitySlider(view.opacity, look("opacity"));
  const threshold = slider({ label: "Hide below", min: 0, max: 1, step: 0.02, value: 0, format: percent, oninput: look("threshold") });
  this.show = { heat: check({ label: "heatmap", value: true, onchange: look("heat") }),
    outline: check({ label: "outlines", value: true, onchange: look("outline") }) };

  const tools = { look: "Look", erase: "Erase", paint: "Paint tumor" };
  this.tools = Object.fromEntries(Object.entries(tools).map(([name, words]) =>
    [name, button(words, () => this.take(name), { "aria-pressed": String(name === "look") })]));
  this.size = slider({ label: "Brush", min: 1, max: Math.round(about.shape[2] / 6), value: this.brush,
    format: (r) => `${2 * r + 1} px`, oninput: (r) => ((this.brush = r), this.redraw()) });
  const wholesale = [button("Erase the tumor", () => this.eraseTumor()),
    button("Erase its mirror image", () => this.eraseMirror(), { title: "as much healthy brain on the other side: the control" })];
  this.back = button("Undo", () => (this.edits.undo(), this.edited()));
  this.fresh = button("Start over", () => this.arrive());
  this.drops = about.shape[0] > 1 ? about.sequences.map((name, c) => check({ label: name, value: true,
    onchange: (on) => (this.touch(), (this.edits.dropped[c] = !on), this.edited()) })) : [];
  const file = h("input", { type: "file", accept: "image/*", class: "lrpx-said", tabindex: "-1", "aria-label": "Your own image",
    onchange: () => file.files[0] && (this.touch(), this.upload(file.files[0])) });
  const own = button("Your own image …", () => file.click());

  this.reading = h("p", { class: "lrpx-note lrpx-reading", text: "Point at the picture to read values." });
  this.badge = h("span", { class: "lrpx-badge", text: "stored heatmaps" });
  this.notice = h("p", { class: "lrpx-notice", hidden: true });
  this.knobs = [this.composite.select, this.epsilon.input, this.gamma.input, this.size.input, own,
    ...Object.values(this.tools), ...wholesale, ...this.drops.map((each) => each.input)];

  const group = (title, ...children) => h("fieldset", { class: "lrpx-group" }, h("legend", { text: title }), ...children);
  this.root = frame(about.title,
    this.notice,
    h("div", { class: "lrpx-pick" }, this.patient.root, this.position.root, this.sequence.root, this.target.root),
    this.words,
    h("div", { class: "lrpx-bench" },
      h("div", {},
        h("div", { class: "lrpx-panels", "data-count": this.panels.length }, ...this.panels.map((panel) => panel.root)), this.reading),
      h("div", { class: "lrpx-side" },
        group("Rules", this.composite.root, this.epsilon.root, this.gamma.root),
        group("View", opacity.root, threshold.root,
          h("div", { class: "lrpx-row" }, this.show.heat.root, this.show.outline.root), legendOf(about.regions)),
        group("Do something to the image",
          h("div", { class: "lrpx-row" }, ...Object.values(this.tools)), this.size.root,
          h("div", { class: "lrpx-row" }, ...wholesale),
          this.drops.length ? h("div", { class: "lrpx-row" },
            h("span", { class: "lrpx-label", text: "The model sees" }), ...this.drops.map((each) => each.root)) : null,
          h("div", { class: "lrpx-row" }, this.back, this.fresh, own, file)))),
    h("p", { class: "lrpx-note", text: about.note }),
    keyHelp({ "← → ↑ ↓": "on a picture: move the cursor", "Enter": "on a picture: use the tool", "V E P": "look, erase, paint",
      "[ ]": "brush smaller, larger", "N B": "next, previous slice", "T": "another class", "H O": "heatmap, outlines on, off",
      "X M": "erase the tumor, its mirror image", "Z R": "undo, start over" }),
    this.voice.root);
  this.root.querySelector(".lrpx-head").append(this.badge);
  this.root.lrpx = this; // for those who look from the browser's console, and for tests
  this.tellEngine();
  this.rest();
  this.listen();
};

Explorer.prototype.take = function take(name) {
  this.touch();
  this.tool = name;
  for (const [each, element] of Object.entries(this.tools)) element.setAttribute("aria-pressed", String(each === name));
  this.redraw();
};

Explorer.prototype.listen = function listen() {
  const [, height, width] = this.about.shape;
  for (const event of ["pointerdown", "keydown"]) {
    this.root.addEventListener(event, () => this.touch(), { once: true, capture: true });
  }
  for (const { picture } of this.panels) {
    const { canvas } = picture;
    canvas.addEventListener("pointerdown", (event) => {
      if (this.tool !== "look") {
        this.edits.remember();
        canvas.setPointerCapture(event.pointerId);
      }
      this.point(...picture.at(event), true);
    });
    canvas.addEventListener("pointermove", (event) => this.point(...picture.at(event), event.buttons === 1));
    canvas.addEventListener("pointerleave", () => ((this.view.cursor = null), this.redraw()));
    // While a finger paints, the page must not scroll under it.
    canvas.addEventListener("touchmove", (event) => this.tool !== "look" && event.preventDefault(), { passive: false });
    const cursor = () => this.view.cursor ?? [Math.floor(width / 2), Math.floor(height / 2)];
    const move = (dx, dy) => (event) => {
      const [[x, y], far] = [cursor(), event.shiftKey ? 5 : 1];
      this.point(clamp(x + far * dx, 0, width - 1), clamp(y + far * dy, 0, height - 1), false);
      this.voice.say(this.reading.textContent);
    };
    const act = () => {
      if (this.tool !== "look") this.edits.remember();
      this.point(...cursor(), true);
    };
    onKeys(canvas, "button", { ArrowLeft: move(-1, 0), ArrowRight: move(1, 0), ArrowUp: move(0, -1),
      ArrowDown: move(0, 1), Enter: act, " ": act });
  }
  const resize = (by) => {
    this.size.set(clamp(this.brush + by, 1, Number(this.size.input.max)));
    this.brush = Number(this.size.input.value);
    this.redraw();
  };
  const nextTarget = () => {
    const { select } = this.target;
    select.selectedIndex = (select.selectedIndex + 1) % select.options.length;
    select.dispatchEvent(new Event("change"));
  };
  onKeys(this.root, "select, input[type=file]", {
    v: () => this.take("look"), e: () => this.tools.erase.click(), p: () => this.tools.paint.click(),
    "[": () => resize(-1), "]": () => resize(1), n: () => this.step(1), b: () => this.step(-1), t: nextTarget,
    h: () => this.show.heat.input.click(), o: () => this.show.outline.input.click(),
    x: () => this.engine && this.eraseTumor(), m: () => this.engine && this.eraseMirror(),
    z: () => this.back.click(), r: () => this.fresh.click(),
  });
  // Another widget, such as a table of the cohort, may ask for a slice.
  this.opened = ({ detail }) => {
    if (detail.key !== this.about.key) return;
    this.choose(detail.slice);
    this.root.scrollIntoView({ block: "nearest" });
  };
  document.addEventListener("lrpx:open", this.opened);
  const follow = () => this.get("slice") !== this.n && this.n >= 0 && this.choose(this.get("slice"));
  this.model.on("change:slice", follow);
  this.close = () => {
    this.closed = true;
    this.kernel.close();
    this.voice.stop();
    document.removeEventListener("lrpx:open", this.opened);
    this.model.off("change:slice", follow);
  };
};

const render = async ({ model, el }) => {
  const about = model.get("about");
  const names = ["pixels", "labels", "brain", "frames"];
  const [images, labels, brain, frames] = await Promise.all(names.map((name) => inflate(model.get(name))));
  const pixels = about.shape[1] * about.shape[2];
  /** What Python computed beforehand, for one model, slice and class. */
  const stored = (name, n, wanted) => {
    const m = about.models.findIndex((each) => each.name === name);
    const logits = about.logits[m][n];
    const target = wanted === PREDICTED ? argmax(logits) : wanted;
    const numbers = about.stored[m][n][target];
    const from = ((m * about.slices.length + n) * about.classes.length + target) * pixels;
    const heat = Float32Array.from({ length: pixels }, (_, i) => numbers.limit * strengthOf(frames[from + i]));
    return { ...numbers, heat, logits, target };
  };
  const logits = (name, n) => about.logits[about.models.findIndex((each) => each.name === name)][n];
  const explorer = new Explorer(model, about, { images, labels, brain, stored, logits });
  el.append(explorer.root);
  return () => explorer.close();
};

export default { render };
