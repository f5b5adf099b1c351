// The chat: conversations at the side, turns, and the box to write in.
import { html, useEffect, useRef, useState } from "./vendor/preact.js";
import { able } from "./api.js";
import { answer, branch, talks } from "./answer.js";
import { addNode, childrenOf, lineTo, newChat, pathOf } from "./chat_tree.js";
import { codeOf, pageOf } from "./export.js";
import { accepted, kindOf, kindsRead } from "./media_kinds.js";
import { Media, Message } from "./message.js";
import { all, put, remove } from "./store.js";
import { copy, Dialog, download, Empty, Field, IconButton, ModelSelect, NumberField, Problem, readFile, useChoice } from "./ui.js";

const largestFile = 32 * 1024 * 1024;
const titleOf = (chat) => chat.title || "New conversation";

/** What a request is drawn with: the settings, and what they leave to the model. */
function inEffect(settings, own) {
  const all = [["temperature", settings.temperature ?? own.temperature, null], ["top-p", settings.top_p ?? own.top_p, 1], ["top-k", own.top_k, 0],
    ["min-p", own.min_p, 0], ["repetition penalty", own.repetition_penalty, 1]];
  return all.filter(([, value, off]) => value !== off).map(([name, value]) => `${name} ${value}`).join(", ");
}

function Settings({ settings, setSettings, model, onClose }) {
  const change = (name) => (value) => setSettings({ ...settings, [name]: value });
  const own = model.tessera?.sampling;
  const left = (name) => (own ? `${own[name]} (the model's own)` : "the model's own");
  return html`<${Dialog} title="How it answers" onClose=${onClose}>
    ${talks(model) && html`<${Field} label="System message" hint="What holds for the whole conversation">
      <textarea rows="3" value=${settings.system || ""} onInput=${(e) => change("system")(e.target.value)}></textarea><//>`}
    <div class="grid two">
      <${NumberField} label="Temperature" hint="0: always the likeliest" min="0" max="2" step="0.1" value=${settings.temperature} onChange=${change("temperature")} placeholder=${left("temperature")} />
      <${NumberField} label="Top-p" min="0" max="1" step="0.05" value=${settings.top_p} onChange=${change("top_p")} placeholder=${left("top_p")} />
      <${NumberField} label="Most tokens" min="1" max="32768" step="1" value=${settings.max_tokens} onChange=${change("max_tokens")} placeholder="512" />
      <${NumberField} label="Seed" hint="The same seed says the same" min="0" step="1" value=${settings.seed} onChange=${change("seed")} placeholder="a new one each time" />
    </div>
    ${own && html`<p class="hint">In effect with ${model.id}: ${inEffect(settings, own)}</p>`}
    <label class="switch"><input type="checkbox" checked=${!!settings.heat} onChange=${(e) => change("heat")(e.target.checked)} /><span>Token probabilities: colour answers by how sure the model was; click a token to go on from another</span></label>
    <${Field} label="JSON schema" hint="Answers become JSON that is valid against it">
      <textarea rows="4" class="code" spellcheck="false" placeholder='{"type": "object", "properties": …}' value=${settings.schema || ""} onInput=${(e) => change("schema")(e.target.value)}></textarea><//>
  <//>`;
}

function Code({ code, onClose, say }) {
  const [kind, setKind] = useState("curl");
  return html`<${Dialog} title="The same request elsewhere" onClose=${onClose} wide>
    <div class="tabs" role="group" aria-label="Language">${Object.keys(code).map((name) => html`<button type="button" class="button" aria-pressed=${kind === name} onClick=${() => setKind(name)}>${name === "curl" ? "curl" : "Python"}</button>`)}</div>
    <pre class="snippet" tabindex="0"><code>${code[kind].replace(/base64,[A-Za-z0-9+/=]{200,}/g, (uri) => `${uri.slice(0, 60)}…`)}</code></pre>
    <button type="button" class="button primary" onClick=${() => copy(code[kind], say)}>Copy</button><//>`;
}

function List({ chats, chat, onOpen, onNew, onRemove }) {
  return html`<nav class="list" aria-label="Conversations"><${IconButton} icon="plus" text="New conversation" label="New conversation" onClick=${onNew} />
    <ul>${chats.map((one) => html`<li key=${one.id}><button type="button" class="entry" aria-current=${one.id === chat?.id ? "true" : undefined} onClick=${() => onOpen(one)}>
      <span>${titleOf(one)}</span><small>${new Date(one.created).toLocaleDateString("en", { month: "short", day: "numeric" })} · ${one.model}</small></button>
      <${IconButton} icon="trash" label=${`Delete ${titleOf(one)}`} class="quiet" onClick=${() => onRemove(one)} /></li>`)}</ul></nav>`;
}

