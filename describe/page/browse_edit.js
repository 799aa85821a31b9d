"use strict";
// Editing: a person's word on a sentence goes to the server, which appends it to a file.

const TOKEN_NAME = "describe-token";
const drafts = new Map(); // row -> what was typed and not saved: its action, words and reason
const takesEdits = () => data.live && !data.read_only;

/** Take the token of this run out of the address, so that it gets into no link. */
function takeToken(parameters) {
  const token = parameters.get("token");
  if (!token) return;
  memory.set(TOKEN_NAME, token);
  parameters.delete("token");
}

function editSection(row) {
  const section = h("section", { className: "editing", "aria-label": "Edit" });
  const history = row.edits.length ? historyList(row) : null;
  if (!takesEdits()) {
    section.append(h("p", { className: "quiet small" }, ...withCode(data.read_only)), history || "");
    return section;
  }
  const said = h("p", { id: "said", role: "status", className: "small" });
  section.append(
    h("div", { className: "actions" },
      row.kept ? null : actionButton(row, "Keep"),
      row.kept ? actionButton(row, "Reject") : null,
      actionButton(row, "Rewrite"),
      row.edits.length ? h("button", { type: "button", className: "button plain", id: "undo",
        onclick: () => send(row, "undo", "", "") }, "Undo") : null),
    h("div", { id: "edit-form" }),
    said,
    history || "",
  );
  return section;
}

function actionButton(row, name) {
  return h("button", {
    type: "button", className: "button", "aria-expanded": "false", "aria-controls": "edit-form",
    "data-action": name,
    onclick: (event) => openForm(row, name, event.currentTarget),
  }, name);
}

function openForm(row, name, button) {
  for (const each of button.parentElement.children) each.setAttribute("aria-expanded", "false");
  button.setAttribute("aria-expanded", "true");
  const rewrites = name === "Rewrite";
  const text = h("textarea", { className: "field", id: "new-text", rows: 3, maxLength: 600,
    value: row.now, required: true });
  const reason = h("input", { className: "field", id: "reason", maxLength: 200, autocomplete: "off",
    placeholder: "Why? (for those who come after you)" });
  const form = h("form", {
    oninput: () => {
      const isChanged = (rewrites && text.value !== row.now) || reason.value !== "";
      if (isChanged) drafts.set(row, { name, words: text.value, reason: reason.value });
      else drafts.delete(row);
    },
    onsubmit: (event) => {
      event.preventDefault();
      const words = text.value.split(/\s+/).filter(Boolean).join(" ");
      send(row, name.toLowerCase(), rewrites ? words : "", reason.value.trim());
    },
  },
  rewrites ? [h("label", { className: "line", htmlFor: "new-text" }, "New sentence"), text] : null,
  h("label", { className: "line", htmlFor: "reason" }, "Reason"), reason,
  h("div", { className: "actions" },
    h("button", { className: "button primary" }, `${name} it`)));
  const draft = drafts.get(row);
  if (draft) reason.value = draft.reason;
  if (draft && draft.name === "Rewrite") text.value = draft.words;
  byId("edit-form").replaceChildren(form);
  (rewrites ? text : reason).focus();
}

/** Show again what was typed about a sentence and not saved. */
function reopenDraft(row) {
  if (!drafts.has(row)) return;
  const button = drawer.querySelector(`[data-action="${drafts.get(row).name}"]`);
  if (!button) return;
  openForm(row, drafts.get(row).name, button);
  say("Not saved yet.");
}

async function send(row, action, newText, reason) {
  say("Saving …");
  try {
    const response = await fetch("/edits", {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        "X-Describe-Token": memory.get(TOKEN_NAME) || "",
      },
      body: JSON.stringify({
        set: data.set.name, version: data.set.version, class_name: row.owner.name,
        kind: row.kind, text: row.text, action, new_text: newText, reason,
        known_edits: data.known_edits,
      }),
    });
    if (!response.ok) throw new Error((await response.text()).trim());
    const { edits, known_edits, doubt } = await response.json();
    Object.assign(data, { edits, known_edits });
    drafts.delete(row);
    afterEdit(row);
    if (opened === row) say(doubt ? `Saved. A rule would reject it: ${doubt}.` : "Saved.");
  } catch (error) {
    const gone = error instanceof TypeError;
    say(`Not saved: ${gone ? "the server does not answer; start it again" : error.message}`, true);
  }
}

function say(text, isBad = false) {
  const said = byId("said");
  if (!said) return;
  said.textContent = text;
  said.className = isBad ? "small wrong" : "small";
}

/** Show the edit wherever the sentence stands, and leave the keyboard where it was. */
function afterEdit(row) {
  applyEdits();
  update({ keepsStatus: true });
  if (opened !== row) return;
  drawer.replaceChildren(...drawerParts(row));
  (byId("undo") || byId("drawer-title")).focus();
}

function historyList(row) {
  const item = (edit) => h("li", {},
    `${edit.action}${edit.reason ? `: ${edit.reason}` : ""} `,
    h("span", { className: "quiet" },
      [edit.author, edit.edited_at.slice(0, 16).replace("T", " ") + " UTC"].filter(Boolean).join(", ")));
  return h("ul", { className: "history small" }, row.edits.map(item));
}

/** What waits for a version of its own, or why nothing can be edited. */
function showBanner() {
  const waiting = rows.filter((row) => row.byPerson).length;
  const banner = byId("banner");
  banner.hidden = !waiting && !data.read_only;
  banner.className = waiting ? "waits" : "";
  const makes = data.base === data.set.version ? "To make a version of them:"
    : `A version is made of all edits and ${data.base}, the newest that no edit has touched:`;
  if (waiting) {
    banner.replaceChildren(
      h("p", {}, `${count(waiting, "edited sentence")} on top of ${data.set.version}. ${makes}`),
      h("p", { className: "command" }, h("code", {}, data.command),
        copyButton("Copy", () => data.command)));
  } else if (data.read_only) {
    banner.replaceChildren(h("p", { className: "quiet small" }, ...withCode(data.read_only)));
  }
}

/** Return a sentence with its `commands` set as code. */
const withCode = (text) =>
  text.split("`").map((part, place) => (place % 2 ? h("code", {}, part) : part));
