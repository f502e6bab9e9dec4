// HeatmapExplorer: change the image, the model or the rule, and see the answer change.

const PREDICTED = -1;

class Explorer {
  constructor(model, about, data) {
    Object.assign(this, { model, about, data, engine: null, closed: false });
    const [channels, height, width] = about.shape;
    this.pixels = height * width;
    this.view = { heat: true, outline: true, opacity: 0.85, threshold: 0, cursor: null, brush: 0 };
    this.tool = "look";
    this.brush = Math.max(2, Math.round(width / 20));
    this.edits = new Edits(width, height, channels);
    const names = about.models.map((each) => each.name);
    this.voice = announcer();
    this.redraw = oncePerFrame(() => this.draw());
    this.request = latestWins(() => this.compute());
    this.panels = names.slice(0, 2).map((name) => new Panel(about, name, () => this.request()));
    this.assets = model.get("assets") ?? {};
    this.kernel = new Kernel(model);
    this.kernel.ready.then(() => this.use(this.kernel));
    this.build();
    this.choose(model.get("slice"));
  }

  get(name) {
    return this.model.get(name);
  }

  set(name, value) {
    this.model.set(name, value);
    this.model.save_changes();
  }

  // ---- the slice in hand -------------------------------------------------------------

  choose(n) {
    this.n = clamp(n, 0, this.about.slices.length - 1);
    const [channels] = this.about.shape;
    const { pixels, about, data } = this;
    this.slice = about.slices[this.n];
    this.labels = data.labels.subarray(this.n * pixels, (this.n + 1) * pixels);
    this.brain = data.brain.subarray(this.n * pixels, (this.n + 1) * pixels);
    this.original = new Float32Array(channels * pixels);
    for (let c = 0; c < channels; c += 1) {
      const [low, step] = about.tones[this.n][c];
      const from = (this.n * channels + c) * pixels;
      for (let i = 0; i < pixels; i += 1) {
        this.original[c * pixels + i] = low + step * data.images[from + i];
      }
    }
    this.arrive();
  }

  /** Take up what `original`, `labels`, `brain` and `slice` now hold. */
  arrive() {
    const [channels, height, width] = this.about.shape;
    this.edits.reset();
    this.drops.forEach(({ input }) => (input.checked = true));
    this.tone = tumorTone(this.original, this.labels, this.brain, channels);
    this.chance = chanceOf(this.labels, this.brain);
    this.outlines = this.about.regions.map(([label]) =>
      [outline(this.labels, width, height, (each) => each === label), colorOf(label)]);
    if (this.n >= 0) this.set("slice", this.n);
    this.patient.fill(this.patients, this.slice.patient);
    this.fillSlices();
    this.edited();
  }

  fillSlices() {
    const mine = this.about.slices.flatMap((each, n) => (each.patient === this.slice.patient ? [n] : []));
    this.mine = mine;
    this.position.input.max = Math.max(0, mine.length - 1);
    this.position.input.disabled = mine.length < 2;
    this.position.set(Math.max(0, mine.indexOf(this.n)));
    const { words, truth } = this.slice;
    const grade = truth >= 0 ? `truth: ${this.about.classes[truth]}` : "truth unknown";
    this.words.textContent = [words, grade].filter(Boolean).join(" · ");
  }

  step(by) {
    const at = this.mine.indexOf(this.n) + by;
    if (this.mine[at] !== undefined) this.choose(this.mine[at]);
  }

  edited() {
    this.image = this.edits.any ? this.edits.apply(this.original, this.brain, this.tone) : this.original;
    this.back.disabled = !this.edits.past.length;
    this.fresh.disabled = !this.edits.any;
    this.tint();
    this.request();
  }

  /** Gray values of the sequence on show. */
  tint() {
    const c = Math.max(0, this.about.sequences.indexOf(this.get("sequence")));
    const plane = this.image.subarray(c * this.pixels, (c + 1) * this.pixels);
    const whole = this.original.subarray(c * this.pixels, (c + 1) * this.pixels);
    let [low, high] = [Infinity, -Infinity];
    for (const value of whole) [low, high] = [Math.min(low, value), Math.max(high, value)];
    this.gray = Uint8Array.from(plane, (v) => clamp((255 * (v - low)) / (high - low || 1), 0, 255));
    this.redraw();
  }

  // ---- who computes ------------------------------------------------------------------

  use(engine) {
    if (this.closed || this.engine === this.kernel) return;
    this.engine = engine;
    this.tellEngine();
    this.request();
  }

  /** The runtime is 4 MB: it comes when the widget is first touched, not before. */
  touch() {
    if (this.engine || this.loading) return;
    const lack = Page.lacks(this.assets);
    this.loading = true;
    if (lack) return this.tellEngine(lack);
    this.tellEngine("", "loading the runtime …");
    new Page(this.about, this.assets).start()
      .then((page) => this.use(page))
      .catch((error) => this.tellEngine(error.message));
  }

  tellEngine(lack = "", doing = "") {
    const live = this.engine !== null;
    const state = live ? "live" : doing ? "loading" : "stored";
    this.root.dataset.engine = live ? (this.engine === this.kernel ? "kernel" : "page") : state;
    this.badge.textContent = live ? `computed by ${this.engine.words}` : doing || "stored heatmaps";
    this.badge.dataset.state = state;
    this.notice.hidden = !lack;
    this.notice.textContent = lack
      ? `Heatmaps shown here were stored when this was made, because ${lack}. ` +
        "Patients, classes and models can be chosen; the other knobs rest."
      : "";
    if (lack) this.lock(true);
    if (live) this.lock(false);
  }

