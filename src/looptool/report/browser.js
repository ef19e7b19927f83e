// A list of samples to search and filter, and each of them whole in a dialog.

let byId = new Map();
let toolTexts = [];

const lastProbe = (sample) => sample.probes.at(-1);
const lastAsked = (sample) => sample.context.findLast((message) => message.role === "user");
const STATUS = {
  mastered: (sample) => Boolean(lastProbe(sample)?.matched),
  failed: (sample) => Boolean(lastProbe(sample) && !lastProbe(sample).matched),
  corrected: (sample) => sample.edits.length > 0,
  "corrected wrongly": (sample) => sample.edits.some((edit) => edit.right === false),
  "planted error": (sample) => Boolean(sample.planted),
  "not probed": (sample) => !sample.probes.length,
};

function originsOf(sample) {
  if (sample.heldOut) return ["held_out"];
  return sample.stays.length ? [...new Set(sample.stays.map((stay) => stay[1]))] : ["waiting"];
}

function openSample(id, text) {
  return byId.has(id) ? h("button", { type: "button", class: "link", onclick: () => showSample(id) }, text || id)
    : h("span", { class: "dim" }, `${id} (not on this page)`);
}

function samples(data) {
  const all = data.browser.samples;
  byId = new Map(all.map((sample) => [sample.id, sample]));
  toolTexts = data.browser.tools;
  if (!all.length) return section("samples", "Samples", "There are none yet.");
  for (const sample of all) {
    const said = sample.context.map((message) => message.text).join("\n");
    const tools = sample.tools.map((number) => toolTexts[number][0]).join(" ");
    sample.haystack = `${sample.id}\n${sample.domain}\n${tools}\n${said}\n${sample.label}`.toLowerCase();
  }
  const values = (pick) => [...new Set(all.flatMap(pick))];
  const filters = {
    scenario: choice("scenario", values((sample) => [sample.scenario])),
    origin: choice("origin", values(originsOf)),
    round: choice("round", values((sample) => sample.stays.map((stay) => stay[0])).sort((a, b) => a - b)),
    status: choice("status", Object.keys(STATUS).filter((name) => all.some(STATUS[name]))),
  };
  const search = h("input", { type: "search", id: "search", placeholder: "words, tool, id", autocomplete: "off", spellcheck: "false" });
  const count = h("p", { class: "about", role: "status" });
  const results = h("div", {});
  function show() {
    const terms = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const { scenario, origin, round, status } = Object.fromEntries(Object.entries(filters).map(([key, select]) => [key, select.value]));
    const found = all.filter((sample) => (!scenario || sample.scenario === scenario)
      && (!origin || originsOf(sample).includes(origin))
      && (!round || sample.stays.some((stay) => String(stay[0]) === round))
      && (!status || STATUS[status](sample))
      && terms.every((term) => sample.haystack.includes(term)));
    count.textContent = `${plural(found.length, "sample")} of ${all.length.toLocaleString("en")}`;
    results.replaceChildren(...paged(found, 40, row));
  }
  let waiting = 0;
  search.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(show, 120); });
  for (const select of Object.values(filters)) select.addEventListener("change", show);
  show();
  const missing = data.browser.total - all.length;
  return section("samples", "Samples", "Every sample with its tools, context and label, what the model said to it at each probe, and where it came from.",
    missing ? h("p", { class: "note" }, `This run has ${data.browser.total.toLocaleString("en")} samples; ${all.length.toLocaleString("en")} are on this page, so that it stays small: corrected, planted and failed ones first.`) : null,
    h("form", { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() },
      h("label", {}, "search", search),
      Object.entries(filters).map(([name, select]) => h("label", {}, name, select))),
    count, results);
}

function choice(name, options) {
  return h("select", { id: `filter-${name}` }, h("option", { value: "" }, "all"),
    options.map((option) => h("option", { value: option }, words(String(option)))));
}

