// The page: views, the models of the server, and what is said at its edge.
import { html, render, useEffect, useRef, useState } from "./vendor/preact.js";
import { getKey, request, setKey } from "./api.js";
import { Chat } from "./chat.js";
import { Compare } from "./compare.js";
import { Data } from "./data.js";
import { Draw } from "./draw.js";
import { Runs } from "./runs.js";
import { choice } from "./store.js";
import { Dialog, Empty, Field, Icon, IconButton, Problem, Spinner, useChoice } from "./ui.js";

const views = [["chat", "Chat", Chat], ["draw", "Draw", Draw], ["compare", "Compare", Compare], ["runs", "Runs", Runs], ["data", "Data", Data]];
const fromAddress = () => views.find(([name]) => location.hash === `#${name}`)?.[0] || "chat";

const keys = [["1 to 5, with Alt", "Chat, Draw, Compare, Runs, Data"], ["Enter", "Send, draw or compare"], ["Shift + Enter", "A new line"], ["Escape", "Stop an answer, close a dialog"],
  ["Left, Right", "From token to token where probabilities are shown"], ["/", "To the box to write in"], ["?", "This list"]];

function Theme() {
  const [theme, setTheme] = useChoice("theme", "auto");
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
    document.dispatchEvent(new Event("tessera-theme"));
  }, [theme]);
  const next = { auto: "light", light: "dark", dark: "auto" }[theme];
  return html`<${IconButton} icon=${{ auto: "auto", light: "sun", dark: "moon" }[theme]} label=${`Colours: ${theme}. Change to ${next}`} onClick=${() => setTheme(next)} />`;
}

function AskKey({ onDone }) {
  const [key, set] = useState("");
  return html`<main class="view"><form class="ask" onSubmit=${(e) => { e.preventDefault(); setKey(key); onDone(); }}><h2>This server wants a key</h2>
    <${Field} label="Key" hint="Kept in this tab until it is closed"><input type="password" autocomplete="off" value=${key} onInput=${(e) => set(e.target.value)} /><//>
    <button class="button primary" type="submit">Go on</button></form></main>`;
}

function App() {
  const [view, setView] = useState(fromAddress);
  const [models, setModels] = useState(null);
  const [server, setServer] = useState({});
  const [error, setError] = useState(null);
  const [said, setSaid] = useState("");
  const [help, setHelp] = useState(false);
  const timer = useRef();
  const say = (text) => {
    setSaid(text);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setSaid(""), 4000);
  };
  const load = async () => {
    setError(null);
    try {
      const list = await request("/v1/models");
      setServer(await request("/studio/server").catch(() => ({})));
      setModels(list.data);
    } catch (problem) {
      setError(problem);
    }
  };
  useEffect(() => {
    load();
    const onHash = () => setView(fromAddress());
    const onKey = (event) => {
      const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
      if (event.altKey && event.key >= "1" && event.key <= "5") { event.preventDefault(); location.hash = views[event.key - 1][0]; }
      else if (!typing && !event.ctrlKey && !event.metaKey && event.key === "?") setHelp(true);
      else if (!typing && event.key === "/") { event.preventDefault(); document.querySelector("main textarea")?.focus(); }
    };
    addEventListener("hashchange", onHash);
    addEventListener("keydown", onKey);
    return () => { removeEventListener("hashchange", onHash); removeEventListener("keydown", onKey); };
  }, []);
  useEffect(() => { document.title = `${views.find(([name]) => name === view)[1]} · Tessera Studio`; }, [view]);
  const View = views.find(([name]) => name === view)[2];
  return html`<div class="shell"><a class="skip" href="#content" onClick=${(e) => { e.preventDefault(); document.querySelector("main textarea, main button, main select")?.focus(); }}>To the content</a>
    <header class="top"><div class="brand"><img src="/studio/icon.svg" alt="" width="28" height="28" /><span>Tessera</span></div>
      <nav aria-label="Views">${views.map(([name, title]) => html`<a href=${`#${name}`} aria-current=${view === name ? "page" : undefined}><${Icon} name=${name} /><span>${title}</span></a>`)}</nav>
      <div class="foot"><${Theme} /><${IconButton} icon="help" label="Keyboard" onClick=${() => setHelp(true)} /></div></header>
    <div id="content" class="content"><h1 class="hidden">${views.find(([name]) => name === view)[1]}</h1>${error?.status === 401 ? html`<${AskKey} onDone=${load} />`
      : error ? html`<main class="view"><${Empty} title="Nothing here yet"><${Problem} error=${error} retry=${load} /><//></main>`
      : !models ? html`<main class="view"><${Spinner} label="Asking the server" /></main>`
      : html`<${View} models=${models} server=${server} say=${say} />`}</div>
    <div class=${`toast ${said ? "on" : ""}`} role="status">${said}</div>
    ${help && html`<${Dialog} title="Keyboard" onClose=${() => setHelp(false)}><dl class="keys">${keys.map(([key, what]) => html`<div><dt><kbd>${key}</kbd></dt><dd>${what}</dd></div>`)}</dl><//>`}
  </div>`;
}

if (getKey() === "null") setKey("");
document.documentElement.dataset.theme = choice("theme", "auto");
render(html`<${App} />`, document.getElementById("app"));
