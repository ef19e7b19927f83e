// Elements are made here, and data enters them as text only.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, properties, children) {
  for (const [key, value] of Object.entries(properties || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

const h = (tag, properties, ...children) => fill(document.createElement(tag), properties, children);
const s = (tag, properties, ...children) => fill(document.createElementNS(SVG, tag), properties, children);

const words = (name) => name.replaceAll("_", " ");
const percent = (share, digits = 1) => (100 * share).toFixed(digits);
const plural = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
const sum = (values) => values.reduce((a, b) => a + b, 0);
const points = (share) => (share < 0 ? "−" : "+") + percent(Math.abs(share));

function section(id, title, about, ...children) {
  return h("section", { id, "aria-labelledby": `${id}-title` },
    h("h2", { id: `${id}-title` }, title),
    about ? h("p", { class: "about" }, about) : null,
    children);
}

// A table of texts and elements; the first cell of a row is its header.
function table(caption, headers, rows) {
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h("table", {},
      h("caption", {}, caption),
      h("thead", {}, h("tr", {}, headers.map((text) => h("th", { scope: "col" }, text)))),
      h("tbody", {}, rows.map((row) => h("tr", { class: row.strong ? "strong" : null },
        (row.cells || row).map((cell, i) => (i ? h("td", {}, cell) : h("th", { scope: "row" }, cell))))))));
}

// Calls draw(width) into the element once it has a width and whenever that changes.
function responsive(height, draw) {
  const element = h("div", { class: "chart" });
  element.style.setProperty("min-height", `${height}px`); // nothing jumps when it is drawn
  let width = 0;
  new ResizeObserver(() => {
    const now = Math.floor(element.clientWidth);
    if (now && now !== width) {
      width = now;
      element.replaceChildren(draw(width));
    }
  }).observe(element);
  return element;
}

// Shows items `size` at a time, with a button for more.
function paged(items, size, show) {
  const list = h("div", { class: "list" });
  const more = h("button", { type: "button", class: "more", onclick: () => next(true) });
  let shown = 0;
  function next(focus) {
    const made = items.slice(shown, shown + size).map(show);
    shown += made.length;
    list.append(...made);
    more.hidden = shown >= items.length;
    more.textContent = `Show ${Math.min(size, items.length - shown)} more of ${items.length - shown}`;
    if (focus && made.length) (made[0].querySelector("button, summary") || made[0]).focus();
  }
  next(false);
  return [list, more];
}
