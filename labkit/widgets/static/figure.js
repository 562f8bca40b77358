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

// Plotly's view of a figure goes on listening after its cell was run again and its picture taken away. It then fails at
// the first change, and nobody behind it hears of that one: the new picture would stand still. So a view's listeners
// go when it goes. `plotlyWidget` is the bundle's own widget.
const withViewsThatEnd = () => {
  const widget = plotlyWidget();
  let model;
  let heard = null; // what the view that is being made listens to
  const on = (event, callback) => {
    heard?.push([event, callback]);
    model.on(event, callback);
  };
  const noted = {
    get: (target, name) => {
      if (name === "on") return on;
      const value = target[name];
      return typeof value === "function" ? value.bind(target) : value;
    },
  };
  return {
    initialize(context) {
      model = context.model;
      return widget.initialize({ ...context, model: new Proxy(model, noted) });
    },
    render(context) {
      const own = (heard = []);
      const end = widget.render(context);
      heard = null;
      return () => {
        for (const [event, callback] of own) model.off(event, callback);
        end();
      };
    },
  };
};
export default withViewsThatEnd;
