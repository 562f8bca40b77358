// The HTML parts of the dashboard (labkit/widgets/panel.py). Rows are kept by key and changed in place, so that a
// button keeps its focus and a slider its thumb while the cluster moves on.

const SILENT_AFTER = 7000; // ms without a sign of life from the kernel

const CONTROLS = new Set(["button", "input", "summary"]);

/** An element: h("button.small", {onclick, title}, "text", child…). */
function h(spec, props = {}, ...children) {
  const [tag, ...classes] = spec.split(".");
  const element = document.createElement(tag || "div");
  if (classes.length) element.className = classes.map((name) => `lk-${name}`).join(" ");
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(element.style, value);
    else if (name in element && name !== "list") element[name] = value;
    else element.setAttribute(name, value);
  }
  // Arrows and Enter belong to the control that has the focus. JupyterLab asks the very element, not its parents.
  if (CONTROLS.has(tag)) element.dataset.lmSuppressShortcuts = "true";
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Make `parent` hold one child an item, in order, reusing those that are there. */
function keyed(parent, items, key, create, update) {
  const rows = parent.lkRows ?? (parent.lkRows = new Map());
  const wanted = new Set(items.map(key));
  for (const [id, row] of rows) {
    if (!wanted.has(id)) {
      row.remove();
      rows.delete(id);
    }
  }
  items.forEach((item, index) => {
    const id = key(item);
    let row = rows.get(id);
    if (!row) {
      row = create(item);
      rows.set(id, row);
    }
    if (parent.children[index] !== row) parent.insertBefore(row, parent.children[index] ?? null);
    update(row, item);
  });
}

function renderBar(model, el) {
  const send = (intent, more = {}) => model.send({ intent, ...more });
  const info = model.get("info");
  const state = h("span.state", { role: "status" });
  const updated = h("span.muted");
  const outcome = h("div.outcome", { role: "status", "aria-live": "polite" });
  const time = h("output.time");
  const slider = h("input.history", {
    type: "range", min: 0, step: 1, title: "Look at the past of this cluster",
    "aria-label": "history: moment that is shown",
    oninput: () => send("scrub", { index: Number(slider.value) }),
  });
  const live = h("button.live", {
    type: "button", title: "Back to the present", onclick: () => send("live"),
  }, "Live");
  const dead = h("input", {
    type: "checkbox", onchange: () => send("show_dead", { on: dead.checked }),
  });
  el.append(
    h("header.bar", {},
      h("div.who", {},
        h("strong", {}, info.name ?? ""),
        h("span.muted", {}, `${info.orchestrator} · ${info.engine}`), state, updated),
      h("div.controls", {},
        h("label.check", { title: "Keep tasks that failed, completed or were stopped where they ended" },
          dead, "ended tasks"),
        h("label.past", {}, h("span.muted", {}, "history"), slider, time), live)),
    outcome,
  );

  let heard = Date.now();
  const show = () => {
    const health = model.get("health");
    const silent = Date.now() - heard > SILENT_AFTER;
    const trouble = silent ? "kernel silent" : health.stale ? "stale" : health.error ? "trouble" : "";
    setText(state, trouble || "live");
    state.className = `lk-state ${trouble ? "lk-bad" : "lk-good"}`;
    state.title = silent
      ? "No sign of life from the notebook's kernel: run the cell again to see the present"
      : health.error || (health.stale ? "The cluster could not be read lately" : "The picture is current");
    setText(updated, health.updated ? `updated ${health.updated}` : "not read yet");
    const last = model.get("outcome");
    const text = silent
      ? "The kernel does not answer: this picture is old. Run the cell again."
      : last.text || health.error;
    // A trouble of the cluster stays in sight beside what was done last.
    setText(outcome, !silent && last.text && health.error && last.text !== health.error
      ? `${last.text} — ${health.error}` : text || "");
    outcome.className = `lk-outcome lk-${silent || health.error ? "error" : last.level || "info"}`;
    outcome.hidden = !outcome.textContent;
  };
  const showHistory = () => {
    const past = model.get("history");
    slider.max = Math.max(0, (past.count ?? 1) - 1);
    slider.disabled = (past.count ?? 0) < 2;
    if (past.index < 0) slider.value = slider.max;
    else if (document.activeElement !== slider) slider.value = past.index;
    setText(time, past.index < 0 ? "now" : past.time);
    live.disabled = past.index < 0;
    live.classList.toggle("lk-on", past.index < 0);
    dead.checked = Boolean(model.get("options").show_dead);
  };
  const alive = () => {
    heard = Date.now();
    show();
  };
  const stop = listen(model, {
    "change:beat": alive, "change:health": show, "change:outcome": show,
    "change:history": showHistory, "change:options": showHistory,
  });
  const timer = setInterval(show, 1000);
  show();
  showHistory();
  return () => {
    clearInterval(timer);
    stop();
  };
}

