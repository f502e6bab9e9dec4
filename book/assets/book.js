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
