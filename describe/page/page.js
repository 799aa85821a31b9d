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
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

const byId = (id) => document.getElementById(id);
const readBlock = (id) => JSON.parse(byId(id).textContent);
const count = (number, noun, plural = noun + "s") =>
  `${number.toLocaleString("en")} ${number === 1 ? noun : plural}`;

// Storage may be forbidden (a file opened from disk, say); the page works without it.
const memory = {
  get(name) { try { return localStorage.getItem(name); } catch { return null; } },
  set(name, value) { try { localStorage.setItem(name, value); } catch { /* not kept */ } },
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