function Composer({ model, busy, onSend, onStop, onSettings, say }) {
  const [text, setText] = useState("");
  const [media, setMedia] = useState([]);
  const [over, setOver] = useState(false);
  const box = useRef(), picker = useRef();
  const sees = able([model], "see").length > 0;
  useEffect(() => {
    box.current.style.height = "auto";
    box.current.style.height = `${Math.min(box.current.scrollHeight, 220)}px`;
  }, [text]);
  const add = async (files) => {
    for (const file of [...files]) {  // the picker forgets its list before the first is read
      const name = file.name || "pasted picture";
      try {
        const type = await kindOf(file);
        if (!type) say(`${name} cannot be shown to a model; want ${kindsRead}`);
        else if (!sees) say(`${model.id} does not see pictures`);
        else if (file.size > largestFile) say(`${name} has more than 32 MB`);
        else {
          const uri = await readFile(file.slice(0, file.size, type));
          setMedia((before) => [...before, { name, type, uri }]);
        }
      } catch {
        say(`${name} cannot be read`);
      }
    }
  };
  const send = (event) => {
    event?.preventDefault();
    if (busy || (!text.trim() && !media.length)) return;
    onSend(text, media);
    setText("");
    setMedia([]);
  };
  return html`<form class=${`composer ${over ? "over" : ""}`} onSubmit=${send}
      onDragOver=${(e) => { e.preventDefault(); setOver(true); }} onDragLeave=${() => setOver(false)}
      onDrop=${(e) => { e.preventDefault(); setOver(false); add(e.dataTransfer.files); }}>
    <${Media} media=${media} onRemove=${(i) => setMedia(media.filter((_, k) => k !== i))} />
    <textarea ref=${box} id="say" rows="1" value=${text} aria-label=${talks(model) ? "Message" : "Text to continue"} placeholder=${talks(model) ? `Ask ${model.id}` : "Begin a text, and it is continued"}
      onInput=${(e) => setText(e.target.value)} onPaste=${(e) => { if (e.clipboardData.files.length) { e.preventDefault(); add(e.clipboardData.files); } }}
      onKeyDown=${(e) => { if (e.key === "Enter" && !e.shiftKey && !e.isComposing) send(e); }}></textarea>
    <div class="row spread"><span class="row">
        ${sees && html`<${IconButton} icon="clip" label="Add a picture or a clip" onClick=${() => picker.current.click()} />
          <input ref=${picker} type="file" accept=${accepted} multiple hidden onChange=${(e) => { add(e.target.files); e.target.value = ""; }} />`}
        <${IconButton} icon="tune" label="Settings" onClick=${onSettings} /></span>
      ${busy ? html`<${IconButton} icon="stop" text="Stop" label="Stop (Escape)" onClick=${onStop} />`
        : html`<button type="submit" class="button primary" disabled=${!text.trim() && !media.length}><svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d="M5 12h13M12 5l7 7-7 7" /></svg><span>${talks(model) ? "Send" : "Continue"}</span></button>`}
    </div></form>`;
}

