"use strict";
// The list: a card for each class. The first are filled at once, those near the window next, and all
// others when the browser has time, so that it finds every sentence in the page and reads it out.

const FIRST_CARDS = 6;
const FILL_AFTER_MS = 800; // longer than a pause between two keys
const whenIdle = window.requestIdleCallback || ((run) => setTimeout(run, 20));
const cards = new Map(); // class -> its card
let shownWords = [];
let waiting = []; // cards to fill when there is time, in order
let fillTimer = 0;

const nearby = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) if (entry.isIntersecting) fill(entry.target.card);
  },
  { rootMargin: "1200px 0px" },
);

/** Show these classes and sentences in this order; all else leaves the page. */
function showList(found, words) {
  shownWords = words;
  nearby.disconnect();
  const elements = found.map(([each, shown], place) => {
    const card = cardOf(each);
    card.shown = shown;
    card.isFilled = false;
    if (place < FIRST_CARDS) fill(card);
    else empty(card);
    return card.element;
  });
  waiting = found.slice(FIRST_CARDS).map(([each]) => cards.get(each));
  clearTimeout(fillTimer); // who types gets an answer first
  fillTimer = setTimeout(() => whenIdle(fillWaiting), FILL_AFTER_MS);
  byId("list").replaceChildren(...elements);
  for (const element of elements) nearby.observe(element);
  byId("nothing").hidden = elements.length > 0;
}

function fillWaiting(deadline) {
  do {
    const card = waiting.shift();
    if (!card) return;
    fill(card);
  } while (deadline && deadline.timeRemaining() > 4);
  fillTimer = setTimeout(() => whenIdle(fillWaiting), 0);
}

function cardOf(each) {
  if (cards.has(each)) return cards.get(each);
  const heading = h("h2", { id: `class-${each.place}` },
    classLink(each));
  const chips = h("span", { className: "chips" });
  const label = [each.id === null ? null : `label ${each.id}`, each.group || null];
  if (each.name !== each.readable) label.unshift(each.name);
  const head = h("header", {}, heading, chips,
    h("span", { className: "quiet small label" }, label.filter(Boolean).join(" · ")));
  const body = h("div", { className: "body" });
  const element = h("article", { "aria-labelledby": heading.id }, head, body);
  const card = { each, element, body, chips, shown: [], isFilled: false };
  element.card = card;
  cards.set(each, card);
  return card;
}

const classLink = (each) =>
  h("a", { href: `#${new URLSearchParams({ class: each.name })}`, onclick: (event) => visit(event, each) },
    each.readable);

function empty(card) {
  if (card.body.firstChild) card.body.replaceChildren();
  const longest = Math.max(...data.kinds.map((k) => card.shown.filter((r) => r.kind === k).length));
  card.body.style.minHeight = `${40 + 34 * longest}px`;
}

function fill(card) {
  if (card.isFilled) return;
  card.isFilled = true;
  card.body.style.minHeight = "";
  card.chips.replaceChildren(...classChips(card.each));
  const kinds = data.kinds.filter(
    (kind) => !filter.kind || filter.kind === kind,
  );
  card.body.replaceChildren(
    h("div", { className: "kinds" }, kinds.map((kind) => kindSection(card, kind))),
    ...nearLine(card.each),
  );
}

function classChips(each) {
  const chips = [];
  if (each.missing) chips.push(chip("bad", `${each.missing} missing`, "short of what was asked for"));
  if (each.rejected) chips.push(chip("", `${each.rejected} rejected`));
  if (each.flagged) chips.push(chip("doubt", `${each.flagged} flagged`));
  return chips;
}

const chip = (look, text, title) => h("span", { className: `chip ${look}`, title }, text);

