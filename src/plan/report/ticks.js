// Numbers, dates, ticks and the extent of an axis: what figures.js needs to know before it draws. Axes come as in
// figure_data.cc: {label, scale: "linear" | "log" | "time", percent, low, high}, time in days since 1970-01-01, or
// {label, scale: "names", names} for 0, 1, 2 ...
const axes = (function () {
  "use strict";

  // ---- numbers and dates for people

  const units = [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "k"]];
  const superscript = (n) => String(n).replace(/./g, (c) => (c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[c]));
  const dayOf = (days) => new Date(days * 864e5);
  const isoDay = d3.time.format.utc("%Y-%m-%d");

  function shortNumber(value) {
    const size = Math.abs(value);
    if (size === 0) return "0";
    if (size >= 1e15 || size < 1e-4) {
      const [mantissa, exponent] = value.toExponential(3).split("e").map(Number);
      return (mantissa === 1 ? "" : mantissa + "×") + "10" + superscript(exponent);
    }
    const [scale, unit] = units.find(([least]) => size >= 0.99995 * least) || [1, ""];
    return +(value / scale).toPrecision(4) + unit;
  }

  function valueText(axis, value) {
    if (axis.scale === "time") return isoDay(dayOf(value));
    if (axis.scale === "names") return axis.names[Math.round(value)];
    return axis.percent ? (100 * value).toFixed(1) + "%" : shortNumber(value);
  }

  // ---- ticks: [{at, text}], at most about `room` of them

  function linearTicks(axis, low, high, room) {
    const factor = axis.percent ? 100 : 1;
    const scaled = d3.scale.linear().domain([low * factor, high * factor]);
    let ticks = scaled.ticks(room);
    for (let fewer = room - 1; ticks.length > room && fewer > 1; --fewer) ticks = scaled.ticks(fewer);
    const largest = d3.max(ticks, Math.abs);
    const [scale, unit] = (largest >= 1e4 && units.find(([least]) => largest >= least)) || [1, axis.percent ? "%" : ""];
    const step = Math.abs(ticks[1] - ticks[0]) / scale || 1;
    const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    const crude = largest >= 1e15 || largest < 1e-4;
    return ticks.map((at) => {
      const zero = "0" + (axis.percent ? "%" : "");
      const text = at === 0 ? zero : crude ? shortNumber(at) : (at / scale).toFixed(decimals) + unit;
      return { at: at / factor, text: text.replace("-", "−") };
    });
  }

  // The densest of a few patterns per decade that fits; within less than a decade ticks as on a linear axis. Ticks of one
  // decade lie closer and closer together, so that their number alone does not tell whether their labels fit.
  function logTicks(axis, low, high, room) {
    const slot = Math.log(high / low) / (room + 0.5);
    const fit = (ticks) => ticks.every((at, i) => i === 0 || Math.log(at / ticks[i - 1]) >= slot);
    const decades = d3.range(Math.floor(Math.log10(low)), Math.ceil(Math.log10(high)) + 1);
    const pattern = (digits) => d3.merge(decades.map((e) => digits.map((digit) => +(digit + "e" + e))))
      .filter((at) => at >= low && at <= high);
    const text = (at) => (axis.percent ? +(100 * at).toPrecision(4) + "%" : shortNumber(at));
    const label = (ticks) => ticks.map((at) => ({ at, text: text(at) }));
    for (const digits of [[1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 2, 5], [1, 3], [1]]) {
      const ticks = pattern(digits);
      if (ticks.length >= 3 && ticks.length <= room && fit(ticks)) return label(ticks);
    }
    const whole = pattern([1]);
    if (whole.length <= 2) {
      let last = 0;
      return linearTicks(axis, low, high, room).filter(({ at }) => {
        if (at <= 0 || (last > 0 && Math.log(at / last) < slot)) return false;
        last = at;
        return true;
      });
    }
    const every = Math.ceil(whole.length / room);
    return label(whole.filter((at) => Math.round(Math.log10(at)) % every === 0));
  }

  function timeTicks(axis, low, high, room) {
    const ends = [dayOf(low), dayOf(high)], scale = d3.time.scale.utc().domain(ends);
    const choices = d3.range(room, 0, -1).map((count) => scale.ticks(count));
    if (high - low < 4000) choices.push(d3.time.months.utc(ends[0], ends[1], 6));  // D3 knows quarters and years only
    const fitting = choices.filter((list) => list.length <= room);
    let ticks = fitting.reduce((best, list) => (list.length > best.length ? list : best), []);
    if (ticks.length < 2) ticks = choices[0].filter((tick, i) => i % Math.ceil(choices[0].length / room) === 0);
    const [year, month, day] = ["%Y", "%b", "%-d %b"].map((format) => d3.time.format.utc(format));
    const newYear = (tick) => tick.getUTCMonth() === 0 && tick.getUTCDate() === 1;
    return ticks.map((tick, i) => {
      const text = newYear(tick) ? year(tick) : (tick.getUTCDate() === 1 ? month : day)(tick);
      const dated = i === 0 && !ticks.some(newYear) ? text + " " + year(tick) : text;
      return { at: tick / 864e5, text: dated };
    });
  }

  const nameTicks = (axis) => axis.names.map((text, at) => ({ at, text }));

  const ticksOf = { linear: linearTicks, log: logTicks, time: timeTicks, names: nameTicks };

  // ---- the extent of an axis: the data and the rules with a little air, or the ends that were asked for

  function extent(axis, values) {
    if (axis.scale === "names") return [-0.5, axis.names.length - 0.5];
    let [low, high] = d3.extent(values);
    if (low === undefined) [low, high] = axis.scale === "log" ? [1, 10] : [0, 1];
    if (axis.scale === "log") {
      const air = Math.max(Math.pow(high / low, 0.05), 1.02);
      [low, high] = [low / air, high * air];
    } else {
      const air = 0.05 * (high - low) || Math.abs(high) * 0.1 || 1;
      const inside = low >= 0, fraction = axis.percent && high <= 1;
      [low, high] = [inside ? Math.max(0, low - air) : low - air, fraction ? Math.min(1, high + air) : high + air];
    }
    if (axis.low !== undefined) low = axis.low;
    if (axis.high !== undefined) high = axis.high;
    if (low >= high) high = axis.scale === "log" ? low * 10 : low + 1;
    return [low, high];
  }

  return { extent, ticksOf, valueText };
})();
