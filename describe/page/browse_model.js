"use strict";
// The rows of the version, and which of them a filter shows.

const data = readBlock("data");
const KIND_NAMES = { spatial: "Spatial", temporal: "Temporal" };
const SURPLUS = "surplus";
const STATES = {
  any: "All",
  kept: "Kept",
  rejected: "Rejected",
  flagged: "Flagged",
  edited: "Edited",
  short: "Short of sentences",
};

const classes = data.classes.map((each, place) => ({ ...each, place, rows: [] }));
const classByName = new Map(classes.map((each) => [each.name, each]));

const rows = data.columns.text.map((text, index) => {
  const column = (name) => data.columns[name][index];
  const named = (name) => data.columns.tables[name][column(name)];
  const row = {
    index,
    text,
    owner: classes[column("class")],
    kind: column("kind") === "s" ? "spatial" : "temporal",
    rule: column("rule"),
    detail: column("detail"),
    step: column("step"),
    tokens: column("num_tokens"),
    flags: column("flags"),
    repairs: column("repairs"),
    sample: column("sample"),
    model: named("model"),
    prompts: named("prompt_version"),
    key: named("request_key"),
  };
  row.owner.rows.push(row);
  return row;
});

/** A short name of a sentence that stays the same in every version: FNV-1a of kind and text. */
function hashOf(text) {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  return (hash >>> 0).toString(36);
}

/** The short name of `row` among the sentences of its class; a repeat gets a number. */
function idOf(row) {
  if (!row.owner.ids) {
    const ids = (row.owner.ids = new Map());
    const seen = new Map();
    for (const each of row.owner.rows) {
      const hash = hashOf(`${each.kind}\n${each.text}`);
      const number = (seen.get(hash) || 0) + 1;
      seen.set(hash, number);
      ids.set(each, number === 1 ? hash : `${hash}-${number}`);
    }
  }
  return row.owner.ids.get(row);
}

function measure(each) {
  const kept = { spatial: 0, temporal: 0 };
  each.rejected = each.flagged = 0;
  for (const row of each.rows) {
    if (row.kept) kept[row.kind] += 1;
    else if (!row.isSurplus) each.rejected += 1;
    if (row.flagged) each.flagged += 1;
  }
  each.kept = kept;
  each.missing = 0;
  for (const kind of data.kinds) each.missing += Math.max(0, data.wanted - kept[kind]);
  each.found = `${each.name} ${each.readable}`.toLowerCase();
}

const isShort = (each, kind) => each.kept[kind] < data.wanted;

const ORDERS = {
  worst: (a, b) =>
    b.missing - a.missing || b.rejected - a.rejected || b.flagged - a.flagged || ORDERS.name(a, b),
  name: (a, b) => a.readable.localeCompare(b.readable, "en"),
  label: (a, b) => (a.id ?? Infinity) - (b.id ?? Infinity) || ORDERS.name(a, b),
};

const NO_FILTER = { q: "", kind: "", state: "any", rule: "", sort: "worst" };

const stateTests = {
  any: () => true,
  kept: (row) => row.kept,
  rejected: (row) => !row.kept && !row.isSurplus,
  flagged: (row) => row.flagged,
  edited: (row) => row.edited,
  short: (row) => isShort(row.owner, row.kind),
};

const stateCounts = {}; // sentences in each state, as edits left them

const isMarkedBy = (row, rule) => (!row.kept && row.rule === rule) || row.flags.includes(rule);

/** Return [class, its rows to show] for every class that has something to show, in order. */
function matches(filter) {
  const words = filter.q.toLowerCase().split(/\s+/).filter(Boolean);
  const inState = stateTests[filter.state] || stateTests.any;
  const found = [];
  for (const each of [...classes].sort(ORDERS[filter.sort] || ORDERS.worst)) {
    const rest = words.filter((word) => !each.found.includes(word));
    const shown = each.rows.filter(
      (row) =>
        (!filter.kind || row.kind === filter.kind) &&
        inState(row) &&
        (!filter.rule || isMarkedBy(row, filter.rule)) &&
        rest.every((word) => row.found.includes(word)),
    );
    if (shown.length || isEmptyMatch(each, filter, rest)) found.push([each, shown]);
  }
  return found;
}

/** Whether a class without a sentence to show is itself what is looked for. */
function isEmptyMatch(each, filter, rest) {
  if (rest.length || filter.rule || !["any", "short"].includes(filter.state)) return false;
  const kinds = filter.kind ? [filter.kind] : data.kinds;
  return kinds.some((kind) => !each.rows.some((row) => row.kind === kind)) && each.missing > 0;
}

/** Count the sentences of each rule and flag, the most frequent first. */
function countMarks() {
  const counts = new Map();
  for (const row of rows) {
    const marks = new Set(row.kept ? row.flags : [row.rule, ...row.flags]);
    for (const mark of marks) if (mark) counts.set(mark, (counts.get(mark) || 0) + 1);
  }
  return [...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
}

const meaningOf = (mark) =>
  data.rules[mark] ? `rejected because ${data.rules[mark]}` : data.flags[mark] || mark;
const labelOf = (mark) => mark.replaceAll("_", " ");
