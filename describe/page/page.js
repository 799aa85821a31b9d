"use strict";
// What every page shares: elements made from text alone, and the theme.

/** Make an element. `given` holds properties, `aria-*`/`data-*` attributes and `on*` handlers;
 *  strings among `children` become text, never markup. */
function h(tag, given = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && !name.includes("-")) element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat()) {
    if (child !== null && child !== undefined) {
      element.append(typeof child === "string" ? visible(child) : child);
    }
  }
  return element;
}

/** Spell out control characters, and those that reorder the text around them, as \uXXXX. */
function visible(text) {
  return text.replace(/[^\P{Cc}\t\n]|[\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu,
    (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

const byId = (id) => document.getElementById(id);
const readBlock = (id) => JSON.parse(byId(id).textContent);
const count = (number, noun, plural = noun + "s") =>
  `${number.toLocaleString("en")} ${number === 1 ? noun : plural}`;

// Storage may be forbidden (a file opened from disk, say); what is set then lasts as long as the page.
const memory = {
  unstored: new Map(),
  get(name) {
    if (memory.unstored.has(name)) return memory.unstored.get(name);
    try { return localStorage.getItem(name); } catch { return null; }
  },
  set(name, value) {
    try { localStorage.setItem(name, value); } catch { memory.unstored.set(name, value); }
  },
};

const theme = {
  system: matchMedia("(prefers-color-scheme: dark)"),
  chosen: memory.get("theme"),
  now: () => theme.chosen || (theme.system.matches ? "dark" : "light"),
  show() {
    if (theme.chosen) document.documentElement.dataset.theme = theme.chosen;
    const other = theme.now() === "dark" ? "light" : "dark";
    const button = byId("theme");
    if (!button) return;
    button.textContent = other === "dark" ? "Dark" : "Light";
    button.setAttribute("aria-label", `${button.textContent} theme`);
  },
  toggle() {
    theme.chosen = theme.now() === "dark" ? "light" : "dark";
    memory.set("theme", theme.chosen);
    theme.show();
  },
};
theme.system.addEventListener("change", theme.show);
if (byId("theme")) byId("theme").addEventListener("click", theme.toggle);
theme.show();
