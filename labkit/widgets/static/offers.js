// The offers desk (labkit/widgets/offerdesk.py). Cards and orders are kept by key and changed in place, so that a box that
// is ticked stays ticked, and a button keeps its focus, while the cluster moves on.

const STATES = { off: "○ not a framework", connecting: "… connecting", on: "● subscribed", lost: "✕ connection lost" };
const REFUSE = [["5", "5 s"], ["30", "30 s"], ["120", "2 min"]];

function h(spec, props = {}, ...children) {
  const [tag, ...classes] = spec.split(".");
  const element = document.createElement(tag || "div");
  if (classes.length) element.className = classes.map((name) => `lk-${name}`).join(" ");
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  // Arrows, Enter and letters belong to the control that has the focus. JupyterLab asks the very element.
  if (["button", "input", "select"].includes(tag)) element.dataset.lmSuppressShortcuts = "true";
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
    let row = rows.get(key(item));
    if (!row) rows.set(key(item), row = create(item));
    if (parent.children[index] !== row) parent.insertBefore(row, parent.children[index] ?? null);
    update(row, item);
  });
}

const clock = (seconds) => {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
};

function render({ model, el }) {
  const send = (what, more = {}) => model.send({ do: what, ...more });
  let ahead = 0; // how much the page's clock is ahead of the kernel's
  const now = () => Date.now() / 1000 - ahead;

  const state = h("span.desk-state", { role: "status" });
  const words = h("span.desk-muted");
  const button = (name, what, title) =>
    h("button", { type: "button", title, onclick: () => send(what) }, name);
  const subscribe = button("Subscribe", "subscribe", "Become a framework");
  subscribe.classList.add("lk-desk-primary");
  const revive = button("Revive", "revive", "REVIVE: forget what was declined, offer me everything again");
  const begin = button("Start a round", "round", "All orders again, against the clock");
  const teardown = button("Tear down", "teardown", "TEARDOWN: stop being a framework; Mesos kills your tasks");
  const problem = h("div.desk-problem", { role: "alert", hidden: true });
  const timer = h("div.desk-timer", { role: "timer", hidden: true });
  const orders = h("ul.desk-orders", { "aria-label": "orders" });
  const cards = h("div.desk-cards", { tabIndex: -1 });
  cards.dataset.lmSuppressShortcuts = "true";
  const none = h("p.desk-none.desk-muted");
  const log = h("ol.desk-log", { "aria-label": "what was said" });
  const root = h("section.desk", { "aria-label": "offers desk" },
    h("header", {}, h("strong", {}, "Offers desk"), state, words,
      h("span.desk-buttons", {}, subscribe, revive, begin, teardown)),
    problem,
    h("h4", {}, "Orders"), timer, orders,
    h("h4", {}, "Offers in your hand"), cards, none,
    h("details", {}, h("summary", {}, "What was said"), log));
  el.replaceChildren(root);

  /** A card: the agent, what is offered, a box for each order that is open, and two answers. */
  function card(offer) {
    const held = h("span.desk-clock", { role: "timer", title: "how long you have held it" });
    const picks = h("fieldset.desk-picks", {}, h("legend", {}, "Launch"));
    const seconds = h("select", { "aria-label": "refuse seconds", title: "not to be offered this again for" },
      ...REFUSE.map(([value, text]) => h("option", { value }, text)));
    const accept = h("button.desk-primary", {
      type: "button", disabled: true, title: "ACCEPT: launch what is ticked on this agent",
      onclick: () => send("accept", { offer: offer.id, orders: chosen() }),
    }, "Accept");
    const decline = h("button", {
      type: "button", title: "DECLINE: give it back",
      onclick: () => send("decline", { offer: offer.id, seconds: Number(seconds.value) }),
    }, "Decline");
    const boxes = h("div");
    picks.append(boxes);
    const chosen = () => [...boxes.querySelectorAll("input:checked")].map((box) => box.value);
    picks.addEventListener("change", () => { accept.disabled = !chosen().length; });
    const cpus = h("b");
    const mem = h("b");
    const made = h("article.desk-card", { "aria-label": `offer of ${offer.machine}` },
      h("div.desk-head", {}, h("strong", {}, offer.machine), held),
      h("div.desk-amounts", {}, h("span", {}, cpus, " cpus"), h("span", {}, mem, " MiB")),
      h("div.desk-muted", {}, offer.attributes.join(" · ")),
      picks,
      h("div.desk-answers", {}, accept, h("span", {}, decline, " for ", seconds)));
    made.dataset.machine = offer.machine;
    Object.assign(made, { lkHeld: held, lkCpus: cpus, lkMem: mem, lkBoxes: boxes, lkAccept: accept, lkChosen: chosen });
    return made;
  }

  function showCards(view) {
    const open = view.orders.filter((order) => ["open", "failed"].includes(order.state));
    const focused = cards.contains(document.activeElement);
    keyed(cards, view.offers, (offer) => offer.id, card, (made, offer) => {
      made.lkAt = offer.at;
      setText(made.lkCpus, String(+offer.cpus.toFixed(2)));
      setText(made.lkMem, String(Math.round(offer.mem)));
      keyed(made.lkBoxes, open, (order) => order.name,
        (order) => h("label", {}, h("input", { type: "checkbox", value: order.name }), ` ${order.name} `,
          h("span.desk-muted", {}, order.needs + (order.wants ? `, in ${order.wants}` : ""))), () => {});
      made.lkAccept.disabled = !made.lkChosen().length;
    });
    // A card that was answered takes the focus along: the next Tab should go on from here, not from the page's top.
    if (focused && !cards.contains(document.activeElement)) cards.focus({ preventScroll: true });
    none.hidden = view.offers.length > 0;
    setText(none, view.state !== "on" ? "Subscribe, and see what you are offered."
      : view.away.length ? "None: you declined them." : "None: nothing is free, or others hold it.");
  }

  function orderRow(order) {
    const text = h("span.desk-words");
    const kill = h("button", { type: "button", title: "KILL this task" }, "Kill");
    kill.addEventListener("click", () => send("kill", { task: kill.value }));
    const row = h("li", {}, h("b", {}, order.name), h("span.desk-muted", {},
      order.needs + (order.wants ? `, in ${order.wants}` : "")), text, kill);
    return Object.assign(row, { lkText: text, lkKill: kill });
  }

  const SIGNS = { open: "○", placed: "…", served: "✔", wrong: "✕", failed: "✕" };

  function show() {
    const view = model.get("view");
    ahead = Date.now() / 1000 - model.get("now");
    root.dataset.state = view.state;
    setText(state, STATES[view.state]);
    setText(words, view.words === "not subscribed" ? "" : view.words);
    subscribe.disabled = view.state !== "off";
    for (const one of [revive, begin]) one.disabled = view.state !== "on";
    teardown.disabled = view.state === "off";
    keyed(orders, view.orders, (order) => order.name, orderRow, (row, order) => {
      row.dataset.state = order.state;
      row.dataset.order = order.name;
      setText(row.lkText, `${SIGNS[order.state]} ${order.words}`);
      row.lkKill.value = order.task;
      row.lkKill.hidden = !order.task;
    });
    showCards(view);
    keyed(log, view.log.slice(0, 12), (line) => `${line.at} ${line.text}`,
      (line) => h("li", {}, h("time", {}, new Date((line.at + ahead) * 1000).toTimeString().slice(0, 8)), ` ${line.text}`),
      () => {});
    tick();
  }

  /** What changes by itself: the clocks. */
  function tick() {
    const view = model.get("view");
    for (const made of cards.children) setText(made.lkHeld, `held ${clock(now() - made.lkAt)}`);
    const away = view.away.filter((one) => one.until > now());
    if (away.length && !view.offers.length) {
      setText(none, `Declined: ${away.map((one) => `${one.machine} for another ${clock(one.until - now() + 1)}`).join(", ")}`);
    }
    const game = view.round;
    timer.hidden = !game.of;
    if (!game.of) return;
    const took = (game.done || now()) - game.began;
    const over = took > game.limit;
    timer.dataset.over = String(over);
    const left = game.done ? `in ${clock(took)}` : over ? "time is up" : `${clock(game.limit - took + 1)} left`;
    setText(timer, `${game.done && !over ? "✔ " : ""}${game.served} of ${game.of} served, ${left}`);
  }

  const complain = () => {
    problem.hidden = !model.get("problem");
    setText(problem, model.get("problem"));
  };
  model.on("change:view", show);
  model.on("change:problem", complain);
  show();
  complain();
  const ticking = setInterval(tick, 500);
  return () => {
    clearInterval(ticking);
    model.off("change:view", show);
    model.off("change:problem", complain);
  };
}

export default { render };
