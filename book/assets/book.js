// What scrolls sideways must be reachable from the keyboard.
(function () {
  const wide = "table, .cell_output .output, .lrpbook-plotly, pre";
  const reach = () => {
    for (const each of document.querySelectorAll(wide)) {
      if (each.scrollWidth > each.clientWidth) each.tabIndex = 0;
    }
  };
  window.addEventListener("load", reach);
  window.addEventListener("resize", reach);
})();
// Two slices under grids of blocks (explore.pair_explorer): the block under the pointer
// lights up its partners in the other slice.
(function () {
  const link = (plot) => {
    const between = plot.layout?.meta?.between;
    if (!between) return;
    const rest = plot.data.map((grid) => grid.z);
    const side = rest[0].length;
    const grid = (values) => {
      const top = Math.max(...values.map(Math.abs)) || 1;
      return rest[0].map((_, row) =>
        values.slice(row * side, (row + 1) * side).map((value) => value / top));
    };
    let lit = null;
    const show = (block, ...z) => {
      if (block === lit) return;
      lit = block;
      window.Plotly.restyle(plot, { z }, [0, 1]);
    };
    plot.on("plotly_hover", ({ points: [{ curveNumber, pointNumber }] }) => {
      const block = pointNumber[0] * side + pointNumber[1];
      const partners = curveNumber ? between.map((row) => row[block]) : between[block];
      const own = grid(between.map((_, other) => Number(other === block)));
      const z = curveNumber ? [grid(partners), own] : [own, grid(partners)];
      show(curveNumber + ":" + block, ...z);
    });
    plot.on("plotly_unhover", () => show(null, ...rest));
  };
  window.addEventListener("load", () =>
    document.querySelectorAll(".plotly-graph-div").forEach(link));
})();