function listen(model, handlers) {
  for (const [event, handler] of Object.entries(handlers)) model.on(event, handler);
  return () => {
    for (const [event, handler] of Object.entries(handlers)) model.off(event, handler);
  };
}

/** A button for a verb; `actions` are the orchestrator's own words for each (labkit/widgets/actions.py). */
function actionButton(send, actions, name, more) {
  const [text, title, bad] = actions[name] ?? [name, "", false];
  return h(bad ? "button.small.danger" : "button.small", {
    type: "button", title, "aria-label": `${text} ${more.label ?? more.name ?? ""}`, onclick: (event) => {
      event.stopPropagation();
      send(name, more);
    },
  }, text);
}

function renderPanel(model, el) {
  const send = (intent, more = {}) => model.send({ intent, ...more });
  const info = model.get("info");
  const actions = info.actions ?? {};
  const workloads = h("div.rows.workloads");
  const services = h("div.rows.services", { "aria-label": "services" });
  const frameworks = h("div.rows.frameworks", { "aria-label": "frameworks by dominant share" });
  const shares = h("div.shares", { hidden: true }, h("h3", {
    title: "Dominant Resource Fairness: who has the smallest share over its weight is offered resources first",
  }, "Dominant shares"), frameworks);
  const nodes = h("div.rows");
  const events = h("ol.events", { "aria-label": "events, newest first", tabIndex: 0 });
  const detail = h("section.detail", { "aria-label": "details" });
  el.append(h("div.panels", {},
    h("section.column", { "aria-label": "workloads" }, shares, h("h3", {}, "Workloads"), workloads, services,
      deployForm(send, info)),
    h("section.column", { "aria-label": "nodes" }, h("h3", {}, "Nodes"), nodes),
    h("section.column", { "aria-label": "details and events" }, detail, h("h3", {}, "Events"), events)));

  const showWorkloads = () => {
    const items = model.get("workloads");
    const chosen = model.get("options").highlight;
    workloads.classList.toggle("lk-empty", !items.length);
    workloads.dataset.empty = "Nothing is deployed yet.";
    keyed(workloads, items, (w) => w.id, (w) => workloadRow(send, w), (row, w) => row.lkUpdate(w, chosen));
  };
  const showServices = () => {
    const items = model.get("services");
    const chosen = model.get("options").highlight;
    services.hidden = !items.length;
    keyed(services, items, (s) => s.id, (s) => serviceRow(send, s), (row, s) => row.lkUpdate(s, chosen));
  };
  const showFrameworks = () => {
    const items = model.get("frameworks");
    const chosen = model.get("options").highlight;
    shares.hidden = !items.length;
    keyed(frameworks, items, (f) => f.id, (f) => frameworkRow(send, f), (row, f) => row.lkUpdate(f, chosen));
  };
  const showNodes = () => keyed(nodes, model.get("nodes"), (n) => n.id || n.name,
    () => nodeRow(send, actions), (row, n) => row.lkUpdate(n));
  const showEvents = () => keyed(events, model.get("events"), (e) => e.key,
    (e) => h(`li.${e.level}`, {}, h("time", {}, e.time), h("span", {}, e.text)), () => {});
  const showDetail = () => fillDetail(detail, model.get("detail"), send, actions);
  const showAll = () => {
    showWorkloads();
    showServices();
    showFrameworks();
  };
  const lock = () => el.classList.toggle("lk-past", model.get("history").index >= 0);
  const stop = listen(model, {
    "change:workloads": showWorkloads, "change:services": showServices,
    "change:frameworks": showFrameworks, "change:options": showAll,
    "change:nodes": showNodes,
    "change:events": showEvents, "change:detail": showDetail, "change:history": lock,
  });
  for (const draw of [showAll, showNodes, showEvents, showDetail, lock]) draw();
  return stop;
}