function kindSection(card, kind) {
  const shown = card.shown.filter((row) => row.kind === kind);
  const kept = shown.filter((row) => row.kept);
  const rejected = shown.filter((row) => !row.kept && !row.isSurplus);
  const surplus = shown.filter((row) => row.isSurplus);
  const number = card.each.kept[kind];
  const short = isShort(card.each, kind);
  const section = h("section", {},
    h("h3", {}, KIND_NAMES[kind], " ",
      h("span", { className: short ? "chip bad" : "number" }, `${number} of ${data.wanted}`)));
  if (kept.length) section.append(sentenceList("ol", kind, kept));
  if (rejected.length) {
    section.append(h("h4", { className: "unseen" }, "Rejected"),
      sentenceList("ul", "rejected", rejected));
  }
  if (surplus.length) {
    section.append(h("details", { className: "surplus", open: filter.rule === SURPLUS },
      h("summary", {}, `${surplus.length} more than needed`),
      sentenceList("ul", "rejected", surplus)));
  }
  if (!card.each.rows.some((row) => row.kind === kind)) {
    section.append(h("p", { className: "quiet" }, "No sentence at all."));
  }
  return section;
}

const sentenceList = (tag, look, list) =>
  h(tag, { className: `sentences ${look}` }, list.map(sentenceItem));

function sentenceItem(row) {
  const link = h("a", {
    className: "sentence", id: `row-${row.index}`, href: hashOfRow(row),
    onclick: (event) => visitSentence(event, row),
  }, ...marked(row.now));
  const step = row.kept && row.kind === "temporal"
    ? h("span", { className: "step", "aria-hidden": "true" }, row.step + 1) : null;
  return h("li", { className: row.kept ? "" : "is-rejected" }, step,
    h("div", {}, link, ...rowChips(row).flatMap((each) => [" ", each])));
}

function rowChips(row) {
  const chips = [];
  if (row.waits) {
    chips.push(chip("edit", outcomeOf(row)));
  }
  if (drafts.has(row)) chips.push(chip("doubt", "draft, not saved"));
  if (!row.kept && row.rule) chips.push(chip("bad", ruleLabel(row), meaningOf(row.rule)));
  for (const flag of row.flags) {
    chips.push(chip(flag === "edited" ? "edit" : "doubt", labelOf(flag), meaningOf(flag)));
  }
  return chips;
}

/** Name the rule; of two classes that were given the same, also the other one. */
function ruleLabel(row) {
  const names = ["shared", "identical_list"].includes(row.rule) && row.detail;
  return names ? `${labelOf(row.rule)} with ${row.detail}` : labelOf(row.rule);
}

/** Return `text` as nodes, with what was searched for marked. */
function marked(text) {
  const lower = text.toLowerCase();
  const hit = shownWords.length && lower.length === text.length;
  if (!hit) return [text];
  const nodes = [];
  for (let at = 0; at < text.length; ) {
    const next = nextHit(lower, at);
    if (!next) { nodes.push(text.slice(at)); break; }
    nodes.push(text.slice(at, next.at), h("mark", {}, text.slice(next.at, next.end)));
    at = next.end;
  }
  return nodes;
}

function nextHit(lower, from) {
  let best = null;
  for (const word of shownWords) {
    const at = lower.indexOf(word, from);
    if (at >= 0 && (!best || at < best.at)) best = { at, end: at + word.length };
  }
  return best;
}

function nearLine(each) {
  if (!each.near.length) return [];
  const links = each.near.map(([place, shared, cosine]) => {
    const why = [];
    if (shared) why.push(`${count(shared, "sentence")} shared`);
    if (cosine >= 0.1) why.push(`${Math.round(100 * cosine)}% alike`);
    const other = classes[place];
    return h("li", {},
      classLink(other), " ", h("span", { className: "quiet" }, why.join(", ")));
  });
  return [h("div", { className: "near small" },
    h("h3", { title: "by shared sentences, then by the words of what was kept (TF-IDF cosine)" },
      "Easily confused with"),
    h("ul", {}, links))];
}

/** Put the keyboard on a sentence; its card is filled first. */
function focusRow(row) {
  const card = cards.get(row.owner);
  if (!card || !card.element.isConnected) return;
  fill(card);
  const link = byId(`row-${row.index}`);
  if (!link) return;
  const details = link.closest("details");
  if (details) details.open = true;
  link.focus({ preventScroll: true });
  link.scrollIntoView({ block: "nearest" });
}

function scrollToClass(each) {
  const card = cards.get(each);
  if (!card || !card.element.isConnected) return;
  fill(card);
  card.element.scrollIntoView({ block: "start" });
  card.element.querySelector("h2 a").focus({ preventScroll: true });
}
