// One turn of a conversation.
import { html, useEffect, useMemo, useRef, useState } from "./vendor/preact.js";
import { copy, IconButton, markdown, Spinner } from "./ui.js";
import { summary, Tokens } from "./tokens.js";
import { Citations } from "./citations.js";

function Rendered({ text }) {
  const safe = useMemo(() => markdown(text), [text]);
  return html`<div class="prose" dangerouslySetInnerHTML=${{ __html: safe }}></div>`;
}

function statsOf(node) {
  if (!node.stats) return "";
  const s = node.stats, parts = [`${s.tokens} tokens`];
  if (s.rate) parts.push(`${s.rate.toFixed(1)}/s`);
  parts.push(`first after ${s.first < 1 ? `${Math.round(s.first * 1000)} ms` : `${s.first.toFixed(1)} s`}`);
  if (s.cached) parts.push(`${s.cached} of ${s.prompt} prompt tokens remembered`);
  if (node.finish === "length") parts.push("cut by the token limit");
  return parts.join(" · ");
}

function Editor({ node, onDone, onCancel }) {
  const [text, setText] = useState(node.content);
  const box = useRef();
  useEffect(() => { box.current.focus(); box.current.setSelectionRange(text.length, text.length); }, []);
  return html`<form class="editor" onSubmit=${(e) => { e.preventDefault(); onDone(text); }}>
    <textarea ref=${box} rows=${Math.min(12, text.split("\n").length + 1)} aria-label="Edit this message" value=${text} onInput=${(e) => setText(e.target.value)}
      onKeyDown=${(e) => { if (e.key === "Escape") { e.stopPropagation(); onCancel(); } if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) { e.preventDefault(); onDone(text); } }}></textarea>
    <div class="row"><button class="button primary" type="submit">${node.role === "user" ? "Send again" : "Keep"}</button>
      <button class="button" type="button" onClick=${onCancel}>Cancel</button></div></form>`;
}

export const Media = ({ media, onRemove }) => media.length > 0 && html`<div class="media">${media.map((one, i) => html`<figure>
  ${one.type.startsWith("video/") ? html`<video src=${one.uri} controls muted aria-label=${one.name}></video>` : html`<img src=${one.uri} alt=${one.name} />`}
  ${onRemove && html`<${IconButton} icon="close" label=${`Remove ${one.name}`} onClick=${() => onRemove(i)} />`}</figure>`)}</div>`;

export function Message({ node, siblings, busy, settings, say, canCite, onEdit, onAgain, onShow, onBranch, onCode }) {
  const [editing, setEditing] = useState(false);
  const [citing, setCiting] = useState(false);
  const at = siblings.findIndex((one) => one.id === node.id);
  const mine = node.role === "user";
  const heat = settings.heat && node.tokens?.length > 0;
  return html`<article class=${`message ${node.role}`} aria-label=${mine ? "You" : node.model || "Answer"}>
    <header><b>${mine ? "You" : node.model || "Answer"}</b>
      ${siblings.length > 1 && html`<span class="branches"><${IconButton} icon="left" label="Earlier branch" disabled=${at === 0 || busy} onClick=${() => onShow(siblings[at - 1])} />
        <span>${at + 1} of ${siblings.length}</span>
        <${IconButton} icon="right" label="Later branch" disabled=${at + 1 === siblings.length || busy} onClick=${() => onShow(siblings[at + 1])} /></span>`}</header>
    <${Media} media=${node.media} />
    ${editing ? html`<${Editor} node=${node} onCancel=${() => setEditing(false)} onDone=${(text) => { setEditing(false); onEdit(text); }} />`
      : citing ? html`<${Citations} node=${node} onClose=${() => setCiting(false)} />`
      : heat ? html`<${Tokens} tokens=${node.tokens} onBranch=${busy ? () => {} : onBranch} />`
      : mine ? html`<p class="said">${node.content}</p>` : html`<${Rendered} text=${node.content} />`}
    ${node.running && html`<${Spinner} label="The answer is being written" />`}
    ${node.error && html`<p class="problem" role="alert">${node.error}</p>`}
    ${!editing && !node.running && html`<footer>
      <span class="actions">
        <${IconButton} icon="copy" label="Copy" onClick=${() => copy(node.content, say)} />
        <${IconButton} icon="edit" label="Edit" disabled=${busy} onClick=${() => setEditing(true)} />
        ${!mine && html`<${IconButton} icon="again" label="Answer again" disabled=${busy} onClick=${onAgain} />
          <${IconButton} icon="code" label="As curl or Python" onClick=${onCode} />`}
        ${!mine && canCite && html`<${IconButton} icon="book" label="Where did it read this?" aria-pressed=${citing} onClick=${() => setCiting(!citing)} />`}
      </span><small>${[statsOf(node), heat && summary(node.tokens)].filter(Boolean).join(" · ")}</small></footer>`}
  </article>`;
}
