// VolumeExplorer: three planes through one point, with relevance over them.

const NAMES = ["left to right", "back to front", "up"];
// Each plane: the axis that it cuts, then the axes drawn to the right and upwards. The
// patient's left is on the viewer's right, and the face looks to the left.
const PLANES = [
  { name: "Axial", cut: 2, right: 0, up: 1 },
  { name: "Coronal", cut: 1, right: 0, up: 2 },
  { name: "Sagittal", cut: 0, right: 1, up: 2 },
];

const volume = async (model, root) => {
  const about = model.get("about");
  const { shape, spacing } = about;
  const data = {};
  for (const name of ["gray", "heat", "labels"]) {
    const packed = model.get(name);
    data[name] = packed.byteLength ? await inflate(packed) : null;
  }
  const at = [...about.start];
  const length = (value, axis) => Math.round((value + about.offset[axis]) * spacing[axis]);
  const view = { opacity: 0.8, heat: true, outline: true };
  const index = (point) => (point[0] * shape[1] + point[1]) * shape[2] + point[2];

  const planes = PLANES.map((plane) => {
    const [width, height] = [shape[plane.right], shape[plane.up]];
    const label = `${plane.name} plane`;
    const picture = new Picture(width, height, { tabindex: "0", role: "application", "aria-label": label });
    picture.canvas.classList.add("lrpx-live");
    picture.canvas.style.aspectRatio = `${width * spacing[plane.right]} / ${height * spacing[plane.up]}`;
    const gray = new Uint8Array(width * height);
    const heat = new Float32Array(width * height);
    const labels = new Uint8Array(width * height);
    const pointAt = (x, y) => {
      const point = [...at];
      point[plane.right] = width - 1 - x;
      point[plane.up] = height - 1 - y;
      return point;
    };
    const draw = () => {
      for (let y = 0; y < height; y += 1) {
        for (let x = 0; x < width; x += 1) {
          const [from, to] = [index(pointAt(x, y)), y * width + x];
          gray[to] = data.gray[from];
          if (data.heat) heat[to] = strengthOf(data.heat[from]);
          if (data.labels) labels[to] = data.labels[from];
        }
      }
      const regions = view.outline ? about.regions : [];
      const paths = regions.map(([label]) => [
        outline(labels, width, height, (each) => each === label), colorOf(label)]);
      picture.draw(gray, data.heat && view.heat ? heat : null, view.opacity, 0, paths);
      const [x, y] = [width - 1 - at[plane.right] + 0.5, height - 1 - at[plane.up] + 0.5];
      const cross = new Path2D(`M0 ${y}H${x - 3}M${x + 3} ${y}H${width}M${x} 0V${y - 3}M${x} ${y + 3}V${height}`);
      const pen = picture.canvas.getContext("2d");
      pen.lineWidth = 1 / picture.scale;
      pen.strokeStyle = "rgba(255, 255, 255, 0.7)";
      pen.stroke(cross);
    };
    const follow = (event) => {
      if (event.type === "pointermove" && event.buttons !== 1) return;
      go(pointAt(...picture.at(event)));
    };
    picture.canvas.addEventListener("pointerdown", follow);
    picture.canvas.addEventListener("pointermove", follow);
    const step = (axis, by) => (event) => {
      const point = [...at];
      point[axis] += by * (event.shiftKey ? 5 : 1);
      go(point);
    };
    onKeys(picture.canvas, "button", {
      ArrowLeft: step(plane.right, 1), ArrowRight: step(plane.right, -1), ArrowUp: step(plane.up, 1),
      ArrowDown: step(plane.up, -1), PageUp: step(plane.cut, 1), PageDown: step(plane.cut, -1),
    });
    const words = h("figcaption", { class: "lrpx-label", text: plane.name });
    return { draw, root: h("figure", {}, words, picture.canvas) };
  });

  const reading = h("p", { class: "lrpx-note lrpx-reading" });
  const voice = announcer();
  const redraw = oncePerFrame(() => planes.forEach((plane) => plane.draw()));
  const go = (point) => {
    point.forEach((value, axis) => {
      at[axis] = clamp(value, 0, shape[axis] - 1);
      sliders[axis].set(at[axis]);
    });
    const here = index(at);
    const place = about.regions.find(([label]) => label === data.labels?.[here])?.[1];
    const relevance = data.heat ? `relevance ${two(strengthOf(data.heat[here]))} of the largest` : "";
    const where = at.map((value, axis) => length(value, axis)).join(", ");
    reading.textContent = [`${where} mm`, place, relevance].filter(Boolean).join(" · ");
    voice.say(reading.textContent);
    redraw();
  };
  const sliders = NAMES.map((label, axis) =>
    slider({ label, min: 0, max: shape[axis] - 1, value: at[axis],
      format: (value) => `${length(value, axis)} mm`,
      oninput: (value) => {
        const point = [...at];
        point[axis] = value;
        go(point);
      } }));
  const look = (name, label) => check({ label, value: true, onchange: (on) => ((view[name] = on), redraw()) });
  const opacity = opacitySlider(view.opacity, (value) => ((view.opacity = value), redraw()));
  const bar = colorBar();
  bar.set("max");
  const body = frame(about.title,
    h("div", { class: "lrpx-planes" }, ...planes.map((plane) => plane.root)),
    reading,
    h("div", { class: "lrpx-pick" }, ...sliders.map((each) => each.root), data.heat ? opacity.root : null),
    h("div", { class: "lrpx-row" },
      data.heat ? look("heat", "relevance").root : null, data.labels ? look("outline", "outlines").root : null,
      data.labels ? legendOf(about.regions) : null),
    data.heat ? bar.root : null,
    h("p", { class: "lrpx-note", text: about.note }),
    keyHelp({ "← → ↑ ↓": "on a plane: move the point", "PgUp PgDn": "through the planes", "Shift + arrow": "five voxels" }),
    voice.root);
  root.append(body);
  go(at);
  return () => voice.stop();
};

export default { render: ({ model, el }) => volume(model, el) };
