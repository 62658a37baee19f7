// Keyboard at the desks. Everything here is also a link or a button: the pages work without it.
// A single key acts only while the focus is inside an item, or in the line that tells what happened (WCAG 2.1.4).
(() => {
  "use strict";
  const items = () => [...document.querySelectorAll("[data-item]")];
  const here = () => document.activeElement && document.activeElement.closest("[data-item], #told");
  const typing = (e) => e.target.closest("textarea, select, input:not([type=radio]):not([type=checkbox])");
  // What the key says; in a layout of other letters (Cyrillic) what stands in its place in the Latin one.
  const said = (e) => {
    if (/^[a-z0-9?]$/i.test(e.key)) return e.key.toLowerCase();
    const place = /^(?:Key|Digit)(.)$/.exec(e.code || "");
    return place && !e.shiftKey ? place[1].toLowerCase() : "";
  };
  const go = (step) => {
    const all = items();
    const at = all.indexOf(here());
    const next = all[Math.max(0, Math.min(all.length - 1, at + step))];
    if (!next) return;
    next.focus();
    next.scrollIntoView({ block: "nearest" });
  };
  const press = (inside, key) => {
    const button = inside.querySelector(`[data-key="${key}"]`) || (key === "u" && document.querySelector('#told [data-key="u"]'));
    if (button) button.click();
    return Boolean(button);
  };
  const act = (inside, key) => {
    if (key === "?") {
      const keys = document.getElementById("keys");
      if (keys) { keys.open = !keys.open; keys.querySelector("summary").focus(); }
      return Boolean(keys);
    }
    if (/^[1-9]$/.test(key)) {
      const choice = inside.querySelector(`[data-choice="${key}"]`);
      if (choice) { choice.checked = true; inside.focus(); }
      return Boolean(choice);
    }
    return ["a", "r", "n", "u"].includes(key) && press(inside, key);
  };
  document.addEventListener("keydown", (e) => {
    const inside = here();
    if (e.key === "?" && !typing(e) && !e.ctrlKey && !e.metaKey && !e.altKey && !e.repeat) { // it changes nothing, so it needs no item
      if (act(document.body, "?")) e.preventDefault();
      return;
    }
    if (!inside || e.ctrlKey || e.metaKey || e.altKey || e.isComposing || typing(e)) return;
    if (e.key === "Enter") {
      const link = inside === document.activeElement && !inside.matches("form, #told") && inside.querySelector("a[href]");
      if (link && !e.repeat) { link.click(); e.preventDefault(); }
      return;
    }
    const key = said(e);
    if (key === "j" || key === "k") { go(key === "j" ? 1 : -1); e.preventDefault(); return; }
    if (e.repeat) return; // a key that is held down decides once
    if (key && act(inside, key)) e.preventDefault();
  });
  // After a decision the next one of a queue is under the fingers, described by what happened; elsewhere the line itself is read.
  const told = document.getElementById("told");
  const first = document.querySelector(".queue form[data-item]");
  const missing = told && document.querySelector("[autofocus]");
  if (missing) missing.focus();
  else if (told && first && told.getAttribute("role") !== "alert") {
    first.setAttribute("aria-describedby", "told-line");
    first.focus({ preventScroll: told.getBoundingClientRect().top >= 0 });
  } else if (told) told.focus();
})();
