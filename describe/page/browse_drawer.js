"use strict";
// The drawer: where one sentence comes from, and what people said about it.

const drawer = byId("drawer");
let opened = null; // the row that it shows
let replies = null; // parsed when first needed
let pressedOutside = false; // whether the pointer went down on the backdrop

function openSentence(row, { keepsHistory = false } = {}) {
  const wasOpen = drawer.open;
  opened = row;
  drawer.replaceChildren(...drawerParts(row));
  if (!wasOpen) drawer.showModal();
  drawer.scrollTop = 0;
  byId("drawer-title").focus();
  reopenDraft(row);
  if (!keepsHistory) remember({ sentence: row }, !wasOpen);
}

function drawerParts(row) {
  return [
    h("header", {},
      h("p", { className: "quiet small" },
        `${row.owner.readable} · ${KIND_NAMES[row.kind].toLowerCase()}`,
        row.kind === "temporal" && row.kept ? ` · step ${row.step + 1}` : ""),
      h("nav", { "aria-label": "Sentences" },
        iconButton("Previous sentence", "↑", () => step(-1)),
        iconButton("Next sentence", "↓", () => step(1)),
        iconButton("Close", "×", () => drawer.close()))),
    h("h2", { id: "drawer-title", tabIndex: -1 }, row.now),
    row.now === row.text ? null : h("p", { className: "quiet" }, "Before: ", h("s", {}, row.text)),
    h("div", { id: "verdict" }, verdictParts(row)),
    editSection(row),
    originSection(row),
  ].filter(Boolean);
}

const iconButton = (label, sign, onclick) =>
  h("button", { type: "button", className: "button plain icon", "aria-label": label, title: label, onclick },
    sign);

function verdictParts(row) {
  const lines = [];
  if (row.waits) {
    const done = !row.kept ? "Rejected" : row.now === row.text ? "Kept" : "Rewritten";
    if (row.fills) lines.push(line("edit", "Promoted", "it fills a place that an edit left free."));
    else if (row.repeats) lines.push(line("edit", "Rejected", "an edited sentence says the same."));
    else lines.push(line("edit", `${done} by a person`, ""));
  }
  if (row.rule) {
    const saw = row.detail ? ` It saw: ${row.detail}` : "";
    const meaning = data.rules[row.rule] ? `because ${data.rules[row.rule]}.` : "";
    lines.push(line("bad", `Rejected: ${labelOf(row.rule)}`, `${meaning}${saw}`));
  } else if (!row.waits) {
    lines.push(line("good", "Kept", ""));
  }
  for (const flag of row.flags) {
    const meaning = data.rules[flag] ? `a rule would reject it: ${data.rules[flag]}` : data.flags[flag];
    lines.push(line("doubt", labelOf(flag), meaning || ""));
  }
  return lines;
}

const line = (look, name, text) => h("p", {}, chip(look, name), " ", text);

function originSection(row) {
  const request = requestOf(row);
  return h("section", { className: "origin" },
    h("dl", {},
      fact("Model", row.model || "unknown"),
      fact("Prompts", row.prompts || "unknown"),
      fact("CLIP tokens", String(row.tokensNow)),
      fact("Draw", row.key ? String(row.sample + 1) : null),
      fact("Repairs", row.repairs.map(labelOf).join(", ") || "none"),
      fact("Request", row.key ? h("code", {}, row.key) : null)),
    ...(request ? requestParts(row, request) : [h("p", { className: "quiet" }, whyNoReply(row))]),
    h("p", {}, copyButton("Copy a link to this sentence", () => addressOf(row))));
}

const fact = (name, value) =>
  value === null ? null : h("div", {}, h("dt", {}, name), h("dd", {}, value));

function requestOf(row) {
  replies ??= readBlock("replies");
  return replies.requests[row.key];
}

function whyNoReply(row) {
  if (!row.key) return "No request is known for this sentence: it was published, or a person wrote it.";
  return "The prompt and the reply are not in this workspace; the machine that made this version has them.";
}

function requestParts(row, request) {
  const turns = request.messages.map(([role, place]) => [role, replies.messages[place]]);
  const last = turns.pop();
  const parameters = JSON.parse(replies.parameters[request.parameters]);
  if (request.seed !== null) parameters.seed = request.seed;
  if (request.revision) parameters.revision = request.revision;
  return [
    h("h3", {}, "Prompt"),
    turns.length ? h("details", {},
      h("summary", {}, `${count(turns.length, "message")} before it`), turns.map(turnParts)) : null,
    turnParts(last),
    h("h3", {}, "Reply"),
    h("pre", { className: "block", id: "reply" }, ...around(request.text, row.text)),
    h("p", { className: "quiet small" }, replyFacts(request)),
    h("details", {}, h("summary", {}, "Parameters"),
      h("pre", { className: "block" }, JSON.stringify(parameters, null, 2))),
  ].filter(Boolean);
}

const turnParts = ([role, text]) =>
  h("div", { className: "turn" }, h("p", { className: "quiet small" }, role),
    h("pre", { className: "block" }, text));

/** Mark the sentence within the reply, where it stands there letter for letter. */
function around(reply, sentence) {
  const at = reply.indexOf(sentence);
  if (at < 0) return [reply];
  const end = at + sentence.length;
  return [reply.slice(0, at), h("mark", {}, reply.slice(at, end)), reply.slice(end)];
}

function replyFacts(request) {
  const facts = [`ended: ${request.finish_reason}`];
  if (request.completion_tokens !== null) {
    facts.push(`${count(request.prompt_tokens ?? 0, "token")} in, ${request.completion_tokens} out`);
  }
  if (request.model) facts.push(`the server called its model ${request.model}`);
  return facts.join(" · ");
}

function copyButton(label, makeText) {
  if (!navigator.clipboard) return null;
  const button = h("button", { type: "button", className: "button" }, label);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(makeText());
      button.textContent = "Copied";
    } catch {
      button.textContent = "The browser did not allow it";
    }
  });
  return button;
}

/** Show the sentence before or after the opened one. */
function step(by) {
  const next = sentenceFrom(opened, by);
  if (next) openSentence(next);
}

drawer.addEventListener("close", () => {
  const row = opened;
  opened = null;
  remember({}, false);
  if (drafts.size) update({ keepsStatus: true });
  if (row) focusRow(row);
});

/** Whether a pointer is on the backdrop, which belongs to the drawer as its padding does. */
function isOutside(event) {
  const box = drawer.getBoundingClientRect();
  return event.clientX < box.left || event.clientX > box.right
    || event.clientY < box.top || event.clientY > box.bottom;
}
drawer.addEventListener("pointerdown", (event) => { pressedOutside = isOutside(event); });
drawer.addEventListener("click", (event) => {
  if (event.target === drawer && pressedOutside && isOutside(event)) drawer.close();
});
