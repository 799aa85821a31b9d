"use strict";
// The list of sets. The token of this run stays in the address for the page that is chosen.

const token = new URLSearchParams(location.hash.slice(1)).get("token");
if (token) memory.set("describe-token", token);
history.replaceState(null, "", location.pathname);

// Where nothing can be stored, the links carry the token.
const carried = memory.unstored.size ? `#token=${token}` : "";
const pathOf = (set, version) => `/set/${encodeURI(set.name)}/${version}${carried}`;

function setItem(set) {
  const newest = set.versions[0];
  const versions = set.versions.map((version) => h("li", {},
    h("a", { href: pathOf(set, version.name) }, version.name), " ",
    h("span", { className: "quiet" },
      [count(version.classes, "class", "classes"), `${version.kept.toLocaleString("en")} kept`,
        `${version.rejected.toLocaleString("en")} rejected`, version.model].filter(Boolean).join(" · "))));
  return h("li", { className: "set" },
    h("h2", {}, newest && !set.fault ? h("a", { href: pathOf(set, "-") }, set.name) : set.name),
    set.fault ? h("p", { className: "wrong" }, set.fault) : h("ul", {}, versions));
}

byId("sets").append(...readBlock("data").sets.map(setItem));
