"use strict";
// What is shown, by the address and by what people type; and the keyboard.

let filter = { ...NO_FILTER };
let order = []; // the sentences shown, in the order in which they stand
let focused = null; // the sentence that the keyboard was last on
const gaps = new Map(); // a sentence that shows no more -> the place in `order` that it left

function update({ keepsStatus = false, note = "" } = {}) {
  const found = matches(filter);
  const words = filter.q.toLowerCase().split(/\s+/).filter(Boolean);
  showList(found, words);
  const before = order;
  order = found.flatMap(([, shown]) => inReadingOrder(shown));
  rememberGaps(before);
  const isFiltered = Object.keys(NO_FILTER).some((n) => n !== "sort" && filter[n] !== NO_FILTER[n]);
  byId("clear").hidden = !isFiltered;
  const total = count(classes.length, "class", "classes");
  const shown = isFiltered ? `${found.length.toLocaleString("en")} of ${total}` : total;
  const status = `${note}${shown}, ${count(order.length, "sentence")}`;
  if (!keepsStatus || byId("status").textContent !== status) byId("status").textContent = status;
  showFilters();
  showBanner();
}

const inReadingOrder = (shown) =>
  data.kinds.flatMap((kind) => {
    const of = (test) => shown.filter((row) => row.kind === kind && test(row));
    return [...of((r) => r.kept), ...of((r) => !r.kept && !r.isSurplus), ...of((r) => r.isSurplus)];
  });

/** Remember where the opened and the focused sentence stood, if they show no more. */
function rememberGaps(before) {
  const showing = new Set(order);
  for (const row of new Set([opened, focused])) {
    const place = showing.has(row) ? -1 : before.indexOf(row);
    if (place >= 0) gaps.set(row, before.slice(0, place).filter((each) => showing.has(each)).length);
  }
}

/** The sentence after or before one; also of one that shows no more. */
function sentenceFrom(row, by) {
  const place = order.indexOf(row);
  if (place >= 0) return order[place + by];
  if (!gaps.has(row)) return by > 0 ? order[0] : order.at(-1);
  return by > 0 ? order[gaps.get(row)] : order[gaps.get(row) - 1];
}

// --- the filters

function choice(name, value, label, number) {
  const input = h("input", { type: "radio", name, value, checked: filter[name] === value,
    onchange: () => setFilter({ [name]: value }) });
  return h("label", { className: "choice" }, input, h("span", {}, label),
    number === null ? null : h("span", { className: "quiet number" }, number.toLocaleString("en")));
}

function buildFilters() {
  byId("kinds").append(choice("kind", "", "Both", null),
    ...data.kinds.map((kind) => choice("kind", kind, KIND_NAMES[kind], null)));
  byId("kinds").hidden = data.kinds.length < 2;
  for (const [value, label] of Object.entries(STATES)) {
    byId("states").append(choice("state", value, label, value === "short" ? null : 0));
  }
  const marks = countMarks();
  byId("rules").hidden = !marks.length;
  byId("rules").append(choice("rule", "", "Any or none", null), ...marks.map(([mark, number]) => {
    const label = choice("rule", mark, labelOf(mark), number);
    label.title = meaningOf(mark);
    return label;
  }));
}

const SORT_NOTES = {
  worst: "Most missing first, then most rejected, then most flagged.",
  name: "",
  label: "The order of the class list.",
};

/** Make the controls say what the filter is, which an address may have set. */
function showFilters() {
  for (const name of ["kind", "state", "rule"]) {
    for (const input of document.querySelectorAll(`input[name="${name}"]`)) {
      input.checked = input.value === filter[name];
    }
  }
  for (const number of document.querySelectorAll("#states .number")) {
    const { value } = number.parentElement.querySelector("input");
    number.textContent = stateCounts[value].toLocaleString("en");
  }
  if (byId("query").value.trim() !== filter.q) byId("query").value = filter.q;
  byId("sort").value = filter.sort;
  byId("sort-note").textContent = SORT_NOTES[filter.sort];
}

function setFilter(change) {
  filter = { ...filter, ...change };
  remember({}, false);
  update();
}

const clearFilters = () => setFilter({ ...NO_FILTER, sort: filter.sort });

// --- the address: #class=...&sentence=...&q=...&rule=...

function hashFor({ sentence = null, each = null }) {
  const parameters = new URLSearchParams();
  const owner = sentence ? sentence.owner : each;
  if (owner) parameters.set("class", owner.name);
  if (sentence) parameters.set("sentence", idOf(sentence));
  for (const [name, usual] of Object.entries(NO_FILTER)) {
    if (filter[name] !== usual) parameters.set(name, filter[name]);
  }
  return `#${parameters}`;
}

const hashOfRow = (row) => `#${new URLSearchParams({ class: row.owner.name, sentence: idOf(row) })}`;
const addressOf = (row) => location.href.split("#")[0] + hashOfRow(row);

function remember(where, isNewEntry) {
  const hash = hashFor(where);
  const address = hash === "#" ? location.pathname + location.search : hash;
  history[isNewEntry ? "pushState" : "replaceState"](null, "", address);
}

