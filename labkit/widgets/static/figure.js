// Appended to plotly's own widget bundle (labkit/widgets/figurewidget.py): a graph is as wide as the place it is in.
// Plotly measures once, sometimes before the output has its width, and then looks again only when the window changes.
if (!globalThis.labkitGraphs) {
  globalThis.labkitGraphs = true;
  document.addEventListener("plotlywidget-after-render", (event) => {
    const element = event.detail.element;
    if (!element.classList.contains("labkit-graph") || element.labkitObserved) return;
    element.labkitObserved = true;
    let asked = 0;
    new ResizeObserver(() => {
      cancelAnimationFrame(asked);
      asked = requestAnimationFrame(() => {
        const drawn = element._fullLayout?.width ?? 0;
        // The widget listens for this and fits the figure.
        if (element.clientWidth && Math.abs(element.clientWidth - drawn) > 1) window.dispatchEvent(new Event("resize"));
      });
    }).observe(element);
  });
}