function workloadRow(send, first) {
  let w = first;
  let mine = null; // what the hand set, until the cluster has it
  const ask = (replicas) => {
    const wanted = Math.max(0, replicas);
    mine = { wanted, until: Date.now() + 4000 };
    draw();
    send("scale", { workload: w.id, name: w.name, replicas: wanted });
  };
  const current = () => (mine ? mine.wanted : w.desired);
  const count = h("span.count");
  const bar = h("span");
  const swatch = h("span.swatch");
  const slider = h("input", {
    type: "range", min: 0, step: 1, oninput: () => setText(target, slider.value),
    onchange: () => ask(Number(slider.value)),
  });
  const target = h("output.target");
  const less = h("button.step", { type: "button", onclick: () => ask(current() - 1) }, "−");
  const more = h("button.step", { type: "button", onclick: () => ask(current() + 1) }, "+");
  const name = h("button.name", {
    type: "button", title: "Details; its tasks stand out in the graph", onclick: () => {
      send("select", { kind: "workload", id: w.id });
      send("highlight", { id: row.classList.contains("lk-chosen") ? "" : w.id });
    },
  });
  const note = h("span.muted.note");
  const scale = h("div.scale", {}, less, slider, more, target);
  const children = h("div.children");
  const row = h("div.row.workload", {},
    h("div.line", {}, swatch, name, note, count),
    h("div.meter", { role: "img" }, bar), children, scale);

  const draw = () => {
    if (mine && (w.desired === mine.wanted || Date.now() > mine.until)) mine = null;
    swatch.style.background = w.colour;
    setText(name, w.name);
    setText(count, `${w.running} / ${w.desired}`);
    setText(note, w.update || [w.image, w.ports].filter(Boolean).join("  "));
    note.title = note.textContent;
    const part = w.desired ? Math.min(1, w.running / w.desired) : 0;
    bar.style.width = `${part * 100}%`;
    bar.className = w.running >= w.desired ? "lk-full" : "";
    bar.parentElement.setAttribute("aria-label", `${w.running} of ${w.desired} tasks of ${w.name} run`);
    scale.hidden = !w.scalable;
    // One version is what the row itself tells; two are a rollout, and worth a line each.
    keyed(children, w.children.length > 1 ? w.children : [], (c) => c.id, childRow, (line, c) => line.lkUpdate(c));
    slider.max = String(Math.max(10, current() * 2, Number(slider.max) > 10 && document.activeElement === slider
      ? Number(slider.max) : 0));
    slider.setAttribute("aria-label", `replicas of ${w.name}`);
    slider.title = `How many tasks of ${w.name} there should be`;
    less.setAttribute("aria-label", `one ${w.name} less`);
    more.setAttribute("aria-label", `one ${w.name} more`);
    if (!slider.matches(":active")) {
      slider.value = current();
      setText(target, String(current()));
    }
    less.disabled = current() === 0;
  };
  row.lkUpdate = (item, chosen) => {
    w = item;
    row.classList.toggle("lk-chosen", chosen === w.id);
    draw();
  };
  return row;
}

/** One of the versions that a workload has made (a ReplicaSet of a Deployment). */
function childRow() {
  const swatch = h("span.swatch");
  const name = h("span.note");
  const count = h("span.count");
  const line = h("div.line.child", {}, swatch, name, count);
  line.lkUpdate = (c) => {
    swatch.style.background = c.colour;
    setText(name, `${c.revision ? `rev ${c.revision}  ` : ""}${c.name}  ${c.image}`);
    name.title = name.textContent;
    setText(count, c.count);
  };
  return line;
}