export function Chat({ models: everyModel, server, say }) {
  const models = able(everyModel, "chat", "write", "see");
  const [chats, setChats] = useState(null);
  const [chat, setChat] = useState(null);
  const [settings, setSettings] = useChoice("chat-settings", {});
  const [model, setModel] = useChoice("chat-model", "");
  const [open, setOpen] = useState("");
  const [code, setCode] = useState(null);
  const [, redraw] = useState(0);
  const running = useRef(null), end = useRef(), pinned = useRef(true);
  const current = models.find((one) => one.id === model) || models[0];

  useEffect(() => { all("chats").then((kept) => { setChats(kept); setChat(kept[0] || null); }); return () => running.current?.abort(); }, []);
  useEffect(() => {
    const onKey = (event) => event.key === "Escape" && running.current?.abort();
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);
  const path = chat ? pathOf(chat) : [];
  const last = path[path.length - 1];
  useEffect(() => { if (pinned.current) end.current?.scrollIntoView({ block: "end" }); }, [last?.content.length, last?.id]);

  if (!models.length) return html`<${Empty} title="No model here writes"><p>Start the server with a language model: <code>tessera serve -m DIR</code></p><//>`;
  if (!chats) return html`<main class="view"></main>`;

  const keep = async (one) => {
    if (!(await put("chats", one))) say("The browser has no room for this conversation; it is lost on reload");
  };
  const change = () => redraw((n) => n + 1);

  /** Runs `work(node, signal)`, which fills a new answer after the turn `parent`. */
  const run = async (one, parent, work) => {
    const node = addNode(one, parent, { role: "assistant", model: current.id, running: true });
    const stop = new AbortController();
    running.current = stop;
    pinned.current = true;
    change();
    try {
      await work(node, stop.signal);
    } catch (error) {
      if (error.name !== "AbortError") node.error = error.message;
      else node.finish = "stopped";
    }
    node.running = false;
    running.current = null;
    change();
    await keep(one);
  };
  const say_ = (one, parent) => run(one, parent, (node, signal) =>
    answer({ model: current, line: lineTo(one, parent), node, settings, signal, onChange: change }));

  const send = async (text, media) => {
    let one = chat;
    if (!one) {
      one = newChat(current.id);
      setChats((before) => [one, ...before]);
      setChat(one);
    }
    one.model = current.id;
    one.title ||= text.trim().slice(0, 60) || media[0]?.name;
    const turn = addNode(one, last?.id ?? null, { role: "user", content: text, media });
    await say_(one, turn.id);
  };
  const edit = async (node, text) => {
    if (node.role !== "user") {
      addNode(chat, node.parent, { role: "assistant", model: node.model, content: text });
      change();
      await keep(chat);
      return;
    }
    const turn = addNode(chat, node.parent, { role: "user", content: text, media: node.media });
    await say_(chat, turn.id);
  };
  const removeChat = async (one) => {
    if (running.current && one === chat) running.current.abort();
    await remove("chats", one.id);
    const left = chats.filter((other) => other !== one);
    setChats(left);
    if (one === chat) setChat(left[0] || null);
    say("Deleted");
  };
  const busy = !!running.current;
  const list = html`<${List} chats=${chats} chat=${chat} onRemove=${removeChat} onNew=${() => { setChat(null); setOpen(""); document.getElementById("say")?.focus(); }}
    onOpen=${(one) => { if (!busy) { pinned.current = true; setChat(one); setOpen(""); } }} />`;
  return html`<main class="view chat"><aside class="side">${list}</aside>
    <section class="main">
      <div class="bar"><span class="row"><${IconButton} icon="menu" label="Conversations" class="only-narrow" onClick=${() => setOpen("list")} />
          <${ModelSelect} models=${models} value=${current.id} onChange=${setModel} /></span>
        <span class="row"><${IconButton} icon="heat" label="Token probabilities" aria-pressed=${!!settings.heat} onClick=${() => setSettings({ ...settings, heat: !settings.heat })} />
          <${IconButton} icon="save" label="Save as a page" disabled=${!path.length} onClick=${() => download(`${titleOf(chat).replace(/[^\w -]+/g, "").trim() || "conversation"}.html`, "text/html", pageOf(titleOf(chat), path, current.id))} />
          <${IconButton} icon="plus" label="New conversation" onClick=${() => { if (!busy) setChat(null); }} /></span></div>
      <div class="turns" tabindex="-1" onScroll=${(e) => { const t = e.currentTarget; pinned.current = t.scrollHeight - t.scrollTop - t.clientHeight < 60; }}>
        ${path.length === 0 && html`<${Empty} title=${talks(current) ? "What shall we look at?" : "How does it begin?"}>
          <p>${talks(current) ? `${current.id} answers on this machine; nothing leaves it.` : `${current.id} continues texts. Write a beginning.`}</p><//>`}
        <div class="column" aria-live="off">${path.map((node) => html`<${Message} key=${node.id} node=${node} siblings=${childrenOf(chat, node.parent)} busy=${busy} settings=${settings} say=${say}
          canCite=${server.citations?.includes(node.model)} onEdit=${(text) => edit(node, text)} onAgain=${() => say_(chat, node.parent)}
          onShow=${(sibling) => { chat.shown[node.parent] = sibling.id; change(); keep(chat); }}
          onBranch=${(tokens) => run(chat, node.parent, (made, signal) => branch({ model: current, line: lineTo(chat, node.parent), tokens, node: made, settings, signal, onChange: change }))}
          onCode=${() => { try { setCode(codeOf(current, lineTo(chat, node.parent), settings)); } catch (error) { say(error.message); } }} />`)}<div ref=${end}></div></div>
      </div>
      <span class="hidden" role="status">${busy ? "The answer is being written" : last?.role === "assistant" ? "The answer is complete" : ""}</span>
      <${Composer} model=${current} busy=${busy} onSend=${send} onStop=${() => running.current?.abort()} onSettings=${() => setOpen("settings")} say=${say} />
    </section>
    ${open === "settings" && html`<${Settings} settings=${settings} setSettings=${setSettings} model=${current} onClose=${() => setOpen("")} />`}
    ${open === "list" && html`<${Dialog} title="Conversations" onClose=${() => setOpen("")}>${list}<//>`}
    ${code && html`<${Code} code=${code} say=${say} onClose=${() => setCode(null)} />`}
  </main>`;
}
