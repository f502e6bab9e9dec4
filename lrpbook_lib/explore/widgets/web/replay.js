// TrainingReplay: the heatmaps of a training, epoch by epoch.

const replay = async (model, root) => {
  const about = model.get("about"); // names, epochs, shape, numbers: see replay.py
  const [slices, height, width] = about.shape;
  const pixels = height * width;
  const [images, labels, heat] = await Promise.all(
    ["images", "labels", "heat"].map((name) => inflate(model.get(name))),
  );
  const last = about.epochs.length - 1;
  const counted = about.counted[0].toUpperCase() + about.counted.slice(1);
  const state = { epoch: clamp(model.get("epoch"), 0, last), opacity: 0.9, heat: true, outline: true };
  const strength = new Float32Array(pixels);

  const gray = (n) => images.subarray(n * pixels, (n + 1) * pixels);
  const paths = Array.from({ length: slices }, (_, n) => {
    const region = labels.subarray(n * pixels, (n + 1) * pixels);
    return [[outline(region, width, height, (label) => label > 0), PALETTE.outline]];
  });
  const frameOf = (m, epoch, n) => {
    const from = ((m * (last + 1) + epoch) * slices + n) * pixels;
    for (let i = 0; i < pixels; i += 1) strength[i] = strengthOf(heat[from + i]);
    return strength;
  };

  const table = h("div", { class: "lrpx-replay" });
  table.style.setProperty("--columns", slices);
  const cells = about.models.map((name, m) => {
    const heading = h("div", { class: "lrpx-replay-model" }, swatch(lineColor(m)), h("b", { text: name }));
    table.append(heading);
    return Array.from({ length: slices }, (_, n) => {
      const picture = new Picture(width, height);
      const words = h("div", { class: "lrpx-replay-words" });
      const title = m === 0 ? h("div", { class: "lrpx-label", text: about.slices[n] }) : null;
      const parts = [title, picture.canvas, words].filter(Boolean);
      table.append(h("figure", { class: "lrpx-replay-cell" }, ...parts));
      return { picture, words };
    });
  });

  const chart = curves(about, (epoch) => go(epoch));
  const voice = announcer();
  const draw = oncePerFrame(() => {
    cells.forEach((row, m) =>
      row.forEach(({ picture, words }, n) => {
        const shown = state.heat ? frameOf(m, state.epoch, n) : null;
        picture.draw(gray(n), shown, state.opacity, 0, state.outline ? paths[n] : []);
        const p = about.probability[m][state.epoch][n];
        const score = about.score[m][state.epoch][n];
        words.replaceChildren(
          h("span", { text: `p ${two(p)}` }),
          h("span", { text: `score ${two(score)}` }),
        );
        picture.canvas.setAttribute(
          "aria-label",
          `${about.models[m]}, ${about.slices[n]}, ${about.counted} ${about.epochs[state.epoch]}: ` +
            `probability of the true class ${two(p)}, tumor score ${two(score)}, ` +
            `chance ${two(about.chance[n])}`,
        );
      }),
    );
    chart.set(state.epoch);
  });
  const go = (epoch) => {
    state.epoch = clamp(epoch, 0, last);
    scrub.set(state.epoch);
    model.set("epoch", state.epoch);
    draw();
    const told = about.models.map((name, m) => `${name} score ${two(mean(about.score[m][state.epoch]))}`);
    voice.say(`${counted} ${about.epochs[state.epoch]}: ${told.join(", ")}`);
  };
  const scrub = slider({
    label: counted,
    min: 0,
    max: last,
    value: state.epoch,
    format: (at) => String(about.epochs[at]),
    oninput: (at) => {
      go(at);
      model.save_changes();
    },
  });

  let timer = 0;
  const play = button("▶ Play", () => (timer ? stop() : start()));
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    play.textContent = "▶ Play";
    model.save_changes();
  };
  const start = () => {
    if (state.epoch === last) go(0);
    play.textContent = "❚❚ Pause";
    timer = setInterval(() => {
      go(state.epoch + 1);
      if (state.epoch === last) stop();
    }, clamp(6000 / (last + 1), 120, 700));
  };
  const toggle = (name, label) =>
    check({ label, value: state[name], onchange: (on) => ((state[name] = on), draw()) });
  const opacity = opacitySlider(state.opacity, (value) => ((state.opacity = value), draw()));
  const bar = colorBar();
  bar.set("max", " of each map");
  const shown = [toggle("heat", "relevance"), toggle("outline", "tumor outline")];
  const body = frame(
    about.title,
    h("div", { class: "lrpx-replay-scroll", tabindex: "0", role: "region", "aria-label": "Heatmaps" }, table),
    h("div", { class: "lrpx-replay-foot" },
      h("div", { class: "lrpx-replay-controls" },
        h("div", { class: "lrpx-row" }, play, ...shown.map((each) => each.root)),
        scrub.root, opacity.root, bar.root),
      chart.root),
    h("p", { class: "lrpx-note", text: about.note }),
    keyHelp({ "← →": "back, forth", "Home End": "first, last", Space: "play, pause", H: "relevance on, off" }),
    voice.root,
  );
  onKeys(body, "input, select, summary, button", {
    ArrowLeft: () => go(state.epoch - 1),
    ArrowRight: () => go(state.epoch + 1),
    Home: () => go(0),
    End: () => go(last),
    " ": () => play.click(),
    h: () => shown[0].input.click(),
  });
  const follow = () => {
    if (model.get("epoch") !== state.epoch) go(model.get("epoch"));
  };
  model.on("change:epoch", follow);
  root.append(body);
  go(state.epoch);
  return () => {
    clearInterval(timer);
    voice.stop();
    model.off("change:epoch", follow);
  };
};

