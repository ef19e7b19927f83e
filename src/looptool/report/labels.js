// How far the judge can be trusted, and what it did to the labels.

function rate(found) {
  return found ? h("span", { title: `95 %: ${percent(found.low)} to ${percent(found.high)}` },
    `${percent(found.hits / found.total, 0)} %`, h("span", { class: "dim" }, ` ${found.hits}/${found.total}`)) : "·";
}

function share(part, whole) {
  return whole ? h("span", {}, `${percent(part / whole, 0)} %`, h("span", { class: "dim" }, ` ${part}/${whole}`)) : "·";
}

function labels(data) {
  const { calibration, noise, edits } = data;
  if (!calibration && !noise && !edits.total) return null;
  return section("labels", "Labels and their judge", null,
    calibration ? calibrated(calibration) : null,
    noise ? planted(noise) : null,
    edits.total ? edited(edits) : null);
}

function calibrated(found) {
  return [
    h("h3", {}, "Calibration"),
    h("p", { class: "about" }, `Before it may correct a label, the judge (${found.judge}) is measured on errors that are known: does it find the planted one (sensitivity), does it leave the right label alone (specificity)?`),
    found.failing ? h("p", { class: "note bad" }, `This judge corrects no labels in this run, and what it would have called the model's failure is not expanded: ${found.failing}.`) : null,
    table("The judge on planted errors", ["planted error", "sensitivity", "specificity"],
      [...found.rows.map(([kind, sensitive, specific]) => [words(kind), rate(sensitive), rate(specific)]),
        { strong: true, cells: [found.all[0], rate(found.all[1]), rate(found.all[2])] },
        ["verdict follows the order", rate(found.flips), ""]]),
    found.cost === null ? null : h("p", { class: "about" }, `Cost of the calibration: ${found.cost}.`),
  ];
}

function planted(noise) {
  const row = (one) => [one.error === "none" ? "nothing planted" : words(one.error), one.planted || "·",
    share(one.found, one.reached), share(one.right, one.corrections), one.planted ? one.left : "·"];
  return [
    h("h3", {}, "Verification on planted noise"),
    h("p", { class: "about" }, "Labels were spoilt on purpose; only this page reads the truth. Found: of the planted labels that reached the judge beside a right prediction, those it replaced. Right: of all labels it replaced, those whose new label is the truth. Left: planted labels that still stand in the last dataset."),
    table("Planted noise by error type", ["planted error", "planted", "found", "corrections right", "left"],
      [...noise.rows.map(row), { strong: true, cells: row(noise.total) }]),
    noise.unknown ? h("p", { class: "about" }, `${plural(noise.unknown, "more label")} of expanded samples were corrected; what is right for those is not known.`) : null,
  ];
}

function edited(edits) {
  const wrongFirst = [...edits.shown].sort((a, b) => (a.right === false ? 0 : 1) - (b.right === false ? 0 : 1) || a.round - b.round);
  return [
    h("h3", {}, "Label edits"),
    h("p", { class: "about" }, `${plural(edits.total, "label")} corrected`, edits.total > edits.shown.length ? `, ${edits.shown.length} shown` : "",
      ". Those that made a right label wrong, as far as that is known, come first."),
    paged(wrongFirst, 8, (edit) => h("article", { class: "card" }, editBody(edit), openSample(edit.sample, "Open the sample"))),
  ];
}

function editBody(edit) {
  return [
    h("p", { class: "chips" }, chip(`round ${edit.round}`), chip(edit.verdict), edit.judge ? chip(`judge: ${edit.judge}`) : null,
      edit.right === true ? chip("right", "good") : edit.right === false ? chip("wrong", "bad") : null),
    diff(edit.diff),
    edit.reason ? h("p", { class: "reason" }, edit.reason) : null,
  ];
}

function diff(lines) {
  const kinds = { "-": ["del", "was: "], "+": ["ins", "is: "] };
  return h("pre", { class: "diff", tabindex: "0" }, lines.map(([tag, text]) => {
    const [kind, spoken] = kinds[tag] || ["span", ""];
    return h(kind, { class: "line" }, h("span", { class: "mark", "aria-hidden": "true" }, `${tag} `), spoken ? h("span", { class: "unseen" }, spoken) : null, `${text}\n`);
  }));
}

const chip = (text, kind) => h("span", { class: `chip ${kind || ""}` }, text);
