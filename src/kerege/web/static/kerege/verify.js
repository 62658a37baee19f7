/* Checks a paper credential in the browser, offline: the same steps, states and reason codes as kerege.credentials.verify.
 *
 *   window.keregeVerify.verifyPaper(text, trustListJson, statusListToken, options?) ->
 *     Promise<{state, reasons, type, issuer, issuerName, issuedAt, expiresAt, statusAt, claims}>
 *
 * text             what the QR holds ("KRG1:...")
 * trustListJson    the trust list, as text or parsed
 * statusListToken  the signed status list (a JWT), or null when there is none at hand
 * options          {now: Date} for tests; default: the device's clock
 *
 * Base45, zlib (DecompressionStream), CBOR and COSE are read here; ES256 is WebCrypto's. No dependency, no network, nothing kept.
 * Certificates are not read: a browser has no reader for them. The trust list repeats each key and its dates for this purpose, and
 * `TrustList` checks that they agree with the certificates before it is published.
 */
(function (root) {
  "use strict";

  const PREFIX = "KRG1:";
  const TYP = "application/kerege-paper+cwt";
  const RAW_MAX = 16384;
  const LIST_MAX = 1 << 21; // bytes
  const SKEW = 300; // seconds
  const BASE45 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
  const QR_MAX = 4296; // characters of the largest QR code there is
  const DEPTH_MAX = 16;
  const ITEMS_MAX = 4096;

  class Refused extends Error {
    constructor(reason) {
      super(reason);
      this.reason = "credentials." + reason;
    }
  }

  const malformed = () => new Refused("malformed");

  function base45(text) {
    const out = [];
    if (text.length % 3 === 1) throw malformed();
    for (let i = 0; i < text.length; i += 3) {
      const digits = [...text.slice(i, i + 3)].map((c) => BASE45.indexOf(c));
      if (digits.includes(-1)) throw malformed();
      const value = digits.reduce((sum, digit, place) => sum + digit * 45 ** place, 0);
      if (digits.length === 3) {
        if (value > 0xffff) throw malformed();
        out.push(value >> 8, value & 0xff);
      } else {
        if (value > 0xff) throw malformed();
        out.push(value);
      }
    }
    return Uint8Array.from(out);
  }

  function base64url(text) {
    if (typeof text !== "string" || !/^[A-Za-z0-9_-]*$/.test(text) || text.length % 4 === 1) throw malformed();
    const binary = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
    const raw = Uint8Array.from(binary, (c) => c.charCodeAt(0));
    if (toBase64url(raw) !== text) throw malformed(); // stray bits: two texts for one value
    return raw;
  }

  function toBase64url(raw) {
    let binary = "";
    for (const byte of raw) binary += String.fromCharCode(byte);
    return btoa(binary).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  }

  async function inflate(data, limit) {
    const stream = new Blob([data]).stream().pipeThrough(new DecompressionStream("deflate"));
    const reader = stream.getReader();
    const chunks = [];
    let size = 0;
    for (;;) {
      let step;
      try {
        step = await reader.read();
      } catch {
        throw malformed(); // not zlib, cut short, or bytes after its end
      }
      if (step.done) break;
      size += step.value.length;
      if (size > limit) {
        await reader.cancel();
        throw new Refused("too_large");
      }
      chunks.push(step.value);
    }
    const out = new Uint8Array(size);
    let at = 0;
    for (const chunk of chunks) {
      out.set(chunk, at);
      at += chunk.length;
    }
    if (!endsWithChecksum(data, out)) throw malformed();
    return out;
  }

  /* zlib ends with the Adler-32 of what it holds. Not every engine refuses bytes after that end, so it is looked at here. */
  function endsWithChecksum(data, out) {
    let a = 1;
    let b = 0;
    for (const byte of out) {
      a = (a + byte) % 65521;
      b = (b + a) % 65521;
    }
    const end = [b >> 8, b & 255, a >> 8, a & 255];
    return data.length >= 6 && end.every((byte, place) => data[data.length - 4 + place] === byte);
  }

  /* CBOR, the deterministic subset paper uses: whole numbers, byte and text strings, arrays, maps, true, false, null, and the tags
   * the reader names, around all of it and nowhere else. Anything longer than it need be, out of order or named twice is refused, so a
   * document has one way to be written. */
  class Cbor {
    constructor(raw) {
      this.raw = raw;
      this.at = 0;
      this.items = 0;
    }

    static read(raw, tags = []) {
      const reader = new Cbor(raw);
      for (const tag of tags) {
        const [major, n] = reader.head();
        if (major !== 6 || n !== tag) throw malformed();
      }
      const value = reader.value(0);
      if (reader.at !== raw.length) throw malformed();
      return value;
    }

    take(count) {
      if (count > this.raw.length - this.at) throw malformed();
      const part = this.raw.subarray(this.at, this.at + count);
      this.at += count;
      return part;
    }

    head() {
      const first = this.take(1)[0];
      const info = first & 31;
      if (info < 24) return [first >> 5, info];
      if (info > 27) throw malformed(); // reserved, or of indefinite length
      const width = 1 << (info - 24);
      const value = Number(this.take(width).reduce((sum, byte) => sum * 256n + BigInt(byte), 0n));
      const least = width === 1 ? 24 : 2 ** (8 * (width >> 1));
      if (value < least || !Number.isSafeInteger(value)) throw malformed();
      return [first >> 5, value];
    }

    value(depth) {
      if (depth > DEPTH_MAX || ++this.items > ITEMS_MAX) throw malformed();
      const [major, n] = this.head();
      switch (major) {
        case 0:
          return n;
        case 1:
          return -1 - n;
        case 2:
          return this.take(n).slice();
        case 3:
          try {
            return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(this.take(n));
          } catch {
            throw malformed();
          }
        case 4: {
          const items = [];
          for (let i = 0; i < n; i++) items.push(this.value(depth + 1));
          return items;
        }
        case 5:
          return this.map(n, depth);
        default: // a simple value, or a tag where none belongs
          if (major === 7 && (n === 20 || n === 21)) return n === 21;
          if (major === 7 && n === 22) return null;
          throw malformed();
      }
    }

    map(count, depth) {
      const found = new Map();
      let before = null;
      for (let i = 0; i < count; i++) {
        const start = this.at;
        const name = this.value(depth + 1);
        const bytes = this.raw.subarray(start, this.at);
        if (before !== null && !comesAfter(bytes, before)) throw malformed();
        before = bytes;
        found.set(name, this.value(depth + 1));
      }
      return found;
    }
  }

  /* Canonical order of keys (RFC 7049, 3.9): the shorter first, then byte by byte. Equal keys do not come after each other. */
  function comesAfter(key, before) {
    if (key.length !== before.length) return key.length > before.length;
    for (let i = 0; i < key.length; i++) if (key[i] !== before[i]) return key[i] > before[i];
    return false;
  }

  function cborBytes(raw) {
    const head = raw.length < 24 ? [0x40 | raw.length] : raw.length < 256 ? [0x58, raw.length] : [0x59, raw.length >> 8, raw.length & 255];
    return [...head, ...raw];
  }

  /* The Sig_structure of RFC 9052, 4.4: ["Signature1", protected, h'', payload]. */
  function toSign(header, body) {
    const context = new TextEncoder().encode("Signature1");
    return Uint8Array.from([0x84, 0x60 | context.length, ...context, ...cborBytes(header), 0x40, ...cborBytes(body)]);
  }

  async function signed(jwk, signature, message) {
    if (signature.length !== 64) return false;
    const es256 = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
    const { kty, crv, x, y } = jwk;
    const key = await crypto.subtle.importKey("jwk", { kty, crv, x, y }, es256, false, ["verify"]);
    return crypto.subtle.verify(es256, key, signature, message);
  }

  function findKey(trust, kid) {
    for (const issuer of trust.issuers) for (const key of issuer.keys) if (key.kid === kid) return { issuer, key };
    throw new Refused("issuer_unknown");
  }

  function inForce(key, now) {
    if (!(Date.parse(key.not_before) / 1000 <= now && now <= Date.parse(key.not_after) / 1000)) {
      throw new Refused("certificate_refused");
    }
  }

  function numericDate(value) {
    if (value === undefined || value === null) return null;
    if (!Number.isInteger(value) || value < 0 || value >= 2 ** 40) throw malformed();
    return value;
  }

  function plain(value) {
    if (value instanceof Map) {
      if (![...value.keys()].every((name) => typeof name === "string")) throw malformed();
      return Object.fromEntries([...value].map(([name, item]) => [name, plain(item)]));
    }
    if (Array.isArray(value)) return value.map(plain);
    if (value !== null && typeof value === "object") throw malformed();
    return value;
  }

  function unwrap(row) {
    if (!Array.isArray(row) || row.length !== 4) throw malformed();
    const [header, outer, body, signature] = row;
    if (!(outer instanceof Map) || outer.size !== 0) throw malformed();
    if (![header, body, signature].every((part) => part instanceof Uint8Array) || signature.length !== 64) throw malformed();
    return [header, body, signature];
  }

  async function openPaper(text, trust, now) {
    if (!text.startsWith(PREFIX)) throw new Refused("format_unknown");
    if (text.length > QR_MAX) throw new Refused("too_large");
    const [protectedBytes, body, signature] = unwrap(
      Cbor.read(await inflate(base45(text.slice(PREFIX.length)), RAW_MAX), [61, 18]),
    );
    const header = Cbor.read(protectedBytes);
    if (!(header instanceof Map)) throw malformed();
    if (header.get(1) !== -7) throw new Refused("alg_refused");
    if (header.get(16) !== TYP) throw new Refused("type_mismatch");
    if (header.size !== 3 || !(header.get(4) instanceof Uint8Array)) throw malformed();
    const { issuer, key } = findKey(trust, toBase64url(header.get(4)));
    if (!(await signed(key.jwk, signature, toSign(protectedBytes, body)))) throw new Refused("signature_false");
    const payload = Cbor.read(body);
    if (!(payload instanceof Map)) throw malformed();
    if (payload.get(1) !== issuer.id) throw new Refused("issuer_unknown");
    inForce(key, now);
    return [payload, issuer];
  }

  function jsonPart(text) {
    try {
      return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(base64url(text)));
    } catch {
      throw malformed();
    }
  }

  /* What the issuer's status list says of bit `ref.idx`: [state, reason or null, when it was signed]. */
  async function checkStatus(ref, issuerId, token, trust, now) {
    if (token === null || token === undefined || token === "") return ["unknown", "credentials.status_missing", null];
    let payload, bits;
    try {
      const parts = String(token).trim().split(".");
      if (parts.length !== 3) throw malformed();
      const header = jsonPart(parts[0]);
      if (header.alg !== "ES256" || header.typ !== "statuslist+jwt" || "crit" in header) throw malformed();
      const { issuer, key } = findKey(trust, header.kid);
      const message = new TextEncoder().encode(parts[0] + "." + parts[1]);
      if (!(await signed(key.jwk, base64url(parts[2]), message))) throw malformed();
      inForce(key, now);
      payload = jsonPart(parts[1]);
      if (payload.iss !== issuer.id || issuer.id !== issuerId) throw malformed();
      const list = payload.status_list;
      if (!list || list.bits !== 1) throw malformed();
      bits = await inflate(base64url(list.lst), LIST_MAX);
      if (numericDate(payload.iat) === null || numericDate(payload.exp) === null || payload.iat > now + SKEW) throw malformed();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      return ["refused", "credentials.status_forged", null];
    }
    if (payload.sub !== ref.uri) return ["refused", "credentials.status_forged", null];
    const at = new Date(payload.iat * 1000);
    if (ref.idx >= bits.length * 8) return ["unknown", "credentials.status_index_outside", at];
    if ((bits[ref.idx >> 3] >> (ref.idx & 7)) & 1) return ["revoked", "credentials.revoked", at];
    if (now >= payload.exp) return ["unknown", "credentials.status_stale", at];
    return ["valid", null, at];
  }

  function readRef(status) {
    if (status === undefined || status === null) return null;
    const ref = status instanceof Map ? status.get("status_list") : null;
    const [uri, idx] = ref instanceof Map ? [ref.get("uri"), ref.get("idx")] : [];
    if (typeof uri !== "string" || !Number.isInteger(idx) || idx < 0) throw malformed();
    return { uri, idx };
  }

  async function judge(payload, issuer, trust, token, now) {
    const type = payload.get("type");
    const claims = payload.get("claims");
    if (!(claims instanceof Map) || typeof type !== "string") throw malformed();
    if (issuer.types !== undefined && !issuer.types.includes(type)) throw new Refused("issuer_not_allowed");
    const exp = numericDate(payload.get(4));
    const iat = numericDate(payload.get(6));
    if (exp === null || iat === null) throw malformed();
    const ref = readRef(payload.get(65535));
    const shown = plain(claims);
    const facts = {
      type,
      issuer: issuer.id,
      issuerName: issuer.name,
      issuedAt: new Date(iat * 1000),
      expiresAt: new Date(exp * 1000),
    };
    if (now >= exp) return verdict("refused", ["credentials.expired"], facts);
    if (iat > now + SKEW) return verdict("refused", ["credentials.not_yet_valid"], facts);
    if (ref === null) return verdict("valid", ["credentials.no_status"], { ...facts, claims: shown });
    const [state, reason, statusAt] = await checkStatus(ref, issuer.id, token, trust, now);
    const more = state === "refused" ? { statusAt } : { statusAt, claims: shown };
    return verdict(state, reason === null ? [] : [reason], { ...facts, ...more });
  }

  function verdict(state, reasons, facts) {
    const nothing = { type: null, issuer: null, issuerName: null, issuedAt: null, expiresAt: null, statusAt: null, claims: {} };
    return { ...nothing, ...facts, state, reasons };
  }

  async function verifyPaper(text, trustListJson, statusListToken, options) {
    const now = (options && options.now ? options.now.getTime() : Date.now()) / 1000;
    const trust = typeof trustListJson === "string" ? JSON.parse(trustListJson) : trustListJson;
    if (!trust || trust.version !== 1 || !Array.isArray(trust.issuers)) throw new TypeError("this is not a trust list of version 1");
    try {
      const [payload, issuer] = await openPaper(String(text).trim(), trust, now);
      return await judge(payload, issuer, trust, statusListToken, now);
    } catch (error) {
      if (error instanceof Refused) return verdict("refused", [error.reason], {});
      throw error;
    }
  }

  root.keregeVerify = Object.freeze({ verifyPaper });
})(typeof window === "undefined" ? globalThis : window);