/** Mean score and probability of each model over the epochs, and a cursor to drag. */
const curves = (about, go) => {
  const [W, H, left, right, top, bottom] = [320, 150, 30, 8, 8, 24];
  const last = Math.max(1, about.epochs.length - 1);
  const x = (epoch) => left + (epoch / last) * (W - left - right);
  const y = (value) => top + (1 - value) * (H - top - bottom);
  const line = (kind) => (rows, m) =>
    h("polyline", {
      points: rows.map((row, epoch) => `${x(epoch)},${y(mean(row))}`).join(" "),
      fill: "none",
      stroke: lineColor(m),
      ...kind(m),
    });
  const solid = (m) => ({ "stroke-width": 2.5, "stroke-dasharray": m === 0 ? null : `${6 + 2 * m} ${m + 1}` });
  const dotted = () => ({ "stroke-width": 2, "stroke-dasharray": "1 4", "stroke-linecap": "round" });
  const lines = [...about.score.map(line(solid)), ...about.probability.map(line(dotted))];
  const chance = y(mean(about.chance));
  const cursor = h("line", { class: "lrpx-cursor", y1: top, y2: H - bottom });
  const ticks = [0, 0.5, 1].map((value) =>
    h("g", {}, h("line", { class: "lrpx-grid", x1: left, x2: W - right, y1: y(value), y2: y(value) }),
      h("text", { x: left - 5, y: y(value) + 4, "text-anchor": "end", text: String(value) })),
  );
  const root = h("svg", { class: "lrpx-curves", viewBox: `0 0 ${W} ${H}`, "aria-hidden": "true" },
    ...ticks,
    h("line", { class: "lrpx-chance", x1: left, x2: W - right, y1: chance, y2: chance }),
    h("text", { x: left + 4, y: chance - 5, text: "chance" }),
    h("text", { x: left, y: H - 6, text: `${about.counted} ${about.epochs[0]}` }),
    h("text", { x: W - right, y: H - 6, "text-anchor": "end", text: String(about.epochs.at(-1)) }),
    ...lines, cursor);
  const follow = (event) => {
    if (event.type === "pointermove" && !event.buttons) return;
    const box = root.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * W;
    go(Math.round(((at - left) / (W - left - right)) * last));
  };
  root.addEventListener("pointerdown", follow);
  root.addEventListener("pointermove", follow);
  const set = (epoch) => {
    cursor.setAttribute("x1", x(epoch));
    cursor.setAttribute("x2", x(epoch));
  };
  const caption = h("figcaption", { class: "lrpx-label", text: "Mean over these slices: tumor score; dotted, probability of the true class" });
  return { root: h("figure", { class: "lrpx-replay-chart" }, caption, root), set };
};

export default { render: ({ model, el }) => replay(model, el) };
