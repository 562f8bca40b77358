// Appended to plotly's own widget bundle (labkit/widgets/figurewidget.py): a graph is as wide as the place it is in.
// Plotly measures once, sometimes before the output has its width; while it draws it does not hear that the window
// changes, and it may keep the width of that moment as if somebody had asked for it. So graphs are looked after.
if (!globalThis.labkitGraphs) {
  globalThis.labkitGraphs = true;
  const fit = (element) => {
    const drawn = element._fullLayout?.width;
    if (!drawn || !element.clientWidth || Math.abs(element.clientWidth - drawn) <= 1) return;
    delete element.layout.width; // with one of its own plotly takes a figure as fixed
    window.dispatchEvent(new Event("resize")); // the widget listens for this and fits the figure
  };
  const fitAll = () => document.querySelectorAll(".labkit-graph").forEach(fit);
  let asked = 0;
  const observer = new ResizeObserver(() => {
    cancelAnimationFrame(asked);
    asked = requestAnimationFrame(fitAll);
  });
  document.addEventListener("plotlywidget-after-render", (event) => observer.observe(event.detail.element));
  setInterval(fitAll, 1000);
}
