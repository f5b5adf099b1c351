// Small parts that all views are made of.
import { html, useEffect, useLayoutEffect, useRef, useState } from "./vendor/preact.js";
import { marked } from "./vendor/marked.js";
import { choice, setChoice } from "./store.js";

const paths = {
  chat: "M4 5h16v11H9l-5 4z", draw: "M4 20l4-1L20 7l-3-3L5 16zM14 7l3 3", compare: "M4 5h7v14H4zM13 5h7v14h-7z",
  runs: "M4 19h16M5 15l4-5 4 3 6-8", data: "M4 5h7v6H4zM13 5h7v6h-7zM4 13h7v6H4zM13 13h7v6h-7z",
  send: "M5 12h13M12 5l7 7-7 7", stop: "M7 7h10v10H7z", plus: "M12 5v14M5 12h14", clip: "M8 12l6-6a3 3 0 014 4l-8 8a5 5 0 01-7-7l7-7",
  copy: "M9 9h10v11H9zM5 15V4h10", edit: "M4 20l4-1L19 8l-3-3L5 16z", again: "M20 11a8 8 0 10-2 6M20 5v6h-6", left: "M14 6l-6 6 6 6", right: "M10 6l6 6-6 6",
  close: "M6 6l12 12M18 6L6 18", menu: "M4 7h16M4 12h16M4 17h16", tune: "M4 8h9M17 8h3M4 16h3M11 16h9M15 6v4M9 14v4", code: "M9 7l-5 5 5 5M15 7l5 5-5 5",
  save: "M12 4v11M7 11l5 5 5-5M5 20h14", trash: "M5 7h14M9 7V4h6v3M7 7l1 13h8l1-13", heat: "M12 3c1 4 5 5 5 10a5 5 0 01-10 0c0-2 1-3 2-4 0 2 1 3 2 3 1-3-1-5 1-9z",
  book: "M4 5c3-1 6-1 8 1 2-2 5-2 8-1v14c-3-1-6-1-8 1-2-2-5-2-8-1zM12 6v14", sun: "M12 8a4 4 0 100 8 4 4 0 000-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1 1M18 18l1 1M5 19l1-1M18 6l1-1",
  moon: "M20 14A8 8 0 1110 4a6 6 0 0010 10z", auto: "M12 4a8 8 0 100 16zM12 4a8 8 0 010 16", help: "M9 9a3 3 0 115 2c-1 1-2 1-2 3M12 18v.5", eye: "M2 12s4-7 10-7 10 7 10 7-4 7-10 7S2 12 2 12zM12 9a3 3 0 100 6 3 3 0 000-6z",
};
export const Icon = ({ name }) => html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d=${paths[name]} /></svg>`;

/** A button with an icon; `label` is its name for people who do not see it, and its tip. */
export const IconButton = ({ icon, label, text, class: kind = "", ...rest }) => html`
  <button type="button" class=${`button ${text ? "" : "square"} ${kind}`} aria-label=${text ? undefined : label} title=${label} ...${rest}>
    <${Icon} name=${icon} />${text && html`<span>${text}</span>`}
  </button>`;

export const Spinner = ({ label }) => html`<span class="spinner" role="status"><i></i><i></i><i></i><i></i><span class="hidden">${label}</span></span>`;

export const Problem = ({ error, retry }) => error && html`
  <div class="problem" role="alert"><span>${error.message || String(error)}</span>
    ${retry && html`<button type="button" class="button" onClick=${retry}>Try again</button>`}</div>`;

export const Empty = ({ title, children }) => html`<div class="empty"><div class="mosaic" aria-hidden="true">
  ${Array.from({ length: 16 }, (_, i) => html`<i style=${{ animationDelay: `${(i * 7) % 16 * 60}ms` }}></i>`)}</div><h2>${title}</h2>${children}</div>`;

/** A dialog over the page: Escape, the button and a click beside it close it. */
export function Dialog({ title, onClose, children, wide }) {
  const box = useRef();
  useLayoutEffect(() => {
    const before = document.activeElement;
    box.current.showModal();
    return () => before?.focus?.();
  }, []);
  return html`<dialog ref=${box} class=${wide ? "wide" : ""} aria-labelledby="dialog-title" onClose=${onClose}
      onClick=${(event) => event.target === box.current && box.current.close()}>
    <header><h2 id="dialog-title">${title}</h2><${IconButton} icon="close" label="Close" onClick=${() => box.current.close()} /></header>
    <div class="inside">${children}</div></dialog>`;
}

/** Reads and keeps a choice. */
export function useChoice(name, fallback) {
  const [value, set] = useState(() => choice(name, fallback));
  return [value, (next) => { set(next); setChoice(name, next); }];
}

export function Field({ label, hint, children }) {
  return html`<label class="field"><span>${label}</span>${children}${hint && html`<small>${hint}</small>`}</label>`;
}
export const NumberField = ({ label, hint, value, onChange, ...rest }) => html`<${Field} label=${label} hint=${hint}>
  <input type="number" inputmode="decimal" value=${value ?? ""} onInput=${(e) => onChange(e.target.value === "" ? null : Number(e.target.value))} ...${rest} /><//>`;

