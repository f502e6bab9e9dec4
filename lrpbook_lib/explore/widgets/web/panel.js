// One model's answer: picture, prediction, score, and where relevance lies in short bars.

/** A labeled bar from 0 to 1, with an optional mark (the chance level). */
const meter = (label) => {
  const fill = h("span", { class: "lrpx-fill" });
  const mark = h("span", { class: "lrpx-mark", hidden: true });
  const value = h("span", { class: "lrpx-value" });
  const root = h(
    "div",
    { class: "lrpx-meter" },
    h("span", { class: "lrpx-label", text: label }),
    h("span", { class: "lrpx-track", "aria-hidden": "true" }, fill, mark),
    value,
  );
  const set = (share, chance = null, text = two(share)) => {
    fill.style.width = `${100 * clamp(share, 0, 1)}%`;
    mark.hidden = chance === null;
    if (chance !== null) mark.style.left = `${100 * chance}%`;
    value.textContent = text;
  };
  return { root, set };
};

class Panel {
  constructor(about, name, onmodel) {
    const [channels, height, width] = about.shape;
    this.about = about;
    this.model = name;
    this.picture = new Picture(width, height, { tabindex: "0", role: "application" });
    this.picture.canvas.classList.add("lrpx-live");
    const names = about.models.map((model) => [model.name, model.name]);
    this.menu = menu({ label: "Model", options: names, value: name, onchange: (chosen) => {
      this.model = chosen;
      onmodel(chosen);
    } });
    this.classes = about.classes.map((each) => meter(`p(${each})`));
    this.score = meter("score");
    const present = about.shape[0] > 1 ? about.sequences : [];
    this.regions = [...about.regions.map(([, region]) => region), "other brain"].map(meter);
    this.sequences = present.map((each) => meter(each));
    this.bar = colorBar();
    this.verdict = h("p", { class: "lrpx-verdict" });
    const more = h("details", { class: "lrpx-more", open: true },
      h("summary", { text: "Where relevance lies" }),
      h("div", { class: "lrpx-label", text: "positive relevance, by region" }),
      ...this.regions.map((each) => each.root),
      present.length ? h("div", { class: "lrpx-label", text: "share of |relevance|, by sequence" }) : null,
      ...this.sequences.map((each) => each.root));
    this.root = h("div", { class: "lrpx-panel" },
      h("div", { class: "lrpx-stack" }, this.menu.root, this.picture.canvas, this.bar.root),
      h("div", { class: "lrpx-stack" }, this.verdict,
        ...this.classes.map((each) => each.root), this.score.root, more));
    if (about.models.length === 1) this.menu.root.hidden = true;
  }

  /** `answer`: logits and what `measure` made of the relevance; `was`: before editing. */
  tell(answer, { chance, truth, was }) {
    this.answer = answer;
    const { target } = answer;
    const p = softmax(answer.logits);
    const said = argmax(p);
    const before = was && softmax(was);
    p.forEach((value, k) =>
      this.classes[k].set(value, null, before ? `${two(value)} (was ${two(before[k])})` : two(value)));
    this.bar.set(answer.limit.toPrecision(2));
    const { classes } = this.about;
    const right = truth >= 0 ? (said === truth ? ", which is right" : `, but it is ${classes[truth]}`) : "";
    this.verdict.textContent = `Says ${classes[said]}${right}. Heatmap for ${classes[target]}.`;
    const lesion = chance > 0;
    this.score.set(lesion ? answer.score : 0, lesion ? chance : null,
      lesion ? `${two(answer.score)} (chance ${two(chance)})` : "no tumor here");
    answer.regions.forEach((share, i) => this.regions[i].set(share));
    answer.sequences.forEach((share, i) => this.sequences[i]?.set(share));
    const words = `${this.model} says ${classes[said]} with ${percent(p[said])}` +
      (lesion ? `; tumor score ${two(answer.score)}, chance ${two(chance)}` : "");
    this.picture.canvas.setAttribute("aria-label", `${words}. Arrow keys move the cursor.`);
    return words;
  }

  draw(gray, view, paths) {
    const { heat, limit } = this.answer ?? {};
    if (heat && (!this.strength || this.strength.length !== heat.length)) {
      this.strength = new Float32Array(heat.length);
    }
    if (heat) for (let i = 0; i < heat.length; i += 1) this.strength[i] = heat[i] / limit;
    this.picture.draw(gray, view.heat && heat ? this.strength : null, view.opacity, view.threshold, paths);
    if (view.cursor) this.cross(view.cursor, view.brush);
  }

  cross([x, y], brush) {
    const path = new Path2D();
    if (brush) path.arc(x + 0.5, y + 0.5, brush + 0.5, 0, 7);
    else {
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        path.moveTo(x + 0.5 + 1.5 * dx, y + 0.5 + 1.5 * dy);
        path.lineTo(x + 0.5 + 4 * dx, y + 0.5 + 4 * dy);
      }
    }
    this.picture.line(path, "white", 1.8);
  }
}
