// Training runs as they go: their metrics over each other, read from where the last look ended, and their samples by step.
import { html, useEffect, useMemo, useRef, useState } from "./vendor/preact.js";
import { fetchBlob, request } from "./api.js";
import { Empty, Problem, Spinner, useChoice } from "./ui.js";

const colours = ["--tile1", "--tile4", "--tile3", "--tile2", "--soft", "--tile5"];
const colour = (i) => getComputedStyle(document.documentElement).getPropertyValue(colours[i % colours.length]).trim();

/** Numbers of a line of metrics, those of objects inside as "outer.inner". */
function numbersOf(line, prefix = "", row = {}) {
  for (const [name, value] of Object.entries(line)) {
    if (typeof value === "number") row[prefix + name] = value;
    else if (value && typeof value === "object" && !Array.isArray(value)) numbersOf(value, `${prefix}${name}.`, row);
  }
  return row;
}

const pathOf = (run) => `/runs/${encodeURIComponent(run)}`;

/** "round 2: answers, 340 of 2,400 answers, 3 min left" of a run that says what it is doing. */
function doing(state) {
  if (!state || state.state !== "running") return "";
  const part = Number.isFinite(state.of) ? `, ${state.done.toLocaleString("en")} of ${state.of.toLocaleString("en")} ${state.unit}` : "";
  const left = Number.isFinite(state.seconds_left) ? `, ${state.seconds_left < 90 ? `${Math.ceil(state.seconds_left)} s` : `${Math.round(state.seconds_left / 60)} min`} left` : "";
  return `${state.step}${part}${left}`;
}

const isLive = (run) => !run.finished && Date.now() / 1000 - run.updated < 120;

/** Exponential moving average; `share` is how much of what was stays. */
function smoothed(values, share) {
  let average = null, weight = 0;
  return values.map((value) => {
    if (value == null) return null;
    average = average == null ? value * (1 - share) : average * share + value * (1 - share);
    weight = weight * share + (1 - share);
    return average / weight;
  });
}

/** Rows of all chosen runs on one axis of steps: [steps, series...]. */
function table(runs, metric, share) {
  const steps = [...new Set(runs.flatMap((run) => run.rows.filter((row) => Number.isFinite(row[metric])).map((row) => row.step)))].sort((a, b) => a - b);
  const place = new Map(steps.map((step, i) => [step, i]));
  return [steps, ...runs.map((run) => {
    const own = run.rows.filter((row) => Number.isFinite(row[metric]));
    const values = smoothed(own.map((row) => row[metric]), share);
    const series = new Array(steps.length).fill(undefined); // a gap that a line crosses
    own.forEach((row, i) => { series[place.get(row.step)] = values[i]; });
    return series;
  })];
}

function Plot({ runs, metric, share, log }) {
  const box = useRef(), plot = useRef(null);
  const data = useMemo(() => table(runs, metric, share), [runs.map((run) => `${run.name}:${run.rows.length}`).join(), metric, share]);
  useEffect(() => {
    const make = () => {
      const ink = colour(4), line = getComputedStyle(document.documentElement).getPropertyValue("--line").trim();
      const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 }, font: "12px system-ui, sans-serif" };
      plot.current?.destroy();
      plot.current = new window.uPlot({
        width: box.current.clientWidth, height: Math.max(220, Math.min(380, box.current.clientWidth * 0.55)), scales: { x: { time: false }, y: { distr: log ? 3 : 1 } },
        axes: [{ ...axis, size: 36 }, { ...axis, size: 58, values: (_, ticks) => ticks.map((tick) => (tick == null ? "" : String(Number(tick.toPrecision(4))))) }],
        series: [{ label: "step" }, ...runs.map((run, i) => ({ label: run.name, stroke: colour(run.colour), width: 1.8, spanGaps: true, points: { show: run.rows.length < 40 }, dash: i > 5 ? [6, 4] : undefined,
          value: (_, value) => (value == null ? "–" : value.toPrecision(5)) }))],
        cursor: { focus: { prox: 24 } }, focus: { alpha: 0.35 }, legend: { live: true },
      }, data, box.current);
    };
    make();
    const sizes = new ResizeObserver(() => plot.current?.setSize({ width: box.current.clientWidth, height: Math.max(220, Math.min(380, box.current.clientWidth * 0.55)) }));
    sizes.observe(box.current);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", make);
    document.addEventListener("tessera-theme", make);
    return () => { sizes.disconnect(); dark.removeEventListener("change", make); document.removeEventListener("tessera-theme", make); plot.current?.destroy(); plot.current = null; };
  }, [runs.map((run) => run.name).join(), metric, log]);
  useEffect(() => { plot.current?.setData(data); }, [data]);
  const words = runs.map((run, i) => {
    const values = data[i + 1].filter((value) => value != null);
    return values.length ? `${run.name} goes from ${values[0].toPrecision(4)} to ${values[values.length - 1].toPrecision(4)}` : `${run.name} has none`;
  });
  return html`<figure class="plot"><figcaption>${metric}</figcaption><div ref=${box} role="img" aria-label=${`${metric} by step: ${words.join("; ")}`}></div></figure>`;
}

function Samples({ run, files }) {
  const steps = [...new Set(files.map((file) => file.step))].sort((a, b) => a - b);
  const [at, setAt] = useState(null);
  const index = at == null ? steps.length - 1 : Math.min(at, steps.length - 1);
  const shown = files.filter((file) => file.step === steps[index]);
  return html`<section class="samples"><h2>${run}: samples at step ${steps[index].toLocaleString("en")}</h2>
    <input type="range" min="0" max=${steps.length - 1} value=${index} aria-label="Step of the samples" disabled=${steps.length < 2} onInput=${(e) => setAt(Number(e.target.value))} />
    <div class="sheet large">${shown.map((file) => html`<${SampleFile} key=${`${run}/${file.file}`} run=${run} file=${file} />`)}</div></section>`;
}

