// One step of a lab. The whole state is `view` (see labkit/guide/render.py: step_view); every HTML part of it
// comes from the lab's own Markdown with raw HTML switched off, so it may be set as HTML. All else is text.
const STATUS = { passed: "✔ done", open: "● open", locked: "○ not yet open" };

function element(tag, className, parent, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  // Arrows and Enter belong to the control that has the focus. JupyterLab asks the very element, not its parents.
  if (tag === "button" || tag === "input") made.dataset.lmSuppressShortcuts = "true";
  if (parent) parent.append(made);
  return made;
}

function rich(tag, className, parent, html) {
  const made = element(tag, className, parent);
  made.innerHTML = html;
  return made;
}

/* Who had the focus before a panel was drawn anew has it afterwards: a check may speak while one types an answer. What
   is gone, or may not be used any more, leaves it to the panel, so that Tab goes on from there. */
function keepFocus(el, draw) {
  const before = document.activeElement;
  const held = el.contains(before);
  draw();
  if (!held) return;
  const name = before.dataset.control;
  const same = [...el.querySelectorAll("[data-control]")].find(({ dataset }) => dataset.control === name);
  const next = same && !same.disabled ? same : el.firstElementChild;
  if (next !== same) next.tabIndex = -1;
  next.focus({ preventScroll: true });
}

/* An option is what is sent; its label is how it reads. */
function choices(parent, name, legend, { choices: options, labels }, chosen, disabled, onChoose) {
  const set = element("fieldset", "lk-ask", parent);
  rich("legend", "", set, legend);
  options.forEach((option, index) => {
    const label = element("label", "lk-choice", set);
    const input = element("input", "", label);
    input.type = "radio"; input.name = name; input.value = option;
    input.checked = option === chosen; input.disabled = disabled;
    input.dataset.control = `${legend}: ${option}`;
    input.addEventListener("change", () => onChoose(option));
    rich("span", "", label, labels[index]);
  });
  return set;
}

let serial = 0;

function render({ model, el }) {
  const group = `lk-${serial += 1}`;
  const send = (message) => model.send(message);
  let busy = false;

  function drawAnew() {
    const view = model.get("view");
    const typed = el.querySelector("input[type=number]")?.value;
    el.replaceChildren();
    const box = element("section", `lk-panel lk-${view.status}`, el);
    box.dataset.step = view.id; box.dataset.status = view.status;
    const head = element("div", "lk-head", box);
    element("span", "lk-number", head, `Step ${view.number} of ${view.of}`);
    rich("span", "lk-title", head, view.title);
    const status = element("span", "lk-status", head, STATUS[view.status]);
    status.setAttribute("role", "status");
    rich("div", "lk-task", box, view.task);
    if (view.note) rich("div", "lk-remark", box, view.note);

    const passed = view.status === "passed";
    if (view.prediction) {
      const { prompt, choices: options, labels, choice, outcome } = view.prediction;
      const set = choices(box, `${group}-p`, `Predict: ${prompt}`, view.prediction, choice, passed,
        (value) => send({ do: "predict", value }));
      if (passed && outcome) {
        const right = choice === outcome;
        const said = !choice ? "What happened" : right ? "You predicted it" : "It turned out otherwise";
        rich("div", !choice ? "lk-remark" : right ? "lk-right" : "lk-wrong", set,
          `${said}: ${labels[options.indexOf(outcome)]}`);
      }
    }
    if (view.ask) {
      const { prompt, choices: options, answer } = view.ask;
      if (options.length) {
        choices(box, `${group}-a`, prompt, view.ask, answer, passed, (value) => send({ do: "answer", value }));
      } else {
        const set = element("fieldset", "lk-ask", box);
        rich("legend", "", set, prompt);
        const input = element("input", "", set);
        input.type = "number"; input.disabled = passed; input.setAttribute("aria-label", "your answer");
        input.dataset.control = "number";
        input.value = typed !== undefined && !passed ? typed : answer ?? "";
        const go = () => { if (input.value !== "") send({ do: "answer", value: Number(input.value) }); };
        input.addEventListener("keydown", (event) => { event.stopPropagation(); if (event.key === "Enter") go(); });
        const button = element("button", "", set, "Answer");
        button.dataset.control = "answer"; button.disabled = passed; button.addEventListener("click", go);
      }
    }
    if (view.seen) {
      const seen = element("div", "lk-seen", box);
      element("b", "", seen, passed ? "Seen: " : "Now: ");
      rich("span", "", seen, view.seen);
      if (view.try) { seen.append(" "); rich("span", "lk-try", seen, view.try); }
    }
    view.hints.forEach((hint) => rich("div", "lk-hint", box, hint));
    if (view.solution) element("code", "", element("pre", "lk-solution", box), view.solution);
    if (view.why) rich("div", "lk-why", box, view.why);

    if (!passed) {
      const row = element("div", "lk-moves", box);
      const button = (label, message, disabled, title) => {
        const made = element("button", "", row, label);
        made.disabled = disabled; made.title = title; made.dataset.control = message.do;
        made.addEventListener("click", () => send(message));
        return made;
      };
      const locked = view.status === "locked";
      button("Check now", { do: "check" }, locked, "The panel checks by itself whenever the cluster changes");
      button("Hint", { do: "hint" }, locked || !view.more_hints, "The next hint that fits the cluster's state");
      if (!view.solution) button("Show a solution", { do: "solution" }, locked, "Python that does this step");
      else button("Run the solution", { do: "solve" }, locked, "Let the lab do this step");
    }
    const problem = model.get("problem");
    if (problem) element("div", "lk-problem", box, problem).setAttribute("role", "alert");
  }

  const draw = () => keepFocus(el, drawAnew);
  const redraw = () => {
    if (busy) return;
    busy = true;
    requestAnimationFrame(() => { busy = false; draw(); });
  };
  model.on("change:view", redraw);
  model.on("change:problem", redraw);
  draw();
  return () => { model.off("change:view", redraw); model.off("change:problem", redraw); };
}

export default { render };
