// Draws the figures of a report with D3. Each <figure> holds its data as JSON (see figure_data.cc) and gets an SVG, a
// legend that switches series, and a tooltip for the nearest mark under the mouse, the finger or the arrow keys.
(function () {
  "use strict";

  // ---- drawing

  const depths = [["band"], ["line", "dashed"], ["interval"], ["points"], ["rings"]];  // what is drawn over what
  const pen = document.createElement("canvas").getContext("2d");
  function textWidth(text) {
    pen.font = "12px system-ui, sans-serif";
    return pen.measureText(text).width;
  }

  // `text`, cut where it would be wider than `room`.
  function cutTo(text, room) {
    let length = text.length;
    while (length > 1 && textWidth(text.slice(0, length) + "…") > room) --length;
    return textWidth(text) <= room ? text : text.slice(0, length) + "…";
  }

  const colourClass = (colour) => (colour < 0 ? "neutral" : "c" + (colour % 6));
  const isCrowd = (series) => series.kind === "points" && series.x.length > 150;  // small, faint and beneath the rest
  const isCurve = (kind) => kind === "line" || kind === "dashed";

  function pointsOf(series) {
    return series.x.map((x, i) => ({
      x, series, y: series.y ? series.y[i] : undefined, tip: series.tips && series.tips[i],
      low: series.low && series.low[i], high: series.high && series.high[i],
    }));
  }

  function layout(figure, width) {
    const all = figure.data.series, rules = figure.data.rules;
    const values = (names, vertical) => d3.merge(names.map((name) => d3.merge(all.map((series) => series[name] || []))))
      .concat(rules.filter((rule) => rule.vertical === vertical).map((rule) => rule.at));
    const height = Math.round(Math.max(200, Math.min(400, width * (width > 600 ? 0.46 : figure.paper ? 0.62 : 0.72))));
    const frame = { width, height, top: 8, right: 14, bottom: 24 };
    const scale = (axis, domain, range) =>
      d3.scale[axis.scale === "log" ? "log" : "linear"]().domain(domain).range(range);
    const y = axes.extent(figure.data.y, values(["y", "low", "high"], false));
    frame.yTicks = axes.ticksOf[figure.data.y.scale](figure.data.y, y[0], y[1], Math.floor(height / 36));
    frame.left = 10 + Math.ceil(d3.max(frame.yTicks, (tick) => textWidth(tick.text)) || 0);
    const x = axes.extent(figure.data.x, values(["x"], true));
    const room = (text) => Math.max(2, Math.floor((width - frame.left - frame.right) / (text + 22)));
    const draft = axes.ticksOf[figure.data.x.scale](figure.data.x, x[0], x[1], room(36));
    const widest = d3.max(draft, (tick) => textWidth(tick.text)) || 0;
    frame.xTicks = axes.ticksOf[figure.data.x.scale](figure.data.x, x[0], x[1], room(widest));
    frame.x = scale(figure.data.x, x, [frame.left, width - frame.right]);
    if (figure.data.x.scale === "names") slantNames(frame);
    frame.y = scale(figure.data.y, y, [frame.height - frame.bottom, frame.top]);
    return frame;
  }

  // Names that do not fit side by side stand aslant; the figure grows by what they need.
  function slantNames(frame) {
    const { xTicks, x } = frame, slot = x(1) - x(0), slope = Math.SQRT1_2;
    frame.slanted = xTicks.some((tick) => textWidth(tick.text) > slot - 8);
    if (!frame.slanted) return;
    xTicks.forEach((tick) => Object.assign(tick, { text: cutTo(tick.text, Math.min(140, x(tick.at) / slope - 6)) }));
    const more = Math.ceil(slope * d3.max(xTicks, (tick) => textWidth(tick.text)));
    frame.bottom += more, frame.height += more;
  }

  function drawAxes(svg, frame) {
    const { x, y, left, right, top, bottom, width, height } = frame;
    const grid = svg.append("g").attr("class", "grid");
    frame.yTicks.forEach(({ at, text }) => {
      grid.append("line").attr({ x1: left, x2: width - right, y1: y(at), y2: y(at) });
      grid.append("text").attr({ x: left - 7, y: y(at), dy: ".32em", "text-anchor": "end" }).text(text);
    });
    frame.xTicks.forEach(({ at, text }) => {
      const half = textWidth(text) / 2, middle = Math.max(half, Math.min(width - half, x(at)));
      grid.append("line").attr({ x1: x(at), x2: x(at), y1: top, y2: height - bottom });
      const label = grid.append("text").text(text), below = height - bottom + 14;
      if (frame.slanted) label.attr({ transform: `translate(${x(at) + 4},${below})rotate(-45)`, "text-anchor": "end" });
      else label.attr({ x: middle, y: below + 3, "text-anchor": "middle" });
    });
    svg.append("path").attr("class", "frame").attr("d", `M${left},${top}V${height - bottom}H${width - right}`);
  }

  function drawSeries(svg, frame, series, clip) {
    const { x, y } = frame, points = pointsOf(series);
    const inside = (value, scale) => value >= scale.domain()[0] && value <= scale.domain()[1];
    const marks = points.filter((p) => inside(p.x, x) && (p.y === undefined || inside(p.y, y)));
    const radius = isCrowd(series) ? 2 : (frame.width < 420 ? 3 : 3.5) + (series.kind === "rings" ? 2 : 0);
    const group = svg.append("g").attr("class", `series ${series.kind} ${colourClass(series.colour)}`)
      .classed("crowd", isCrowd(series));
    if (series.kind === "band") {
      const area = d3.svg.area().x((p) => x(p.x)).y0((p) => y(p.low)).y1((p) => y(p.high));
      group.append("path").attr({ d: area(points), "clip-path": clip });
      return [];
    }
    if (isCurve(series.kind)) {
      group.append("path").attr({ d: d3.svg.line().x((p) => x(p.x)).y((p) => y(p.y))(points), "clip-path": clip });
    }
    if (series.kind === "interval") {
      group.append("g").attr("clip-path", clip).selectAll("line").data(marks).enter().append("line")
        .attr({ x1: (p) => x(p.x), x2: (p) => x(p.x), y1: (p) => y(p.low), y2: (p) => y(p.high) });
    }
    if (!isCurve(series.kind)) {
      group.selectAll("circle").data(marks).enter().append("circle")
        .attr({ cx: (p) => x(p.x), cy: (p) => y(p.y), r: radius });
    }
    return marks.map((p) => ({ point: p, left: x(p.x), top: y(p.y), far: isCurve(series.kind) ? 10 : 0 }));
  }

  // A rule's label stands beside the rule where it covers the fewest marks, labels and rules.
  function drawRules(svg, frame, rules, marks) {
    const { x, y, left, right, top, bottom, width, height } = frame, taken = [];
    const lines = rules.map((rule) => {
      const at = (rule.vertical ? x : y)(rule.at), [x1, x2] = rule.vertical ? [at, at] : [left, width - right];
      return { rule, at, x1, x2, y1: rule.vertical ? top : at, y2: rule.vertical ? height - bottom : at };
    }).filter(({ x1, x2, y1, y2 }) => x1 >= left && x2 <= width - right && y1 >= top && y2 <= height - bottom);
    const group = svg.append("g").attr("class", "rule");
    lines.forEach(({ x1, x2, y1, y2 }) => group.append("line").attr({ x1, x2, y1, y2 }));
    lines.forEach(({ rule, at }) => {
      const wide = textWidth(rule.label), ends = [width - right - wide - 3, left + 5];
      const places = rule.vertical
        ? d3.merge([top + 12, top + 27, height - bottom - 7].map((line) => [[at + 5, line], [at - wide - 5, line]]))
        : d3.merge(ends.map((start) => [[start, at - 5], [start, at + 14]]));
      const crowd = ([start, line]) => {
        const over = (x1, x2, y1, y2) => x1 < start + wide + 3 && x2 > start - 3 && y1 < line + 4 && y2 > line - 11;
        const outside = start < left || start + wide > width - 2 || line - 10 < top || line > height - bottom;
        return (outside ? 1000 : 0) + 100 * taken.filter((box) => over(...box)).length +
          20 * lines.filter((other) => other.rule !== rule && over(other.x1, other.x2, other.y1, other.y2)).length +
          marks.filter((mark) => over(mark.left - 3, mark.left + 3, mark.top - 3, mark.top + 3)).length;
      };
      const best = places.reduce((one, other) => (crowd(other) < crowd(one) ? other : one));
      taken.push([best[0], best[0] + wide, best[1] - 10, best[1] + 3]);
      group.append("text").attr({ x: best[0], y: best[1] }).text(rule.label);
    });
  }

  function draw(figure, width) {
    const { data, plot } = figure, frame = layout(figure, width);
    figure.width = width;
    hideTip();
    plot.selectAll("*").remove();
    plot.append("div").attr("class", "axis-label").text(data.y.label);
    const svg = plot.append("svg").attr({ viewBox: `0 0 ${width} ${frame.height}`, role: "img", tabindex: 0,
      "aria-label": `${data.title}: ${data.y.label} against ${data.x.label}` });
    plot.append("div").attr("class", "axis-label below").text(data.x.label);
    svg.append("clipPath").attr("id", figure.id).append("rect").attr({ x: frame.left, y: frame.top,
      width: width - frame.left - frame.right, height: frame.height - frame.top - frame.bottom });
    drawAxes(svg, frame);
    const shown = data.series.filter((series) => !figure.legend.hidden.has(series.name));
    const ordered = shown.filter(isCrowd).concat(d3.merge(depths.map((kinds) =>
      shown.filter((series) => kinds.includes(series.kind) && !isCrowd(series)))));
    figure.marks = d3.merge(ordered.map((series) => drawSeries(svg, frame, series, `url(#${figure.id})`)));
    drawRules(svg, frame, data.rules, figure.marks);
    if (data.series.every((series) => series.x.length === 0)) {
      svg.append("text").attr({ class: "empty", x: width / 2, y: frame.height / 2 }).text("nothing to show");
    }
    listen(figure, svg);
  }

  // ---- tooltips

  const tip = d3.select("body").append("div").attr({ class: "tip", role: "status" });
  const hideTip = () => {
    tip.classed("shown", false);
    d3.selectAll("circle.ring").remove();
  };

  function tipText(data, point) {
    if (point.tip) return point.tip;
    const named = (axis, text) => (axis.label ? axis.label + ": " : "") + text;
    const range = point.low === undefined ? "" :
      ` (${axes.valueText(data.y, point.low)} to ${axes.valueText(data.y, point.high)})`;
    return [point.series.name, named(data.x, axes.valueText(data.x, point.x)),
      named(data.y, axes.valueText(data.y, point.y) + range)].filter(Boolean).join("\n");
  }

  function showTip(figure, svg, mark) {
    hideTip();
    figure.current = mark;
    const { point, left, top } = mark, colour = colourClass(point.series.colour);
    svg.append("circle").attr({ class: "ring " + colour, cx: left, cy: top, r: 6.5 });
    tip.attr("class", "tip shown " + colour).style({ left: 0, top: 0 }).text(tipText(figure.data, point));
    const box = svg.node().getBoundingClientRect(), size = tip.node().getBoundingClientRect();
    const zoom = box.width / figure.width, at = { x: box.left + left * zoom, y: box.top + top * zoom };
    const x = Math.max(4, Math.min(document.documentElement.clientWidth - size.width - 4, at.x - size.width / 2));
    const y = at.y - size.height - 12;
    tip.style({ left: x + window.scrollX + "px", top: (y < 4 ? at.y + 14 : y) + window.scrollY + "px" });
  }

  // Touch has no hover: a finger that is lifted leaves the tooltip, a tap elsewhere takes it away.
  function listen(figure, svg) {
    const node = svg.node();
    const seek = (event) => {
      const box = node.getBoundingClientRect(), zoom = figure.width / box.width;
      const x = (event.clientX - box.left) * zoom, y = (event.clientY - box.top) * zoom;
      const reach = event.pointerType === "mouse" ? 30 : 44;
      const far = (mark) => Math.hypot(mark.left - x, mark.top - y) + mark.far;
      const near = figure.marks.reduce((best, mark) => (best && far(best) <= far(mark) ? best : mark), null);
      if (near && far(near) < reach) showTip(figure, svg, near);
      else hideTip();
    };
    node.addEventListener("pointermove", (event) => event.pointerType === "mouse" && seek(event));
    node.addEventListener("pointerdown", seek);
    node.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && hideTip());
    node.addEventListener("blur", hideTip);
    node.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key], count = figure.marks.length;
      if (event.key === "Escape") hideTip();
      if (!step || !count) return;
      const walk = figure.marks.slice().sort((a, b) => a.left - b.left || a.top - b.top);
      const from = walk.indexOf(figure.current);
      showTip(figure, svg, walk[from < 0 ? (step > 0 ? 0 : count - 1) : (from + step + count) % count]);
      event.preventDefault();
    });
  }

  // ---- legends

  // Entries in the order of the series; equal names are one entry that shows every kind of mark it stands for.
  function entriesOf(data) {
    const entries = new Map();
    data.series.filter((series) => series.name).forEach((series) => {
      const entry = entries.get(series.name) || { name: series.name, colour: series.colour, kinds: [] };
      entry.kinds.push(series.kind);
      entries.set(series.name, entry);
    });
    return [...entries.values()];
  }

  function drawSwatch(button, entry) {
    const svg = button.append("svg").attr({ width: 22, height: 12, class: colourClass(entry.colour) });
    svg.attr("aria-hidden", true);
    const group = (kind) => svg.append("g").attr("class", "series " + kind);
    const has = (kind) => entry.kinds.includes(kind);
    if (has("band")) group("band").append("path").attr("d", "M1,1H21V11H1Z");
    if (has("line")) group("line").append("path").attr("d", "M1,6H21");
    if (has("dashed")) group("dashed").append("path").attr("d", "M1,6H21");
    if (has("interval")) group("interval").append("line").attr({ x1: 11, x2: 11, y1: 0, y2: 12 });
    if (has("rings")) group("rings").append("circle").attr({ cx: 11, cy: 6, r: 4.5 });
    if (has("points") || has("interval")) group("points").append("circle").attr({ cx: 11, cy: 6, r: 3.2 });
  }

  function makeLegend(place, entries, redraw) {
    const hidden = new Set();
    const buttons = place.selectAll("button").data(entries).enter().append("button")
      .attr({ type: "button", "aria-pressed": true, title: "show or hide" });
    buttons.each(function (entry) { drawSwatch(d3.select(this), entry); });
    buttons.append("span").text((entry) => entry.name);
    buttons.on("click", function (entry) {
      if (!hidden.delete(entry.name)) hidden.add(entry.name);
      d3.select(this).attr("aria-pressed", !hidden.has(entry.name));
      redraw();
    });
    return { hidden };
  }

  // ---- the page

  const figures = [];
  function drawGroup(group) {
    const members = [...group.querySelectorAll("figure")].map((node) => ({
      node, data: JSON.parse(node.querySelector("script").textContent), plot: d3.select(node).select(".plot"),
      columns: group.classList.contains("one") ? 1 : 2,
    }));
    const entries = members.map((member) => entriesOf(member.data));
    const same = members.length > 1 && new Set(entries.map((list) => JSON.stringify(list))).size === 1;
    const redraw = (list) => () => list.forEach((member) => draw(member, member.width));
    const shared = same && makeLegend(d3.select(group).insert("div", "figure").attr("class", "legend shared"),
      entries[0], redraw(members));
    members.forEach((member, i) => {
      member.id = "clip" + figures.length;
      member.legend = shared || makeLegend(d3.select(member.node).insert("div", ".plot").attr("class", "legend"),
        entries[i], redraw([member]));
      figures.push(member);
    });
  }

  const screenWidth = (figure) => Math.max(240, Math.floor(figure.plot.node().clientWidth));
  const drawScreen = () => figures.forEach((figure) => {
    if (!figure.paper && screenWidth(figure) !== figure.width) draw(figure, screenWidth(figure));
  });

  document.querySelectorAll(".figures").forEach(drawGroup);
  drawScreen();
  let waiting = 0;
  window.addEventListener("resize", () => {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(drawScreen);
  });
  document.addEventListener("pointerdown", (event) => event.target.closest(".plot svg") || hideTip());
  // On paper a plot is as wide as its column of an A4 page (report.css), so that its text keeps its size.
  const print = (paper) => {
    figures.forEach((figure) => Object.assign(figure, { paper, width: 0 }));
    if (!paper) drawScreen();
    else figures.forEach((figure) => draw(figure, figure.columns === 1 ? 660 : 318));
  };
  window.addEventListener("beforeprint", () => print(true));
  window.addEventListener("afterprint", () => print(false));
})();