export const ModelSelect = ({ models, value, onChange, label = "Model" }) => html`
  <label class="model"><span class="hidden">${label}</span><select value=${value} onChange=${(e) => onChange(e.target.value)}>
    ${models.map((model) => html`<option value=${model.id}>${model.id}</option>`)}</select></label>`;

export async function copy(text, say) {
  try {
    await navigator.clipboard.writeText(text);
    say("Copied");
  } catch {
    say("The browser does not let the page copy");
  }
}

export function download(name, type, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

export const readFile = (file) => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.onload = () => resolve(reader.result);
  reader.onerror = () => reject(reader.error);
  reader.readAsDataURL(file);
});

/** Markdown as safe HTML. Pictures from elsewhere become their words: loading one would tell its server what was said. */
export function markdown(text) {
  const purify = window.DOMPurify;
  if (!markdown.ready) {
    purify.addHook("afterSanitizeAttributes", (node) => {
      if (node.tagName === "IMG" && !/^data:image\//.test(node.getAttribute("src") || ""))
        node.replaceWith(document.createTextNode(`[picture: ${node.getAttribute("alt") || node.getAttribute("src") || ""}]`));
      if (node.tagName === "A" && node.hasAttribute("href")) {
        node.setAttribute("target", "_blank");
        node.setAttribute("rel", "noopener noreferrer");
      }
    });
    markdown.ready = true;
  }
  return purify.sanitize(marked.parse(text, { gfm: true, breaks: true, async: false }), {
    USE_PROFILES: { html: true }, FORBID_TAGS: ["style", "form", "input", "button", "textarea", "select", "video", "audio", "source", "iframe"],
    FORBID_ATTR: ["style", "srcset", "id", "class", "name"],
  });
}

/** Words of two texts with those marked that the other has not: [{text, same}]. */
export function differences(text, other) {
  const a = text.split(/(\s+)/), b = other.split(/(\s+)/);
  const n = a.length, m = b.length;
  if (n * m > 4e6) return [{ text, same: text === other }];
  const table = Array.from({ length: n + 1 }, () => new Uint16Array(m + 1));
  for (let i = n - 1; i >= 0; --i)
    for (let j = m - 1; j >= 0; --j) table[i][j] = a[i] === b[j] ? table[i + 1][j + 1] + 1 : Math.max(table[i + 1][j], table[i][j + 1]);
  const parts = [];
  const add = (piece, same) => {
    if (parts.length && parts[parts.length - 1].same === same) parts[parts.length - 1].text += piece;
    else parts.push({ text: piece, same });
  };
  for (let i = 0, j = 0; i < n;) {
    if (j < m && a[i] === b[j]) { add(a[i], true); ++i; ++j; }
    else if (j < m && table[i][j + 1] >= table[i + 1][j]) ++j;
    else add(a[i++], false);
  }
  return parts;
}