function SampleFile({ run, file }) {
  const [content, setContent] = useState(null);
  useEffect(() => {
    let url = "", gone = false;
    fetchBlob(`${pathOf(run)}/samples/${encodeURIComponent(file.file)}`).then(async (blob) => {
      if (gone) return;
      if (blob.type.startsWith("image/")) setContent({ url: (url = URL.createObjectURL(blob)) });
      else setContent({ text: (await blob.text()).slice(0, 20000) });
    }).catch((error) => setContent({ text: error.message }));
    return () => { gone = true; if (url) URL.revokeObjectURL(url); };
  }, [run, file.file]);
  return html`<figure>${!content ? html`<${Spinner} label="Loading" />` : content.url ? html`<img src=${content.url} alt=${file.file} />` : html`<pre tabindex="0">${content.text}</pre>`}<figcaption>${file.file}</figcaption></figure>`;
}

export function Runs({ server }) {
  const [list, setList] = useState(null);
  const [error, setError] = useState(null);
  const [chosen, setChosen] = useChoice("runs", []);
  const [metric, setMetric] = useChoice("runs-metric", "loss");
  const [share, setShare] = useChoice("runs-smooth", 0);
  const [log, setLog] = useChoice("runs-log", false);
  const [samples, setSamples] = useState({});
  const [, redraw] = useState(0);
  const kept = useRef(new Map()); // rows of each run, and where its file was read to
  const names = (list || []).map((run) => run.name);
  const shown = chosen.filter((name) => names.includes(name)).length ? chosen.filter((name) => names.includes(name)) : names.slice(0, 1);

  useEffect(() => {
    if (!server.runs) return undefined;
    let gone = false, timer;
    const look = async () => {
      try {
        const { runs } = await request("/runs");
        if (gone) return;
        setList(runs);
        const wanted = chosen.filter((name) => runs.some((run) => run.name === name));
        for (const name of wanted.length ? wanted : runs.slice(0, 1).map((run) => run.name)) {
          const own = kept.current.get(name) || { name, rows: [], next: 0, colour: kept.current.size };
          for (let more = true; more && !gone;) {
            const part = await request(`${pathOf(name)}/metrics?from=${own.next}`);
            if (part.from !== own.next) own.rows = []; // the run was begun again
            own.rows = own.rows.concat(part.lines.map((line) => numbersOf(line)).filter((row) => Number.isFinite(row.step)));
            more = part.next > part.from && part.next < part.size;
            own.next = part.next;
          }
          kept.current.set(name, own);
          const { samples: files } = await request(`${pathOf(name)}/samples`);
          if (!gone) setSamples((before) => ({ ...before, [name]: files.map((file) => ({ ...file, step: file.step ?? 0 })) }));
        }
        setError(null);
      } catch (problem) {
        if (!gone) setError(problem);
      }
      if (!gone) {
        redraw((n) => n + 1);
        timer = setTimeout(look, document.hidden ? 10000 : 2000);
      }
    };
    look();
    return () => { gone = true; clearTimeout(timer); };
  }, [chosen.join(), server.runs]);

  if (!server.runs) return html`<main class="view"><${Empty} title="No runs to show"><p>Start the server with a folder of training runs: <code>tessera serve -m DIR --runs runs</code></p><//></main>`;
  if (!list) return html`<main class="view">${error ? html`<${Problem} error=${error} />` : html`<${Spinner} label="Reading runs" />`}</main>`;
  const runs = shown.map((name) => kept.current.get(name)).filter(Boolean);
  const metrics = [...new Set(runs.flatMap((run) => run.rows.flatMap((row) => Object.keys(row).filter((key) => key !== "step" && key !== "samples" && Number.isFinite(row[key])))))];
  const current = [metric, "loss", "scores_mean"].find((one) => metrics.includes(one)) ?? metrics[0];
  const busy = list.filter((run) => shown.includes(run.name) && isLive(run) && doing(run.state));
  const withSamples = shown.filter((name) => samples[name]?.length);
  return html`<main class="view runs"><div class="bar wrap"><fieldset class="pills"><legend class="hidden">Runs</legend>${list.map((run) => html`<label class="pill"><input type="checkbox" checked=${shown.includes(run.name)}
        onChange=${() => setChosen(shown.includes(run.name) ? shown.filter((name) => name !== run.name) : [...shown, run.name])} /><span>${run.name}${isLive(run) ? html`<i class="live" title="Still running"></i>` : ""}</span></label>`)}</fieldset></div>
    <${Problem} error=${error} />
    ${list.length === 0 && html`<${Empty} title="The folder holds no runs yet"><p>A run appears as soon as its metrics.jsonl is written.</p><//>`}
    ${busy.map((run) => html`<p role="status">${run.name}: ${doing(run.state)}</p>`)}
    ${current && html`<div class="row wrap controls"><label class="count"><span>Metric</span><select value=${current} onChange=${(e) => setMetric(e.target.value)}>${metrics.map((one) => html`<option value=${one}>${one}</option>`)}</select></label>
      <label class="count"><span>Smoothing</span><input type="range" min="0" max="0.98" step="0.02" value=${share} onInput=${(e) => setShare(Number(e.target.value))} /></label>
      <label class="switch"><input type="checkbox" checked=${log} onChange=${(e) => setLog(e.target.checked)} /><span>Logarithmic</span></label></div>
      <${Plot} runs=${runs} metric=${current} share=${share} log=${log} />`}
    ${withSamples.map((name) => html`<${Samples} key=${name} run=${name} files=${samples[name]} />`)}
  </main>`;
}