/** Show what the address says. A sentence that the filter hides is shown without the filter. */
function follow() {
  const parameters = new URLSearchParams(location.hash.slice(1));
  takeToken(parameters);
  const read = (name, known) => {
    const value = parameters.get(name);
    return value !== null && (!known || value in known) ? value : NO_FILTER[name];
  };
  filter = {
    q: read("q"), kind: read("kind", KIND_NAMES), state: read("state", STATES),
    rule: read("rule"), sort: read("sort", ORDERS),
  };
  const each = classByName.get(parameters.get("class"));
  const row = each && each.rows.find((candidate) => idOf(candidate) === parameters.get("sentence"));
  if (each && !matches(filter).some(([other, shown]) => other === each && (!row || shown.includes(row)))) {
    filter = { ...NO_FILTER, sort: filter.sort };
  }
  update({ note: whatIsMissing(parameters, each, row) });
  if (each) scrollToClass(each);
  remember({ each, sentence: row }, false);
  if (row) {
    focusRow(row);
    openSentence(row, { keepsHistory: true });
  } else if (drawer.open) {
    opened = null;
    drawer.close();
  }
}

/** Say what an address names and this version has not. */
function whatIsMissing(parameters, each, row) {
  const name = parameters.get("class");
  if (name && !each) return `${data.set.version} has no class ${visible(name)}. `;
  if (each && parameters.has("sentence") && !row) {
    return `${data.set.version} has no such sentence of ${visible(each.readable)}. `;
  }
  return "";
}

const opensElsewhere = (event) => event.ctrlKey || event.metaKey || event.shiftKey;

function visitSentence(event, row) {
  if (opensElsewhere(event)) return;
  event.preventDefault();
  openSentence(row);
}

/** Go to a class without leaving the filter, unless the filter hides that class. */
function visit(event, each) {
  if (opensElsewhere(event)) return;
  event.preventDefault();
  if (!matches(filter).some(([other]) => other === each)) clearFilters();
  remember({ each }, true);
  scrollToClass(each);
}

// --- the keyboard

const keys = {
  j: () => move(1),
  k: () => move(-1),
  J: () => moveClass(1),
  K: () => moveClass(-1),
  "/": () => { byId("query").focus(); byId("query").select(); },
  "?": () => byId("help").showModal(),
};

function move(by) {
  if (drawer.open) return step(by);
  const next = sentenceFrom(focused, by);
  if (next) focusRow(next);
}

function moveClass(by) {
  if (drawer.open) return;
  const owners = [...new Set(order.map((row) => row.owner))];
  const place = focused ? owners.indexOf(focused.owner) : -1;
  const owner = owners[place < 0 ? 0 : place + by];
  if (!owner) return;
  scrollToClass(owner);
  focusRow(order.find((row) => row.owner === owner));
}

const isTyping = (element) => element.closest("textarea, select, input:not([type=radio]):not([type=checkbox])");

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && event.target === byId("query")) {
    event.preventDefault();
    setFilter({ q: "" });
    byId("query").value = "";
    return;
  }
  const isOff = memory.get("use-keys") === "no";
  if (isTyping(event.target) || isOff || byId("help").open || !(event.key in keys)) return;
  event.preventDefault();
  keys[event.key]();
});

document.addEventListener("focusin", (event) => {
  const id = event.target.id;
  if (id.startsWith("row-")) focused = rows[Number(id.slice(4))];
});

// --- the head of the page

function showHead() {
  byId("title").textContent = data.set.name;
  const version = byId("version");
  version.append(...data.versions.map((each) => h("option", {
    value: each.name, selected: each.name === data.set.version,
  }, each.name)));
  version.disabled = !data.live || data.versions.length < 2;
  version.addEventListener("change", () => {
    location.href = `/set/${encodeURI(data.set.name)}/${version.value}${location.hash}`;
  });
  byId("all-sets").hidden = !data.several_sets;
  const prompts = data.set.prompts ? `prompts ${data.set.prompts}` : "";
  byId("about").textContent = [data.set.model, prompts, data.set.source].filter(Boolean).join(" · ");
  byId("about").title = `fingerprint ${data.set.fingerprint}`;
  byId("funnel").append(...data.funnel.map((each) => h("li", {},
    h("strong", {}, each.count.toLocaleString("en")), " ",
    h("span", { className: "quiet small" }, each.name))));
}

let waitingInput = 0;
byId("query").addEventListener("input", () => {
  cancelAnimationFrame(waitingInput);
  waitingInput = requestAnimationFrame(() => setFilter({ q: byId("query").value.trim() }));
});
byId("sort").addEventListener("change", () => setFilter({ sort: byId("sort").value }));
byId("clear").addEventListener("click", clearFilters);
byId("clear-too").addEventListener("click", clearFilters);
byId("open-help").addEventListener("click", () => byId("help").showModal());
byId("use-keys").checked = memory.get("use-keys") !== "no";
byId("use-keys").addEventListener("change", (event) =>
  memory.set("use-keys", event.target.checked ? "yes" : "no"));
byId("filters").open = matchMedia("(min-width: 900px)").matches;
addEventListener("popstate", follow);

showHead();
buildFilters();
follow();
