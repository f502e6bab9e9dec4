// CohortBrowser: a table of slices to filter and sort; a row opens the explorer.

const cohort = (model, root) => {
  const about = model.get("about");
  const state = { sort: about.columns[0].key, down: false, chosen: -1, filters: {}, low: 0, high: 1 };
  const shown = () => {
    const wanted = Object.entries(state.filters).filter(([, value]) => value !== "");
    const score = about.score;
    const rows = about.rows.filter((row) =>
      wanted.every(([key, value]) => row[key] === value) &&
      (!score || row[score] === null || (row[score] >= state.low && row[score] <= state.high)));
    const sign = state.down ? -1 : 1;
    const order = (a, b) => (a === b ? 0 : a === null ? 1 : b === null ? -1 : a < b ? -sign : sign);
    return rows.sort((a, b) => order(a[state.sort], b[state.sort]));
  };

  const head = h("tr", {}, ...about.columns.map(({ key, label }) => {
    const sort = button(label, () => {
      state.down = state.sort === key && !state.down;
      state.sort = key;
      draw();
    });
    return h("th", { scope: "col", "data-key": key }, sort);
  }));
  const body = h("tbody");
  const count = h("p", { class: "lrpx-note", role: "status" });
  const cell = (row, { key, bar }) => {
    const value = row[key];
    if (typeof value !== "number" || !bar) return h("td", { text: value ?? "–" });
    const fill = h("span", { class: "lrpx-fill" });
    fill.style.width = `${100 * clamp(value, 0, 1)}%`;
    return h("td", { class: "lrpx-number" }, h("span", { class: "lrpx-track", "aria-hidden": "true" }, fill), two(value));
  };
  const open = (row) => {
    state.chosen = row.slice;
    model.set("chosen", row.slice);
    model.save_changes();
    document.dispatchEvent(new CustomEvent("lrpx:open", { detail: { key: about.key, slice: row.slice } }));
    draw();
    body.querySelector("[aria-current] button")?.focus({ preventScroll: true });
  };
  const draw = () => {
    const rows = shown();
    head.querySelectorAll("th").forEach((each) => {
      const mine = each.dataset.key === state.sort;
      each.setAttribute("aria-sort", mine ? (state.down ? "descending" : "ascending") : "none");
    });
    body.replaceChildren(...rows.map((row) => {
      const [first, ...others] = about.columns;
      const link = button(row[first.key], () => open(row), { "aria-label": `Open ${row[first.key]}, slice ${row.z}` });
      const current = row.slice === state.chosen ? "true" : null;
      return h("tr", { "aria-current": current }, h("th", { scope: "row" }, link), ...others.map((each) => cell(row, each)));
    }));
    count.textContent = `${rows.length} of ${about.rows.length} slices`;
  };

  const filters = about.filters.map(({ key, label }) => {
    const values = [...new Set(about.rows.map((row) => row[key]))].sort();
    const options = [["", "any"], ...values.map((value) => [value, value])];
    return menu({ label, options, value: "", onchange: (value) => ((state.filters[key] = value), draw()) });
  });
  const bound = (name, label, value) =>
    slider({ label, min: 0, max: 1, step: 0.05, value, format: two, oninput: (to) => ((state[name] = to), draw()) });
  const bounds = about.score ? [bound("low", "Score from", 0), bound("high", "Score to", 1)] : [];
  root.append(frame(about.title,
    h("div", { class: "lrpx-pick" }, ...[...filters, ...bounds].map((each) => each.root)),
    count,
    h("div", { class: "lrpx-table", tabindex: "0", role: "region", "aria-label": "Slices" },
      h("table", {}, h("thead", {}, head), body)),
    h("p", { class: "lrpx-note", text: about.note })));
  draw();
};

export default { render: ({ model, el }) => cohort(model, el) };