function row(sample) {
  const probe = lastProbe(sample);
  return h("button", { type: "button", class: "sample", onclick: () => showSample(sample.id) },
    h("span", { class: `dot ${probe ? (probe.matched ? "good" : "bad") : ""}`, title: probe ? (probe.matched ? "mastered" : "failed") : "not probed" }),
    h("span", { class: "asked" }, lastAsked(sample)?.text || sample.id),
    h("span", { class: "chips" }, chip(words(sample.scenario)), originsOf(sample).map((origin) => chip(words(origin))),
      sample.edits.length ? chip("corrected", "warn") : null, sample.planted ? chip("planted error", "warn") : null));
}

function showSample(id) {
  const sample = byId.get(id);
  const dialog = document.getElementById("detail");
  if (!sample) return;
  dialog.replaceChildren(
    h("div", { class: "dialog-head" },
      h("h2", { id: "detail-title" }, "Sample ", h("code", {}, id)),
      h("button", { type: "button", class: "close", "aria-label": "Close", onclick: () => dialog.close() }, "×")),
    h("div", { class: "dialog-body" }, sampleBody(sample)));
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  history.replaceState(null, "", `#sample-${encodeURIComponent(id)}`);
}

function sampleBody(sample) {
  const planted = sample.planted;
  return [
    h("p", { class: "chips" }, chip(words(sample.scenario)), sample.domain ? chip(words(sample.domain)) : null,
      sample.heldOut ? chip("held out") : sample.stays.map(([round, origin]) => chip(`round ${round}: ${words(origin)}`))),
    h("h3", {}, "Conversation"),
    sample.context.map((message) => h("div", { class: `message ${message.role}` },
      h("p", { class: "role" }, message.role, message.name ? ` · ${message.name}` : ""), h("pre", {}, message.text))),
    h("h3", {}, "Label"),
    h("pre", { class: "box", tabindex: "0" }, sample.label),
    planted ? [h("p", { class: "note" }, `An error was planted here on purpose: ${words(planted.error)}. The truth:`), h("pre", { class: "box", tabindex: "0" }, planted.truth)] : null,
    sample.edits.length ? [h("h3", {}, "Label edits"), sample.edits.map((edit) => h("div", { class: "card" }, editBody(edit)))] : null,
    sample.probes.length ? [h("h3", {}, "What the model said"), sample.probes.map(probeBody)] : null,
    sample.judgements.length ? [h("h3", {}, "Judgements"), sample.judgements.map((found) => h("div", { class: "card" },
      h("p", { class: "chips" }, chip(`round ${found.round}`), chip(found.verdict), found.judge ? chip(`judge: ${found.judge}`) : null),
      found.analysis ? h("p", {}, found.analysis) : null, found.approach ? h("p", { class: "dim" }, found.approach) : null))] : null,
    sample.parents.length || sample.children.length ? [h("h3", {}, "Lineage"),
      lineage("expanded from", sample.parents), lineage("expanded into", sample.children)] : null,
    h("h3", {}, plural(sample.tools.length, "tool")),
    sample.tools.map((number) => h("details", {}, h("summary", {}, h("code", {}, toolTexts[number][0])), h("pre", { class: "box", tabindex: "0" }, toolTexts[number][1]))),
  ];
}

function lineage(name, ids) {
  return ids.length ? h("p", {}, `${name} `, ids.map((id, i) => [i ? ", " : "", openSample(id)])) : null;
}

function probeBody(probe) {
  return h("div", { class: "card" },
    h("p", { class: "chips" }, chip(probe.checkpoint), chip(probe.matched ? "matched" : words(probe.reason), probe.matched ? "good" : "bad"),
      chip(`perplexity ${probe.perplexity}`), chip(plural(probe.tokens, "token"))),
    probe.detail ? h("p", { class: "reason" }, probe.detail) : null,
    h("pre", { class: "box", tabindex: "0" }, probe.output || "(nothing)"));
}
