/* The page around `keregeVerify`: takes the form's text, checks paper documents here in the browser, writes the verdict in words.
 *
 * Everything it needs came with the page (trust list, status lists, wording), so it also works after the network is gone. What it cannot
 * check here - a wallet's document, or a browser without WebCrypto - it leaves to the form, which sends the text to the hub.
 */
(function () {
  "use strict";

  const form = document.getElementById("verify-form");
  const data = document.getElementById("verify-data");
  if (!form || !data || !window.keregeVerify || !window.crypto || !window.crypto.subtle || !("DecompressionStream" in window)) return;
  const { language, trust, lists, words, reasons, claims: claimWords } = JSON.parse(data.textContent);
  const result = document.getElementById("verify-result");
  const input = document.getElementById("document");
  const looks = { valid: "good", revoked: "bad", refused: "bad", unknown: "wait" };
  let letThrough = false;

  function element(name, text, className) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  function inLanguage(value) {
    return value && typeof value === "object" ? value[language] || "" : String(value);
  }

  function day(date) {
    return date ? new Intl.DateTimeFormat("ru", { timeZone: "Asia/Bishkek", dateStyle: "short", timeStyle: "short" }).format(date) : "";
  }

  /* A document names one status list; with several at hand, the one that does not speak of it looks foreign. */
  async function check(text) {
    for (const list of lists) {
      const verdict = await window.keregeVerify.verifyPaper(text, trust, list);
      if (!verdict.reasons.includes("credentials.status_forged")) return verdict;
      if (lists.length === 1) return verdict;
    }
    return window.keregeVerify.verifyPaper(text, trust, null);
  }

  function show(verdict) {
    const state = verdict.state === "unknown" ? "not_checked" : verdict.state;
    const panel = element("div", undefined, "panel panel--" + looks[verdict.state]);
    panel.dataset.state = verdict.state;
    panel.append(element("h2", words[state]), element("p", words[state + "_note"]));
    for (const code of verdict.reasons) panel.append(element("p", reasons[code] || code));
    panel.append(element("p", words.where_browser, "note"));
    result.replaceChildren(panel);
    const facts = [];
    if (verdict.issuerName) facts.push([words.issuer, inLanguage(verdict.issuerName)]);
    for (const [name, value] of Object.entries(verdict.claims)) {
      if (value !== null && !Array.isArray(value)) facts.push([claimWords[name] || name, inLanguage(value)]);
    }
    if (verdict.issuedAt) facts.push([words.issued, day(verdict.issuedAt)]);
    if (verdict.expiresAt) facts.push([words.expires, day(verdict.expiresAt)]);
    if (verdict.statusAt) facts.push([words.status_at, day(verdict.statusAt)]);
    if (facts.length) {
      const list = element("dl", undefined, "facts");
      for (const [name, value] of facts) {
        const row = element("div");
        row.append(element("dt", name), element("dd", value));
        list.append(row);
      }
      result.append(element("h2", words.contents), list);
    }
    panel.tabIndex = -1;
    panel.focus();
  }

  form.addEventListener("submit", async (event) => {
    const text = input.value.trim();
    if (letThrough || !text.startsWith("KRG1:")) return;
    event.preventDefault();
    try {
      show(await check(text));
    } catch {
      letThrough = true; // something here is not as expected: the hub checks instead
      form.requestSubmit();
    }
  });
})();
