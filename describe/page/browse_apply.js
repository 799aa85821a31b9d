"use strict";
// What edits make of the rows, as `--edits` works it out (describe/edit_apply.py).

const keyOf = (edit) => `${edit.class_name}\n${edit.kind}\n${edit.text}`;

/** Follow the edits of each sentence to what is to become of it. */
function applyEdits() {
  const last = new Map();
  data.edits.forEach((edit, index) => last.set(keyOf(edit), { edit, index }));
  for (const row of rows) {
    row.edits = chainOf(row, last);
    decide(row);
  }
  for (const each of classes) {
    for (const kind of data.kinds) settle(each.rows.filter((row) => row.kind === kind));
    each.rows.forEach(describeNow);
    measure(each);
  }
  for (const [state, isIn] of Object.entries(stateTests)) {
    stateCounts[state] = rows.filter(isIn).length;
  }
}

function chainOf(row, last) {
  const chain = [];
  let key = keyOf({ class_name: row.owner.name, kind: row.kind, text: row.text });
  for (let index = -1; last.has(key) && last.get(key).index > index; ) {
    const found = last.get(key);
    index = found.index;
    chain.push(found.edit);
    if (found.edit.action !== "rewrite") break;
    key = keyOf({ ...found.edit, text: found.edit.new_text });
  }
  return chain;
}

/** What the edits of a row alone make of it. */
function decide(row) {
  const edit = row.edits.at(-1);
  row.now = row.text;
  row.tokensNow = row.tokens;
  for (const each of row.edits) {
    if (each.action === "rewrite") [row.now, row.tokensNow] = [each.new_text, each.num_tokens];
  }
  row.kept = edit ? edit.action !== "reject" : row.rule === "";
  row.fills = row.repeats = false;
}

/** What the edits of one class and kind make of the rows together. */
function settle(own) {
  const kept = new Set(own.filter((row) => row.kept && !row.rule).map((row) => row.now));
  for (const row of own.filter((each) => each.kept && each.rule)) {
    row.kept = !kept.has(row.now) && !(row.now === row.text && row.flags.includes("text_cut"));
    if (row.kept) kept.add(row.now);
    else [row.now, row.tokensNow] = [row.text, row.tokens];
  }
  dropRepeats(own.filter((row) => row.kept));
  const rejected = own.filter((row) => !row.kept);
  const wasRejected = (row) => row.edits.at(-1)?.action === "reject" && ["", SURPLUS].includes(row.rule);
  if (!rejected.some((row) => wasRejected(row) || row.repeats)) return;
  const there = new Set(own.filter((row) => row.kept).map((row) => row.now.toLowerCase()));
  for (const row of rejected) {
    if (there.size >= data.wanted) break;
    const words = row.text.toLowerCase();
    if (row.rule !== SURPLUS || wasRejected(row) || there.has(words)) continue;
    row.kept = row.fills = true;
    there.add(words);
  }
}

/** Where an edit made two sentences the same, only the one by hand stays. */
function dropRepeats(kept) {
  const byHand = (row) => row.flags.includes("edited") || row.now !== row.text || row.rule !== "";
  const first = new Map();
  for (const row of [...kept.filter(byHand), ...kept.filter((each) => !byHand(each))]) {
    const words = row.now.toLowerCase();
    if (!first.has(words)) first.set(words, row);
    else if (byHand(first.get(words))) [row.kept, row.repeats] = [false, true];
  }
}

/** Work out how a row stands now: whether it changed, and whether a person decided. */
function describeNow(row) {
  row.waits = row.now !== row.text || row.kept !== (row.rule === "");
  const marks = [row.rule, ...row.flags, ...row.repairs];
  row.byPerson = row.waits && !row.fills && !row.repeats;
  row.edited = row.byPerson || marks.includes("edited");
  row.flagged = row.kept && row.flags.some((flag) => flag !== "edited");
  row.isSurplus = !row.kept && !row.waits && row.rule === SURPLUS;
  row.found = row.now.toLowerCase();
}

/** What edits did to a row, in a word. */
function outcomeOf(row) {
  if (row.fills) return "promoted";
  if (row.repeats) return "repeats an edited one";
  if (!row.kept) return "edited: rejected";
  return row.now === row.text ? "edited: kept" : "edited: rewritten";
}

applyEdits();
