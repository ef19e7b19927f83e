// What the run is and how its figures went over the rounds.

const COLORS = {
  probe: { mastered: "var(--good)", failed: "var(--bad)" },
  verdicts: {
    PRED_WRONG: "var(--c1)", LABEL_WRONG: "var(--c2)", BOTH_CORRECT: "var(--c3)",
    BOTH_WRONG: "var(--c4)", UNDECIDED: "var(--none)",
  },
  origins: {
    seed: "var(--c1)", error_seed: "var(--c2)", expanded: "var(--c3)",
    high_perplexity: "var(--c4)", seed_new: "var(--c5)",
  },
  groups: { right: "var(--good)", used: "var(--c1)", wrong: "var(--none)" },
};
const GROUP_NAMES = { right: "all right", used: "used: some right, some wrong, or joined by their label", wrong: "all wrong" };

function header(data) {
  const fact = Object.fromEntries(data.facts);
  return [
    h("p", { class: "brand" }, "LoopTool report"),
    h("h1", {}, data.name),
    h("p", { class: "about" }, [data.state, fact.model, `${fact.teacher} teacher`, fact.started].filter(Boolean).join(" · ")),
    h("nav", { "aria-label": "Sections" }),
  ];
}

function tiles(data) {
  const last = data.checkpoints.at(-1);
  const first = data.checkpoints[0];
  const round = data.rounds.findLast((one) => one.mastered !== null);
  const made = [];
  if (last) {
    const { accuracy, low, high, total } = last.overall;
    made.push(tile("Held-out accuracy", `${percent(accuracy)} %`, `${last.name}; 95 %: ${percent(low)} to ${percent(high)}; ${plural(total, "sample")}`));
    if (first !== last) made.push(tile("It began at", `${percent(first.overall.accuracy)} %`, `${first.name}; 95 %: ${percent(first.overall.low)} to ${percent(first.overall.high)}`));
  }
  if (data.gain) {
    const [now, before, difference, low, high] = data.gain;
    made.push(tile("Gained by the rounds", points(difference), `points, ${now} against ${before}, paired; 95 %: ${points(low)} to ${points(high)}`));
  }
  if (round) made.push(tile("Mastered", `${percent(round.mastered / Math.max(1, round.size), 0)} %`, `of ${plural(round.size, "sample")} that round ${round.number} trained on`));
  if (data.edits.total) made.push(tile("Labels corrected", data.edits.total.toLocaleString("en"), data.noise ? `${data.noise.total.right} of ${data.noise.total.corrections} verdicts on known labels right` : "by the judge, over all rounds"));
  return h("div", { class: "tiles" }, made);
}

const tile = (name, value, about) =>
  h("div", { class: "tile" }, h("p", { class: "tile-name" }, name), h("p", { class: "tile-value" }, value), h("p", { class: "tile-about" }, about));

function accuracy(data) {
  const points = data.checkpoints;
  if (!points.length) return section("accuracy", "Held-out accuracy", "Nothing has been measured yet.");
  const named = (pick) => points.map((point) => ({ name: point.name, ...pick(point) })).filter((score) => score.total);
  const overall = named((point) => point.overall);
  const kinds = [...new Set(points.flatMap((point) => Object.keys(point.scenarios)))];
  const top = ceiling(overall.map((score) => score.high));
  const multiples = [["calls", "every label that is a call", named((point) => point.calls)],
    ...kinds.map((kind) => [kind, "", named((point) => point.scenarios[kind] || {})])];
  const cell = (score) => (score && score.total ? h("span", { title: `${score.correct} of ${score.total}` }, percent(score.accuracy)) : "·");
  return section("accuracy", "Held-out accuracy",
    `Share of ${plural(data.heldOut, "held-out sample")} on which ToolMatch agrees, over tools that training never saw. Bars are 95 % bootstrap intervals.`,
    accuracyChart("All held-out samples", overall, { top }),
    h("h3", {}, "By scenario"),
    h("p", { class: "about" }, "b is the base model, w the warm start, numbers are rounds."),
    h("div", { class: "multiples" }, multiples.map(([kind, about, scores]) => scores.length
      ? h("figure", {}, h("figcaption", { title: about }, words(kind), " ", h("span", { class: "dim" }, `n = ${scores.at(-1).total}`)),
        accuracyChart(kind, scores, { height: 130, small: true })) : null)),
    h("details", {}, h("summary", {}, "The figures"),
      table("Held-out accuracy in %", ["", "all", "95 %", "calls", ...kinds.map(words), "calls made"],
        points.map((point) => [point.name, cell(point.overall), `${percent(point.overall.low)} to ${percent(point.overall.high)}`,
          cell(point.calls), ...kinds.map((kind) => cell(point.scenarios[kind])), percent(point.callRate)]))));
}

