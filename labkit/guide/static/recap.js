// The recap's questions. `view` is labkit/guide/render.py: recap_view; its HTML is the lab's own Markdown.
let serial = 0;

function render({ model, el }) {
  const group = `lk-recap-${serial += 1}`;

  function draw() {
    const place = el.contains(document.activeElement) ? document.activeElement.dataset.place : undefined;
    const box = document.createElement("section");
    box.className = "lk-panel lk-recap";
    const title = document.createElement("div");
    title.className = "lk-title"; title.textContent = "Recap";
    box.append(title);
    model.get("view").questions.forEach((question, index) => {
      const set = document.createElement("fieldset");
      set.className = "lk-ask"; set.dataset.question = index;
      const legend = document.createElement("legend");
      legend.innerHTML = `${index + 1}. ${question.prompt}`;
      set.append(legend);
      question.choices.forEach((choice, number) => {
        const label = document.createElement("label");
        label.className = "lk-choice";
        const input = document.createElement("input");
        input.dataset.lmSuppressShortcuts = "true"; // arrows choose an answer, they do not leave the cell
        input.type = "radio"; input.name = `${group}-${index}`; input.checked = question.choice === number;
        input.dataset.place = `${index}-${number}`;
        input.addEventListener("change", () => model.send({ do: "answer", question: index, choice: number }));
        const text = document.createElement("span");
        text.innerHTML = choice;
        label.append(input, text);
        set.append(label);
      });
      if (question.right !== null) {
        const verdict = document.createElement("div");
        verdict.className = question.right ? "lk-right" : "lk-wrong";
        verdict.textContent = question.right ? "✔ Right" : "✘ Not quite";
        verdict.setAttribute("role", "status");
        const why = document.createElement("div");
        why.innerHTML = question.why;
        set.append(verdict, why);
      }
      box.append(set);
    });
    el.replaceChildren(box);
    if (place) el.querySelector(`[data-place="${place}"]`).focus({ preventScroll: true });
  }

  model.on("change:view", draw);
  draw();
  return () => model.off("change:view", draw);
}

export default { render };
