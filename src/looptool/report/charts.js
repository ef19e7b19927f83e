// Charts as SVG, drawn at the width that they are given.

function axis(width, height, pad, top, format) {
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => share * top);
  const y = (value) => height - pad.bottom - (value / top) * (height - pad.top - pad.bottom);
  const lines = ticks.map((tick) => s("g", { class: "tick" },
    s("line", { x1: pad.left, x2: width - pad.right, y1: y(tick), y2: y(tick) }),
    s("text", { x: pad.left - 6, y: y(tick) + 4, "text-anchor": "end" }, format(tick))));
  return { y, lines };
}

// The least of 10, 20, 40, 60, 80, 100 % that all fits under.
function ceiling(values) {
  const most = Math.max(...values, 0.01);
  return [0.1, 0.2, 0.4, 0.6, 0.8].find((top) => most <= top) || 1;
}

// scores: [{name, accuracy, low, high, correct, total}], one point each with its interval.
function accuracyChart(title, scores, { height = 260, top = 1, color = "var(--c1)", small = false } = {}) {
  return responsive(height, (width) => {
    const pad = { left: 38, right: small ? 10 : 16, top: 14, bottom: small ? 24 : 30 };
    const { y, lines } = axis(width, height, pad, top, (tick) => percent(tick, 0));
    const room = width - pad.left - pad.right;
    const x = (i) => pad.left + (room * (i + 0.5)) / scores.length;
    const path = scores.map((score, i) => `${i ? "L" : "M"}${x(i)},${y(score.accuracy)}`).join("");
    const every = Math.ceil((scores.length * (small ? 26 : 74)) / room);
    return s("svg", { width, height, role: "img", "aria-label": `${title}: ` + scores.map(told).join("; ") },
      lines,
      s("path", { d: path, class: "line", stroke: color }),
      scores.map((score, i) => s("g", { class: "point" },
        s("title", {}, told(score)),
        s("line", { x1: x(i), x2: x(i), y1: y(score.low), y2: y(score.high), class: "interval", stroke: color }),
        s("circle", { cx: x(i), cy: y(score.accuracy), r: small ? 3 : 4.5, fill: color }),
        small ? null : valueAt(score, scores[i + 1], x(i), y(score.accuracy)),
        i % every ? null : s("text", { x: x(i), y: height - 8, "text-anchor": "middle", class: "name" },
          small ? brief(score.name) : score.name))));
  });
}

// Beside the point, on the side that the line leaves free.
function valueAt(score, next, x, y) {
  const rising = next && next.accuracy > score.accuracy;
  const shift = rising ? { x: x - 9, "text-anchor": "end" } : { x: x + 9 };
  return s("text", { ...shift, y: y < 24 ? y + 18 : y - 8, class: "value" }, percent(score.accuracy));
}

const told = (score) =>
  `${score.name} ${percent(score.accuracy)} % [${percent(score.low)}, ${percent(score.high)}], ${score.correct} of ${score.total}`;

const brief = (name) => ({ base: "b", "warm-start": "w" })[name] || name.replace("round-", "");

// rows: [{name, parts: {key: count}}]; one bar a row, all to one scale.
function stackedBars(title, rows, colors) {
  const most = Math.max(1, ...rows.map((row) => sum(Object.values(row.parts))));
  const present = Object.keys(colors).filter((key) => rows.some((row) => row.parts[key]));
  const line = 30;
  const bars = responsive(rows.length * line + 4, (width) => {
    const left = 62;
    const right = 52;
    return s("svg", { width, height: rows.length * line + 4, role: "img", "aria-label": title },
      rows.map((row, i) => {
        let x = left;
        const all = sum(Object.values(row.parts));
        const cells = present.map((key) => {
          const count = row.parts[key] || 0;
          const w = (count / most) * (width - left - right);
          const at = x;
          x += w;
          return count ? s("g", {},
            s("title", {}, `${row.name}, ${words(key)}: ${count} of ${all} (${percent(count / all)} %)`),
            s("rect", { x: at, y: i * line + 4, width: Math.max(w - 1, 0.5), height: line - 10, fill: colors[key] }),
            w > 8 * String(count).length + 8
              ? s("text", { x: at + w / 2, y: i * line + 18.5, "text-anchor": "middle", class: "inside" }, count) : null) : null;
        });
        return [s("text", { x: 0, y: i * line + 18.5, class: "name" }, row.name), cells,
          s("text", { x: x + 6, y: i * line + 18.5, class: "value" }, all)];
      }));
  });
  return h("figure", {}, h("figcaption", {}, title), legend(present, colors), bars);
}

function legend(keys, colors) {
  return h("ul", { class: "legend" }, keys.map((key) => h("li", {}, swatch(colors[key]), words(key))));
}

function swatch(color) {
  return s("svg", { width: 10, height: 10, "aria-hidden": "true" }, s("rect", { width: 10, height: 10, rx: 2, fill: color }));
}

// steps: [{round, reward, right, wrong, used}]; mean reward above, groups below.
function trainingChart(steps, colors) {
  const groups = Math.max(1, ...steps.map((step) => step.right + step.wrong + step.used));
  const starts = steps.map((step, i) => (i === 0 || steps[i - 1].round !== step.round ? i : -1)).filter((i) => i >= 0);
  const height = 330;
  return responsive(height, (width) => {
    const upper = { left: 38, right: 10, top: 18, bottom: 150 };
    const top = ceiling(steps.map((step) => step.reward));
    const { y, lines } = axis(width, height, upper, top, (tick) => tick.toFixed(2));
    const room = width - upper.left - upper.right;
    const slot = room / steps.length;
    const x = (i) => upper.left + slot * (i + 0.5);
    const base = height - 22;
    const scale = 104 / groups;
    const smooth = steps.map((step, i) => {
      const near = steps.slice(Math.max(0, i - 4), i + 5).filter((other) => other.round === step.round);
      return sum(near.map((other) => other.reward)) / near.length;
    });
    const line = (values) => values.map((value, i) => `${starts.includes(i) ? "M" : "L"}${x(i)},${y(value)}`).join("");
    return s("svg", { width, height, role: "img", "aria-label": "Mean reward and groups by step; the figures stand in the table below" },
      lines,
      s("text", { x: upper.left, y: 11, class: "name" }, "mean reward"),
      s("text", { x: upper.left, y: base - 112, class: "name" }, `groups of a batch (${groups} at most)`),
      starts.map((i) => s("g", { class: "tick" },
        s("line", { x1: x(i) - slot / 2, x2: x(i) - slot / 2, y1: 16, y2: base, class: "divider" }),
        s("text", { x: x(i) - slot / 2 + 4, y: height - 6 }, `round ${steps[i].round}`))),
      s("path", { d: line(steps.map((step) => step.reward)), class: "line faint", stroke: "var(--c1)" }),
      s("path", { d: line(smooth), class: "line", stroke: "var(--c1)" }),
      steps.map((step, i) => {
        let at = base;
        return ["wrong", "used", "right"].map((key) => {
          const tall = step[key] * scale;
          at -= tall;
          return s("rect", { x: x(i) - slot / 2 + 0.5, y: at, width: Math.max(slot - 1, 0.6), height: tall, fill: colors[key] },
            s("title", {}, `round ${step.round}: reward ${step.reward.toFixed(3)}; groups all right ${step.right}, used ${step.used}, all wrong ${step.wrong}`));
        });
      }));
  });
}
