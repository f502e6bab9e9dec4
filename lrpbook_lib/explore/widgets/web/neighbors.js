// Pick a query and a layer; see its neighbors, and the links to the one picked.
const SVG = "http://www.w3.org/2000/svg";
const SIZE = 100; // of a slice, in units of the drawing
const SHIFT = 160; // from one slice to the other

function html(tag, attributes = {}, ...children) {
  const made = Object.assign(document.createElement(tag), attributes);
  made.append(...children);
  return made;
}

function svg(tag, attributes, parent) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  parent.append(made);
  return made;
}

function chooser(label, options, value, choose) {
  const select = html("select", {}, ...options.map(
    ([key, text]) => html("option", { value: key, textContent: text })));
  select.value = value;
  select.onchange = () => choose(select.value);
  return html("label", {}, `${label} `, select);
}

// Two slices and the curves between their blocks; a block pointed at keeps its own.
function drawing(pictures, names, links, blocks) {
  const root = document.createElementNS(SVG, "svg");
  root.setAttribute("viewBox", `0 0 ${SHIFT + SIZE} ${SIZE}`);
  root.setAttribute("role", "img");
  root.setAttribute("aria-label",
    `The ${links.length} strongest links between ${names[0]} and ${names[1]}.`);
  pictures.forEach((href, i) => svg("image",
    { href, x: i * SHIFT, y: 0, width: SIZE, height: SIZE }, root));
  const step = SIZE / blocks;
  const curves = links.map(([row, column, otherRow, otherColumn, value]) => {
    const [x0, y0] = [(column + 0.5) * step, (row + 0.5) * step];
    const [x1, y1] = [(otherColumn + 0.5) * step + SHIFT, (otherRow + 0.5) * step];
    const middle = (x0 + x1) / 2;
    const curve = svg("path", {
      d: `M${x0},${y0} C${middle},${y0} ${middle},${y1} ${x1},${y1}`,
      class: value > 0 ? "alike" : "unlike",
      "stroke-width": 0.3 + 1.2 * Math.abs(value),
      opacity: 0.25 + 0.75 * Math.abs(value),
    }, root);
    return { curve, ends: [`0/${row}/${column}`, `1/${otherRow}/${otherColumn}`] };
  });
  for (const end of new Set(curves.flatMap((each) => each.ends))) {
    const [side, row, column] = end.split("/").map(Number);
    const block = svg("rect", {
      x: side * SHIFT + column * step, y: row * step, width: step, height: step,
      class: "block",
    }, root);
    const light = (on) => curves.forEach(({ curve, ends }) =>
      curve.classList.toggle("dimmed", on && !ends.includes(end)));
    block.onpointerenter = () => light(true);
    block.onpointerleave = () => light(false);
  }
  return root;
}

function render({ model, el }) {
  el.classList.add("lrpbook-neighbors");
  let picked = 0;
  const draw = () => {
    const [query, layer] = [model.get("query"), model.get("layer")];
    const queries = model.get("queries");
    const answers = model.get("answers");
    const answer = answers[`${query}/${layer}`];
    const ready = (i) => `${i}/${layer}` in answers;
    const set = (name, value) => { model.set(name, value); model.save_changes(); };
    const choosers = html("div", { className: "choosers" },
      chooser("Query", queries.map(
        ([i, name]) => [i, ready(i) ? name : `${name} (needs a kernel)`]), query,
        (value) => { picked = 0; set("query", Number(value)); }),
      chooser("Layer", model.get("layers").map((each) => [each, each]), layer,
        (value) => { picked = 0; set("layer", value); }));
    if (!answer) {
      el.replaceChildren(choosers, html("p", { textContent:
        "Not computed in advance. With a kernel, the answer appears in a moment." }));
      return;
    }
    const pictures = model.get("pictures");
    const name = queries.find(([i]) => i === query)[1];
    const strip = answer.neighbors.map((each, i) => {
      const said = ["grade", "site"].map((what) =>
        html("span", { className: each[what] ? "same" : "other",
          textContent: `${each[what] ? "same" : "other"} ${what}` }));
      const button = html("button", { type: "button",
        onclick: () => { picked = i; draw(); } },
        html("img", { src: pictures[each.picture], alt: each.name }),
        html("span", { textContent: each.name }), ...said);
      button.setAttribute("aria-pressed", String(i === picked));
      return button;
    });
    const one = answer.neighbors[picked];
    el.replaceChildren(choosers,
      html("p", { className: "support", textContent:
        `The neighbors at all layers speak for ${answer.predicted}: credibility ` +
        `${answer.credibility}, confidence ${answer.confidence}.` }),
      html("div", { className: "strip" }, ...strip),
      drawing([pictures[`q${query}`], pictures[one.picture]], [name, one.name],
        one.links, model.get("blocks")),
      html("p", { className: "support", textContent:
        `Left: ${name}. Right: ${one.name}, at distance ${one.distance}. ` +
        "Red links make them alike, blue ones unlike." }));
  };
  for (const name of ["query", "layer", "answers"]) model.on(`change:${name}`, draw);
  draw();
}
export default { render };