function serviceRow(send, first) {
  const name = h("button.name", {
    type: "button", title: "Details; the pods that it sends to stand out in the graph", onclick: () => {
      send("select", { kind: "service", id: first.id });
      send("highlight", { id: row.classList.contains("lk-chosen") ? "" : first.id });
    },
  });
  const note = h("span.muted.note");
  const count = h("span.count");
  const row = h("div.row.line.service", {}, h("span.sign", {}, "⇄"), name, note, count);
  row.lkUpdate = (s, chosen) => {
    row.classList.toggle("lk-chosen", chosen === s.id);
    row.dataset.served = s.served;
    setText(name, s.name);
    setText(note, s.note);
    note.title = s.note;
    setText(count, s.count);
    count.title = "pods that get traffic, of those that it selects";
  };
  return row;
}

/** A framework's dominant share as a bar; what it is offered besides is paler. */
function frameworkRow(send, first) {
  const name = h("button.name", {
    type: "button", title: "Details; its tasks stand out in the graph", onclick: () => {
      send("select", { kind: "framework", id: first.id });
      send("highlight", { id: row.classList.contains("lk-chosen") ? "" : first.card });
    },
  });
  const note = h("span.muted.note");
  const count = h("span.count");
  const held = h("span.held");
  const share = h("span");
  const meter = h("div.meter.share", { role: "img" }, held, share);
  const row = h("div.row.framework", {}, h("div.line", {}, name, note, count), meter);
  row.lkUpdate = (f, chosen) => {
    row.classList.toggle("lk-chosen", chosen === f.card);
    setText(name, f.name);
    setText(note, f.note);
    note.title = f.note;
    setText(count, f.words);
    share.style.width = `${Math.min(1, f.share) * 100}%`;
    held.style.width = `${Math.min(1, f.held) * 100}%`;
    meter.setAttribute("aria-label", `${f.name}: dominant share ${f.words}, ${f.note}`);
  };
  return row;
}

function nodeRow(send, actions) {
  const sign = h("span.sign");
  const name = h("button.name", { type: "button" });
  const note = h("span.muted.note");
  const buttons = h("span.buttons");
  const row = h("div.row.node", {}, sign, name, note, buttons);
  let shown = "";
  let item = {};
  name.addEventListener("click", () => send("select", { kind: "node", id: item.id }));
  row.lkUpdate = (n) => {
    item = n;
    row.dataset.condition = n.condition;
    setText(sign, n.sign);
    setText(name, n.name);
    name.title = n.meaning;
    name.disabled = !n.id;
    setText(note, n.note);
    note.title = `${n.role}: ${n.meaning}; ${n.tasks} ${n.tasks === 1 ? "task" : "tasks"}`;
    const names = [];
    if (n.id && n.drains !== false) names.push(n.availability === "active" ? "drain" : "activate");
    if (n.plug && n.plug !== "unknown") names.push(n.plug === "up" || n.plug === "slow" ? "fail" : "heal");
    if (names.join() !== shown) {
      shown = names.join();
      const focused = buttons.contains(document.activeElement)
        ? [...buttons.children].indexOf(document.activeElement) : -1;
      buttons.replaceChildren(...names.map((action) =>
        actionButton(send, actions, action, { node: n.id, machine: n.name, name: n.name })));
      if (focused >= 0) buttons.children[focused]?.focus();
    }
  };
  return row;
}

function fillDetail(section, detail, send, actions) {
  const key = JSON.stringify(detail);
  if (section.dataset.key === key) return;
  section.dataset.key = key;
  // Whoever stopped a component by keyboard is still at its button, which starts it now.
  const focused = [...section.querySelectorAll("button")].indexOf(document.activeElement);
  drawDetail(section, detail, send, actions);
  if (focused >= 0) section.querySelectorAll("button")[focused]?.focus();
}

