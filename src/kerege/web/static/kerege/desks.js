// Keyboard at the desks. Everything here is also a link or a button: the pages work without it.
(() => {
  "use strict";
  const items = () => [...document.querySelectorAll("[data-item]")];
  const current = () => document.activeElement && document.activeElement.closest("[data-item]");
  const typing = (e) => e.target.closest("textarea, select, input:not([type=radio]):not([type=checkbox])");
  const go = (step) => {
    const all = items();
    if (!all.length) return;
    const at = all.indexOf(current());
    const next = all[Math.max(0, Math.min(all.length - 1, at < 0 ? (step > 0 ? 0 : all.length - 1) : at + step))];
    next.focus();
    next.scrollIntoView({ block: "nearest" });
  };
  const press = (key) => {
    const inside = current() || items()[0];
    const button = (inside && inside.querySelector(`[data-key="${key}"]`)) || document.querySelector(`main > [data-key="${key}"], main form:not([data-item]) [data-key="${key}"]`);
    if (button) button.click();
    return Boolean(button);
  };
  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || typing(e)) return;
    if (e.key === "j" || e.key === "k") { go(e.key === "j" ? 1 : -1); e.preventDefault(); return; }
    if (e.key === "?") {
      const keys = document.getElementById("keys");
      if (keys) { keys.open = !keys.open; keys.querySelector("summary").focus(); e.preventDefault(); }
      return;
    }
    if (/^[1-9]$/.test(e.key)) {
      const inside = current() || items()[0];
      const choice = inside && inside.querySelector(`[data-choice="${e.key}"]`);
      if (choice) { choice.checked = true; inside.focus(); e.preventDefault(); }
      return;
    }
    if (e.key === "Enter" && current() === document.activeElement && document.activeElement) {
      const link = document.activeElement.querySelector("a[href]");
      if (link && !document.activeElement.matches("form")) { link.click(); e.preventDefault(); }
      return;
    }
    if (["a", "r", "n", "u", "s", "d", "c"].includes(e.key) && press(e.key)) e.preventDefault();
  });
  // After a decision the next one is under the fingers.
  const told = document.getElementById("told");
  const first = document.querySelector("form[data-item]");
  if (told && told.getAttribute("role") === "alert") told.focus();
  else if (told && first) first.focus({ preventScroll: Boolean(told) && told.getBoundingClientRect().top >= 0 });
})();
