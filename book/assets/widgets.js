// Loaded between require.js and the widget manager on pages that hold widgets.
(function () {
  const here = document.currentScript.src;
  const local = (path) => new URL(path, here).href;
  // Where the widget manager would ask a CDN, it finds these files instead.
  requirejs.config({
    paths: {
      anywidget: local("anywidget"),
      "@jupyter-widgets/html-manager": local("html-manager/index"),
      "@jupyter-widgets/html-manager/dist": local("html-manager"),
    },
  });
  // ipywidgets asks MathJax 2 to typeset; give MathJax 3 that door.
  const hub = {
    Queue: ([, , element]) => {
      element.classList.add("mathjax_process"); // the page's math is opt-in by class
      window.MathJax.startup.promise?.then(() => window.MathJax.typesetPromise([element]));
    },
  };
  window.MathJax = window.MathJax || {};
  window.MathJax.Hub = hub;
  const delimiters = [["$", "$"], ["\\(", "\\)"]]; // as in a notebook
  window.MathJax.tex = Object.assign({ inlineMath: delimiters }, window.MathJax.tex);
  const startup = window.MathJax.startup || {};
  window.MathJax.startup = Object.assign(startup, {
    ready: () => {
      window.MathJax.startup.defaultReady();
      window.MathJax.Hub = hub;
    },
  });
})();