function rounds(data) {
  if (!data.rounds.length) return section("rounds", "Rounds", "No round has come far enough to show.");
  const bars = (parts) => data.rounds.map((round) => ({ name: `round ${round.number}`, parts: parts(round) || {} }))
    .filter((row) => Object.keys(row.parts).length);
  const probed = bars((round) => (round.mastered === null ? null : { mastered: round.mastered, failed: round.failed }));
  const judged = bars((round) => round.verdicts);
  const datasets = bars((round) => round.origins);
  if (data.next) datasets.push({ name: "next", parts: data.next });
  const count = (value) => (value === null ? "·" : value);
  return section("rounds", "Rounds", "What each round trained on, what it mastered, and what the judge said of its failures.",
    h("div", { class: "pair" },
      stackedBars("Samples by origin", datasets, COLORS.origins),
      probed.length ? stackedBars("Mastered and failed (GCP)", probed, COLORS.probe) : null,
      judged.length ? stackedBars("Verdicts on the failures (JGLV)", judged, COLORS.verdicts) : null),
    table("Rounds", ["round", "samples", "mastered", "failed", "labels corrected", "samples expanded"],
      data.rounds.map((round) => [round.number, round.size, count(round.mastered), count(round.failed), count(round.corrected), count(round.expanded)])),
    rejections(data.rejected));
}

function rejections(rejected) {
  const rows = Object.entries(rejected).flatMap(([step, reasons]) => Object.entries(reasons).map(([reason, count]) => [words(reason), step, count]));
  return rows.length ? h("details", {}, h("summary", {}, `Rejected on the way: ${sum(rows.map((row) => row[2])).toLocaleString("en")}`),
    table("Rejected by rules and judge", ["reason", "step", "count"], rows)) : null;
}

function training(data) {
  const steps = data.rounds.flatMap((round) => round.steps.map((step) => ({ ...step, round: round.number })));
  if (!steps.length) return null;
  const total = (key, list) => sum(list.map((step) => step[key]));
  const mean = (list) => (list.length ? (total("reward", list) / list.length).toFixed(3) : "·");
  return section("training", "Training (GRPO)",
    "Mean reward of the completions of each batch, with its running mean, and how many groups carried a signal: one whose completions are all right is skipped, and so is one that is all wrong, unless its label may join it.",
    legend(Object.values(GROUP_NAMES), Object.fromEntries(Object.entries(GROUP_NAMES).map(([key, name]) => [name, COLORS.groups[key]]))),
    trainingChart(steps, COLORS.groups),
    table("Training by round", ["round", "batches", "reward, first fifth", "reward, last fifth", "groups used", "all right", "all wrong", "sampling, s", "updates, s"],
      data.rounds.filter((round) => round.steps.length).map((round) => {
        const fifth = Math.max(1, Math.floor(round.steps.length / 5));
        return [round.number, round.steps.length, mean(round.steps.slice(0, fifth)), mean(round.steps.slice(-fifth)),
          total("used", round.steps), total("right", round.steps), total("wrong", round.steps),
          Math.round(total("rollout_seconds", round.steps)), Math.round(total("update_seconds", round.steps))];
      })));
}

function mismatches(data) {
  const columns = [
    ...data.checkpoints.map((point) => [`${point.name}`, "held out", point.mismatches, point.overall.total]),
    ...data.rounds.filter((round) => round.mastered !== null).map((round) => [`round ${round.number}`, "probe", round.mismatches, round.size]),
  ];
  const kinds = [...new Set(columns.flatMap((column) => Object.keys(column[2])))];
  if (!kinds.length) return null;
  const all = (kind) => sum(columns.map((column) => column[2][kind] || 0));
  kinds.sort((a, b) => all(b) - all(a));
  const shade = (count, total) => {
    const cell = h("span", { class: "heat", title: `${percent(count / Math.max(1, total))} % of ${total}` }, count || "·");
    cell.style.setProperty("--heat", `${Math.min(60, 150 * (count / Math.max(1, total)))}%`);
    return cell;
  };
  return section("mismatches", "Mismatches by kind", "Why ToolMatch said no: held-out samples by checkpoint, then each round's probe of its training data.",
    table("Mismatches by kind", ["", ...columns.map(([name, where]) => `${name}, ${where}`)],
      kinds.map((kind) => [words(kind), ...columns.map((column) => shade(column[2][kind] || 0, column[3]))])));
}

function about(data) {
  return section("about", "How it was made", null,
    h("dl", { class: "facts" }, data.facts.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
    data.bill ? billed(data.bill) : null,
    h("details", {}, h("summary", {}, `Config: ${plural(data.config.filter((row) => row[2]).length, "key")} set, ${data.config.length} in all`),
      table("Resolved config; what differs from the default is bold", ["key", "value"],
        data.config.map(([key, value, changed]) => ({ strong: changed, cells: [key, h("code", {}, value)] })))));
}

function billed(bill) {
  const count = (value) => value.toLocaleString("en");
  return [
    h("h3", {}, "What the teacher cost"),
    table("Calls that were paid for, by role", ["role", "calls", "tokens in", "tokens out", ...(bill.priced ? ["cost"] : [])],
      bill.rows.map(([role, one], n) => ({
        strong: n === bill.rows.length - 1,
        cells: [role, count(one.calls), count(one.prompt_tokens), count(one.completion_tokens), ...(bill.priced ? [one.cost.toPrecision(4)] : [])],
      }))),
    bill.unusable.length ? table("Answers that would not do, by role; each is asked for again, twice at most", ["role", "answers", "given up", "why"],
      bill.unusable.map(([role, one]) => ({
        cells: [role, count(one.answers), count(one.lost), Object.entries(one.faults).sort((a, b) => b[1] - a[1]).map(([fault, n]) => `${fault} (${n})`).join(", ")],
      }))) : null,
  ];
}