function drawDetail(section, detail, send, actions) {
  if (!detail.kind) {
    section.replaceChildren(h("h3", {}, "Details"),
      h("p.muted", {}, "Click a task or a node in the picture, or a name in these lists."));
    return;
  }
  const more = { name: detail.title, machine: detail.machine };
  more[detail.kind] = detail.id;
  const mark = h("span.pill", {}, detail.sign);
  if (detail.fill) mark.style.setProperty("--lk-fill", detail.fill);
  section.replaceChildren(
    h("h3", {}, detail.title, mark, h("button.close", {
      type: "button", title: "Close", "aria-label": "close details",
      onclick: () => send("select", { kind: "", id: "" }),
    }, "×")),
    ...(detail.places?.rows ? [placesTable(detail.places)] : []),
    ...(detail.reasons.length
      ? [h("div.reasons", {}, h("b", {}, detail.heading),
        h("ul", {}, ...detail.reasons.map((reason) => h("li", {}, reason))))] : []),
    h("dl", {}, ...detail.fields.flatMap(([name, value]) => [h("dt", {}, name), h("dd", { title: value }, value)])),
    h("div.buttons", {}, ...detail.actions.map((action) => actionButton(send, actions, action, more))),
    ...(detail.relabel ? [relabelForm(send, actions, more)] : []),
    ...(detail.components?.length ? [h("div.components", {}, ...detail.components.map((component) =>
      componentRow(send, actions, component, detail.machine)))] : []),
  );
}

/** Node by node: who got the task, who could have had it, who could not and why. */
function placesTable(places) {
  return h("div.places", {}, h("b", {}, places.heading), h("span.muted", {}, ` ${places.source}`),
    h("table", {}, h("tbody", {}, ...places.rows.map((row) => h(`tr.${row.verdict.replace(" ", "-")}`, {},
      h("td", { title: row.verdict }, row.sign), h("th", { scope: "row" }, row.node),
      h("td.score", { title: "score" }, row.score), h("td", { title: row.filter }, row.words))))));
}

/** A part of the orchestrator that runs on the node, and the button that stops or starts it. */
function componentRow(send, actions, component, machine) {
  const verb = component.state === "stopped" ? "start" : "stop";
  const more = { component: component.name, machine, label: `${component.name} on ${machine}` };
  return h("div.line.component", {}, h("span.note", { title: component.state }, component.name),
    ...(component.state === "running" ? [] : [h("span.bad", {}, component.state)]), // two share a line: names go first
    ...(component.state === "unknown" ? [] : [h("span.buttons", {}, actionButton(send, actions, verb, more))]));
}

function relabelForm(send, actions, more) {
  const [text, title] = actions.relabel ?? ["Set label", ""];
  const label = h("input", { name: "label", placeholder: "app=web or app-", autocomplete: "off", "aria-label": "label" });
  const form = h("form.relabel", {
    onsubmit: (event) => {
      event.preventDefault();
      send("relabel", { ...more, label: label.value });
      label.value = "";
    },
  }, label, h("button.small", { type: "submit", title }, text));
  form.addEventListener("keydown", (event) => event.stopPropagation());
  return form;
}

function deployForm(send, info) {
  const id = `lk-images-${Math.random().toString(36).slice(2)}`;
  const name = h("input", { name: "name", required: true, placeholder: "web", autocomplete: "off" });
  const image = h("input", {
    name: "image", required: true, placeholder: "traefik/whoami:v1.10", list: id, autocomplete: "off",
  });
  const many = info.orchestrator === "marathon" ? "instances" : "replicas";
  const replicas = h("input", { name: "replicas", type: "number", min: 0, value: 1 });
  const port = h("input", { name: "port", placeholder: "8080:80", autocomplete: "off" });
  const form = h("form.deploy", {
    onsubmit: (event) => {
      event.preventDefault();
      send("deploy", { name: name.value, image: image.value, replicas: replicas.value, port: port.value });
      name.value = "";
      port.value = "";
    },
  },
  h("label.wide", {}, "image", image), h("label", {}, "name", name),
  h("label.short", {}, many, replicas), h("label.short", {}, "port", port),
  h("button.small.primary", { type: "submit", title: "Deploy this workload" }, "Deploy"),
  h("datalist", { id }, ...(info.images ?? []).map((reference) => h("option", { value: reference }))));
  // JupyterLab's shortcuts must not act while one types.
  form.addEventListener("keydown", (event) => event.stopPropagation());
  return h("details.more", {}, h("summary", {}, "Deploy another"), form);
}

export default {
  render({ model, el }) {
    el.classList.add("lk-root");
    el.dataset.part = model.get("part");
    return model.get("part") === "bar" ? renderBar(model, el) : renderPanel(model, el);
  },
};
