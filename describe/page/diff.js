"use strict";
// Two versions side by side: what changed, word by word, with search and filters.

const data = readBlock("data");
const KINDS = ["spatial", "temporal"];
const SIGNS = { same: "", changed: "~", added: "+", removed: "−" };
const SAID = { same: "unchanged", changed: "changed", added: "added", removed: "removed" };
const chosen = { rule: null, kinds: new Set(KINDS) };

/** The text of a changed sentence, with what went and what came marked for eyes and ears. */
function wordsOf(entry) {
  if (entry.state !== "changed") return [entry.new ?? entry.old];
  return entry.words.map(([sign, text]) =>
    sign === "=" ? text
      : h(sign === "-" ? "del" : "ins", {},
        h("span", { className: "unseen" }, sign === "-" ? " removed: " : " added: "), text));
}

function verdictsOf(entry) {
  const [newText, oldText] = entry.state === "changed" ? ["new text ", "old text "] : ["", ""];
  const why = entry.detail ? ` (${entry.detail})` : "";
  const was = entry.old_rule
    && h("span", { className: "chip good" }, `${newText}was rejected: ${entry.old_rule}`);
  const now = entry.new_rule
    && h("span", { className: "chip bad" }, `${oldText}rejected: ${entry.new_rule}${why}`);
  return [was, now].filter(Boolean);
}

function entryItem(entry) {
  return h("li", { className: entry.state },
    h("span", { className: "sign", "aria-hidden": "true" }, SIGNS[entry.state]),
    h("span", { className: "text" },
      h("span", { className: "unseen" }, `${SAID[entry.state]}: `), wordsOf(entry), verdictsOf(entry)));
}

const anchor = (one) => `class=${one.name}`; // labels clash where the sides are of two datasets

function classArticle(one, entries) {
  const only = one.only ? h("span", { className: "chip doubt" }, `only in the ${one.only}`) : null;
  return h("article", { id: anchor(one) },
    h("header", {},
      h("h3", {}, h("a", { href: `#class=${encodeURIComponent(one.name)}` }, one.readable)), only,
      h("span", { className: "label quiet small" }, `label ${one.id}`)),
    KINDS.flatMap((kind) => {
      const of = entries.filter((entry) => entry.kind === kind);
      return of.length ? [h("h4", {}, kind), h("ul", { className: "entries" }, of.map(entryItem))] : [];
    }));
}

function matches(entry, one, query) {
  if (!chosen.kinds.has(entry.kind)) return false;
  if (byId("only-changed").checked && entry.state === "same") return false;
  if (chosen.rule && entry.old_rule !== chosen.rule && entry.new_rule !== chosen.rule) return false;
  const text = `${one.name} ${one.readable} ${entry.old ?? ""} ${entry.new ?? ""}`.toLowerCase();
  return query.split(/\s+/).every((word) => text.includes(word));
}

const ORDERS = {
  most: (a, b) => b.score - a.score || a.id - b.id,
  name: (a, b) => a.readable.localeCompare(b.readable),
  label: (a, b) => a.id - b.id,
};

function showList() {
  const query = byId("query").value.trim().toLowerCase();
  const found = [...data.classes].sort(ORDERS[byId("sort").value])
    .map((one) => [one, one.entries.filter((entry) => matches(entry, one, query))])
    .filter(([, entries]) => entries.length);
  const sentences = found.reduce((sum, [, entries]) => sum + entries.length, 0);
  byId("list").replaceChildren(...found.map(([one, entries]) => classArticle(one, entries)));
  byId("nothing").hidden = found.length > 0;
  byId("nothing").textContent = data.same ? "The two are equal." : "Nothing matches.";
  byId("status").textContent =
    `${count(sentences, "sentence")} in ${count(found.length, "class", "classes")}`
    + ` of ${data.classes.length.toLocaleString("en")}`;
  byId("clear").hidden = !query && !chosen.rule && chosen.kinds.size === KINDS.length;
}

function row(tag, first, ...cells) {
  return h("tr", {}, h("th", { scope: tag === "th" ? "col" : "row" }, first),
    cells.map((cell) => (tag === "th" ? h("th", { scope: "col" }, cell) : cell)));
}

const number = (value) => h("td", {}, value ? value.toLocaleString("en") : "–");

function showCounts() {
  byId("counts").append(
    h("thead", {}, row("th", "", ...KINDS)),
    h("tbody", {}, Object.entries(data.counts).map(([state, of]) =>
      row("td", SAID[state], ...KINDS.map((kind) => number(of[kind]))))));
}

function chooseRule(name) {
  chosen.rule = chosen.rule === name ? null : name;
  for (const button of document.querySelectorAll("#rules button")) {
    button.setAttribute("aria-pressed", String(button.dataset.rule === chosen.rule));
  }
  showList();
}

function showRules() {
  byId("rule-section").hidden = !data.rules.length;
  const columns = ["old", "new", "newly rejected", "newly kept", "flagged, old", "flagged, new", ""];
  byId("rules").append(
    h("thead", {}, row("th", "rejected by", ...columns)),
    h("tbody", {}, data.rules.map((rule) => row("td",
      h("button", {
        type: "button", className: "button plain", "aria-pressed": "false", "data-rule": rule.name,
        disabled: !rule.newly_rejected && !rule.newly_kept,
        onclick: () => chooseRule(rule.name),
      }, rule.name),
      number(rule.old), number(rule.new), number(rule.newly_rejected), number(rule.newly_kept),
      number(rule.old_flagged), number(rule.new_flagged),
      h("td", { className: "meaning" }, rule.meaning)))));
}

function showKinds() {
  byId("kinds").append(...KINDS.map((kind) => h("label", { className: "choice" },
    h("input", {
      type: "checkbox", checked: true, value: kind,
      onchange: (event) => {
        if (event.target.checked) chosen.kinds.add(kind); else chosen.kinds.delete(kind);
        showList();
      },
    }), kind)));
}

function clearAll() {
  byId("query").value = "";
  chosen.kinds = new Set(KINDS);
  for (const box of document.querySelectorAll("#kinds input")) box.checked = true;
  chooseRule(chosen.rule);
  byId("query").focus();
}

byId("title").append(data.old.name, h("span", { className: "arrow" }, "→"), data.new.name);
const models = [data.old.model, data.new.model].map((name) => name || "unknown model");
byId("about").textContent = `${models[0]} → ${models[1]}; `
  + `${count(data.old.kept, "sentence")} → ${data.new.kept.toLocaleString("en")}`
  + (data.same ? "; the two are equal" : "");
showCounts();
showRules();
showKinds();
byId("query").addEventListener("input", showList);
byId("only-changed").addEventListener("change", showList);
byId("sort").addEventListener("change", showList);
byId("clear").addEventListener("click", clearAll);
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.matches("input, select, textarea")) return;
  event.preventDefault();
  byId("query").focus();
});
showList();
if (location.hash) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
