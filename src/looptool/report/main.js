const data = JSON.parse(document.getElementById("data").textContent);

document.getElementById("top").append(...header(data));
const browsed = samples(data); // first: other sections link into it
document.getElementById("page").replaceChildren(
  ...[tiles(data), accuracy(data), rounds(data), training(data), labels(data), mismatches(data), browsed, about(data)].filter(Boolean));
document.querySelector("nav").append(
  ...[...document.querySelectorAll("main > section")].map((part) => h("a", { href: `#${part.id}` }, part.querySelector("h2").textContent)));

const dialog = document.getElementById("detail");
dialog.addEventListener("close", () => history.replaceState(null, "", location.pathname + location.search));
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

function fromHash() {
  const asked = location.hash.match(/^#sample-(.+)$/);
  if (asked) showSample(decodeURIComponent(asked[1]));
  else document.getElementById(location.hash.slice(1))?.scrollIntoView();
}
addEventListener("hashchange", fromHash);
if (location.hash) fromHash();
