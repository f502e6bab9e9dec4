// NeighborBrowser: pick a query and a layer; see its neighbors, and the links to the one picked.

const SIZE = 100; // of a slice, in units of the drawing
const SHIFT = 160; // from one slice to the other

/** Two slices and the curves between their blocks; a block pointed at keeps its own. */
const drawing = (pictures, names, links, blocks) => {
  const step = SIZE / blocks;
  const curves = links.map(([row, column, otherRow, otherColumn, value]) => {
    const [x0, y0] = [(column + 0.5) * step, (row + 0.5) * step];
    const [x1, y1] = [(otherColumn + 0.5) * step + SHIFT, (otherRow + 0.5) * step];
    const middle = (x0 + x1) / 2;
    const curve = h("path", {
      d: `M${x0},${y0} C${middle},${y0} ${middle},${y1} ${x1},${y1}`,
      stroke: PALETTE.signs[value > 0 ? 1 : -1],
      "stroke-width": 0.3 + 1.2 * Math.abs(value),
      opacity: 0.25 + 0.75 * Math.abs(value),
    });
    return { curve, ends: [`0/${row}/${column}`, `1/${otherRow}/${otherColumn}`] };
  });
  const light = (end) => curves.forEach(({ curve, ends }) =>
    curve.classList.toggle("dimmed", end !== null && !ends.includes(end)));
  const ends = [...new Set(curves.flatMap((each) => each.ends))].map((end) => {
    const [side, row, column] = end.split("/").map(Number);
    return h("rect", { x: side * SHIFT + column * step, y: row * step, width: step, height: step,
      class: "block", onpointerenter: () => light(end), onpointerleave: () => light(null) });
  });
  const words = `The ${links.length} strongest links between ${names[0]} and ${names[1]}.`;
  return h("svg", { viewBox: `0 0 ${SHIFT + SIZE} ${SIZE}`, role: "img", "aria-label": words },
    ...pictures.map((href, i) => h("image", { href, x: i * SHIFT, y: 0, width: SIZE, height: SIZE })),
    ...curves.map(({ curve }) => curve), ...ends);
};

const neighbors = (model, el) => {
  const choose = (name, convert) => (value) => {
    picked = 0;
    model.set(name, convert(value));
    model.save_changes();
  };
  const query = menu({ label: "Query", options: [], onchange: choose("query", Number) });
  const layers = model.get("layers").map((each) => [each, each]);
  const layer = menu({ label: "Layer", options: layers, value: model.get("layer"), onchange: choose("layer", String) });
  const body = h("div");
  let picked = 0;

  const draw = () => {
    const [at, where, answers] = ["query", "layer", "answers"].map((name) => model.get(name));
    const ready = (i) => `${i}/${where}` in answers;
    query.fill(model.get("queries").map(
      ([i, name]) => [String(i), ready(i) ? name : `${name} (needs a kernel)`]), String(at));
    layer.select.value = where;
    const answer = answers[`${at}/${where}`];
    if (!answer) {
      body.replaceChildren(h("p", { text: "Not computed in advance. With a kernel, the answer appears in a moment." }));
      return;
    }
    const pictures = model.get("pictures");
    const name = model.get("queries").find(([i]) => i === at)[1];
    const pick = (i) => {
      picked = i;
      draw();
      body.querySelectorAll("button")[i].focus();
    };
    const strip = answer.neighbors.map((each, i) =>
      h("button", { type: "button", "aria-pressed": String(i === picked), onclick: () => pick(i) },
        h("img", { src: pictures[each.picture], alt: each.name }),
        h("span", { text: each.name }),
        ...["grade", "site"].map((what) => h("span", { class: each[what] ? "same" : "other",
          text: `${each[what] ? "same" : "other"} ${what}` }))));
    const one = answer.neighbors[picked];
    body.replaceChildren(
      h("p", { class: "support", text:
        `The neighbors at all layers speak for ${answer.predicted}: credibility ` +
        `${answer.credibility}, confidence ${answer.confidence}.` }),
      h("div", { class: "strip" }, ...strip),
      drawing([pictures[`q${at}`], pictures[one.picture]], [name, one.name], one.links, model.get("blocks")),
      h("p", { class: "support", text:
        `Left: ${name}. Right: ${one.name}, at distance ${one.distance}. ` +
        "Orange links make them alike, blue ones unlike." }));
  };
  const root = frame(model.get("about").title, h("div", { class: "lrpx-pick" }, query.root, layer.root), body);
  root.classList.add("lrpbook-neighbors");
  el.append(root);
  const names = ["query", "layer", "answers"].map((name) => `change:${name}`);
  names.forEach((name) => model.on(name, draw));
  draw();
  return () => names.forEach((name) => model.off(name, draw));
};

export default { render: ({ model, el }) => neighbors(model, el) };