  lock(locked) {
    this.knobs.forEach((element) => (element.disabled = locked));
    if (!locked) this.rest();
  }

  /** Knobs that the chosen composite does not have. */
  rest() {
    const composite = this.about.composites.find((each) => each.name === this.get("composite"));
    this.epsilon.input.disabled = !composite.epsilon;
    this.gamma.input.disabled = !composite.gamma;
    this.epsilon.root.classList.toggle("lrpx-rests", !composite.epsilon);
    this.gamma.root.classList.toggle("lrpx-rests", !composite.gamma);
  }

  /** Whether the stored heatmaps answer what is asked. */
  get stored() {
    const { preset } = this.about;
    const same = ["composite", "epsilon", "gamma"].every((name) => this.get(name) === preset[name]);
    return same && !this.edits.any && this.n >= 0;
  }

  async compute() {
    const begun = performance.now();
    this.root.setAttribute("aria-busy", "true");
    let said = [];
    try {
      for (const panel of this.panels) said.push(await this.answer(panel));
    } catch (error) {
      said = [error.message];
      this.notice.hidden = false;
      this.notice.textContent = `That did not work: ${error.message}`;
    }
    if (this.closed) return;
    this.draw();
    this.root.setAttribute("aria-busy", "false");
    this.root.dataset.milliseconds = Math.round(performance.now() - begun);
    this.root.dataset.answers = Number(this.root.dataset.answers ?? 0) + 1;
    this.voice.say(`${this.slice.label}. ${said.join(". ")}`);
  }

  async answer(panel) {
    const wanted = this.get("target");
    const wish = { slice: this.n, image: this.image, edited: this.edits.any || this.n < 0, model: panel.model };
    for (const name of ["composite", "epsilon", "gamma"]) wish[name] = this.get(name);
    const was = wish.edited && this.n >= 0 ? this.data.logits(panel.model, this.n) : null;
    const about = { chance: this.chance, truth: this.slice.truth, was };
    if (!this.engine) {
      if (!this.stored) return "not stored";
      return panel.tell(this.data.stored(panel.model, this.n, wanted), about);
    }
    const guess = panel.answer ? argmax(panel.answer.logits) : 0;
    let target = wanted === PREDICTED ? guess : wanted;
    let found = await this.engine.explain({ ...wish, target });
    if (wanted === PREDICTED && argmax(found.logits) !== target) {
      target = argmax(found.logits);
      found = await this.engine.explain({ ...wish, target });
    }
    const sums = measure(found.relevance, this.about, this.labels, this.brain);
    return panel.tell({ ...sums, ...found, target }, about);
  }

  draw() {
    const paths = this.view.outline ? this.outlines : [];
    this.view.brush = this.tool === "look" ? 0 : this.brush;
    for (const panel of this.panels) panel.draw(this.gray, this.view, paths);
  }

  // ---- the reader's hand -------------------------------------------------------------

  /** Read, or work on, the pixel under the cursor. */
  point(x, y, pressed) {
    this.view.cursor = [x, y];
    const i = y * this.pixels / this.about.shape[1] + x;
    const sequence = this.get("sequence");
    const c = Math.max(0, this.about.sequences.indexOf(sequence));
    const place = this.labels[i] > 0 ? this.about.regions.find(([label]) => label === this.labels[i])?.[1] : this.brain[i] ? "brain" : "outside the brain";
    const heats = this.panels.map((panel) => `${panel.model} ${(panel.answer?.heat[i] ?? 0).toExponential(1)}`);
    this.reading.textContent =
      `x ${x}, y ${y}, ${place}: ${sequence} ${two(this.image[c * this.pixels + i])}; relevance ${heats.join(", ")}`;
    if (pressed && this.tool !== "look" && this.engine) {
      this.edits.stroke(x, y, this.brush, this.tool === "erase" ? ERASED : PAINTED, this.brain);
      this.edited();
    } else this.redraw();
  }

  /** Do something to a region at once, as one step that can be undone. */
  region(inside, mark) {
    this.touch();
    this.edits.remember();
    this.edits.fill(inside, mark);
    this.edited();
  }

  eraseTumor() {
    this.region(this.labels.map((label) => label > 0), ERASED);
  }

  /** As much healthy brain on the other side: the control for erasing the tumor. */
  eraseMirror() {
    const width = this.about.shape[2];
    const mirror = this.labels.map((label, i) => {
      const across = i - (i % width) + (width - 1 - (i % width));
      return label === 0 && this.brain[i] > 0 && this.labels[across] > 0;
    });
    this.region(mirror, ERASED);
  }

  async upload(file) {
    const [channels, height, width] = this.about.shape;
    const picture = await createImageBitmap(file);
    const canvas = new OffscreenCanvas(width, height);
    const pen = canvas.getContext("2d");
    pen.drawImage(picture, 0, 0, width, height);
    const { data } = pen.getImageData(0, 0, width, height);
    const gray = Float32Array.from({ length: this.pixels }, (_, i) =>
      (data[4 * i] + data[4 * i + 1] + data[4 * i + 2]) / 765);
    this.n = -1;
    this.labels = new Uint8Array(this.pixels);
    this.brain = Uint8Array.from(gray, (value) => Number(value > 0.02));
    this.original = new Float32Array(channels * this.pixels);
    for (let c = 0; c < channels; c += 1) this.original.set(gray, c * this.pixels);
    this.slice = { patient: file.name, label: file.name, words: "your own image", truth: -1 };
    this.patients = [...this.patients.filter(([key]) => key !== file.name), [file.name, `${file.name} (yours)`]];
    this.arrive();
  }
}
