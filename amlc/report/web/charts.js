// The charts: each is a function of what is shown, and gives what ECharts draws, a note, and its words for a reader
// who does not see it.

const MOST_POINTS = 10000;
const FEW_BEST = 1 / 10; // of them the best, where more would look like what there is most of
const MOST_LINES = 2000;
const MOST_AXES = 12;
const MOST_CURVES = 200;
const MOST_BARS = 1000;
const MOST_KNOWN = 400; // points that a contour is made of
const CELLS = 36; // of a contour, along each side
const MOST_STEPS = 1000; // of a distribution
const FEW_STEPS = 30; // that many get dots on their curve
const HOVER_PARAMETERS = 12;
const NARROW = 560; // pixels: parallel coordinates are not readable there
const STATUSES = ["succeeded", "early stopped", "running", "waiting", "pending", "canceled", "failed", "unfinished", "unknown"];

function styled(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function theme() {
  return { text: styled("--text"), soft: styled("--soft"), line: styled("--line"), card: styled("--card"), plain: styled("--plot"), accent: styled("--accent"), font: getComputedStyle(document.body).fontFamily };
}

function statusColour(status) {
  return styled("--s-" + status.replace(" ", "-")) || UNSCORED;
}

// --- parts of an option ---

function lineAxis(colours, more) {
  return {
    type: "value", scale: true, nameLocation: "middle", nameGap: 30,
    nameTextStyle: { color: colours.text, fontSize: 13 },
    axisLabel: { color: colours.soft, hideOverlap: true, formatter: shortNumber },
    axisLine: { show: true, lineStyle: { color: colours.line } }, axisTick: { show: false },
    splitLine: { lineStyle: { color: colours.line } },
    ...more,
  };
}

function scoreAxis(colours, name, log, more) {
  return lineAxis(colours, { type: log ? "log" : "value", name, nameGap: 52, ...more });
}

// An axis of `axisOf`, whose ticks are at places of our own.
function placedAxis(colours, axis, more) {
  const names = new Map(axis.ticks.map(([at, text]) => [at, text]));
  const places = axis.ticks.map(([at]) => at);
  return lineAxis(colours, {
    min: axis.kind === "name" ? axis.low - 0.5 : axis.low, max: axis.kind === "name" ? axis.high + 0.5 : axis.high,
    axisLabel: { color: colours.soft, hideOverlap: true, customValues: places, formatter: (at) => names.get(at) ?? "" },
    splitLine: { show: false }, ...more,
  });
}

function base(colours, tooltip) {
  return {
    animation: false, textStyle: { fontFamily: colours.font, color: colours.text },
    grid: { left: 72, right: 30, top: 20, bottom: 48 },
    dataZoom: [],
    tooltip: {
      trigger: "item", confine: true, transitionDuration: 0, backgroundColor: colours.card, borderColor: colours.line,
      padding: 8, textStyle: { color: colours.text, fontSize: 13 }, formatter: (item) => hoverText(tooltip(item)),
    },
  };
}

// Zoom: the wheel with ctrl, so that without it the page scrolls.
function zoom(...axes) {
  return axes.map((name) => ({ type: "inside", [name + "AxisIndex"]: 0, zoomOnMouseWheel: "ctrl", moveOnMouseMove: "shift", moveOnMouseWheel: false, filterMode: "none" }));
}

// Lines of text as an element: what a trial is called is never markup.
function hoverText(lines) {
  const place = document.createElement("div");
  place.className = "hover";
  place.textContent = lines.join("\n");
  return place;
}

function told(view, row) {
  const { frame } = view;
  const lines = [view.nameOf(row) + (frame.members ? "" : " · " + frame.column("status").text(row))];
  const score = view.metric.number(row);
  if (!Number.isNaN(score)) {
    lines.push(`${shortName(view.metric.name, 40)} = ${shortNumber(score)}`);
  }
  const present = frame.parameters.filter((column) => column.has(row));
  for (const column of present.slice(0, HOVER_PARAMETERS)) {
    lines.push(`${shortName(column.name, 40)} = ${shortText(column.text(row).replace(/\s+/g, " "))}`);
  }
  if (present.length > HOVER_PARAMETERS) {
    lines.push(`and ${present.length - HOVER_PARAMETERS} more`);
  }
  return lines;
}

// At most `limit` of rows: a part of them the best, the others evenly spaced.
function chosenRows(view, rows, limit, part = 1 / 2) {
  if (rows.length <= limit) {
    return rows;
  }
  const best = new Set(view.ranked(rows).slice(0, Math.floor(limit * part)));
  const others = scattered(rows.filter((row) => !best.has(row)), limit - best.size);
  const kept = new Set([...best, ...others]);
  return rows.filter((row) => kept.has(row));
}

function drawnOf(drawn, all, what) {
  return drawn < all ? `Drawn: ${drawn.toLocaleString("en")} of ${all.toLocaleString("en")} ${what}.` : "";
}

function sentences(...parts) {
  return parts.filter(Boolean).join(" ");
}

function noScore(view) {
  return { note: view.scoredEver.length ? "Nothing that is shown has a result." : `No trial that succeeded has a finite number as its ${view.metric.name} metric.` };
}

function extent(view, rows) {
  const scores = rows.map((row) => view.metric.number(row));
  return `${shortNumber(least(scores))} to ${shortNumber(most(scores))}`;
}

function colouredNote(view) {
  return `Colour: ${shortName(view.metric.name, 40)}, from grey-blue (worst) to red (best).`;
}

// --- the charts ---

function parallelChart(view, colours, width) {
  const { frame, metric } = view;
  const axes = view.axes();
  if (!view.unbrushed.length) {
    return noScore(view);
  }
  if (!axes.length) {
    return { note: frame.parameters.length ? "No parameter varies, or none is chosen." : "The search space is empty." };
  }
  if (width < NARROW) {
    return { note: "Parallel coordinates need a wider window; the slices below show the same parameters." };
  }
  const drawn = chosenRows(view, view.unbrushed, MOST_LINES);
  const columns = [...axes, metric];
  const scales = columns.map((column) => view.axis(column));
  const ordered = view.ranked(drawn).reverse(); // the best last, over the others
  const isRoomy = width / columns.length > 150; // for names that lie beside each other
  const data = ordered.map((row) => ({
    value: [...scales.map((axis) => axis.place(row)), row],
    lineStyle: { color: view.scale.colour(metric.number(row)), opacity: view.isSelected(row) ? 1 : drawn.length > 500 ? 0.35 : 0.6, width: view.isSelected(row) ? 4 : 1.5 },
  }));
  const parallelAxis = columns.map((column, dim) => ({
    id: "axis-" + dim, dim, name: shortName(column.name, 20), nameLocation: "end",
    type: "value", min: scales[dim].low, max: scales[dim].high, realtime: false,
    nameTextStyle: { color: colours.text, fontSize: 13, align: "left" }, nameGap: 16, nameRotate: isRoomy ? 0 : 24, nameTruncate: { maxWidth: 200 },
    axisLine: { lineStyle: { color: colours.soft } }, axisTick: { customValues: scales[dim].ticks.map(([at]) => at), lineStyle: { color: colours.soft } },
    axisLabel: { color: colours.text, textBorderColor: colours.card, textBorderWidth: 3, customValues: scales[dim].ticks.map(([at]) => at), formatter: ((names) => (at) => names.get(at) ?? "")(new Map(scales[dim].ticks)) },
    areaSelectStyle: { width: 20, color: colours.accent, opacity: 0.35, borderColor: colours.accent },
    splitLine: { show: false },
  }));
  return {
    note: sentences("Drag along an axis to pick a range, click it to let go; the search field takes ranges from the keyboard.", colouredNote(view), view.axesNote(), view.unitNote("line"), drawnOf(drawn.length, view.unbrushed.length, `${view.units} that have a result, half of them the best`)),
    label: `Parallel coordinates of ${plural(drawn.length, view.unit, view.units)} through ${axes.map((column) => shortName(column.name, 40)).join(", ")} and ${metric.name}.`,
    height: isRoomy ? 420 : 480,
    brushes: columns.map((column, dim) => [dim, view.brush.get(column.key) || []]),
    brushed: (dim, intervals) => view.brushed(columns[dim], scales[dim], intervals),
    option: {
      ...base(colours, (item) => told(view, item.value[scales.length])),
      parallel: { left: 70, right: 90, top: isRoomy ? 48 : 96, bottom: 24, axisExpandable: false },
      parallelAxis, series: [{ type: "parallel", data, inactiveOpacity: 0.04, activeOpacity: 1, progressive: 0, lineStyle: { width: 1.5 } }],
    },
  };
}

function curvesChart(view, colours) {
  const metric = view.curveMetric();
  if (metric === null) {
    return { note: "No trial has reported a finite number as an intermediate result." };
  }
  const found = view.curves(metric);
  if (!found.length) {
    return { note: "No trial that is shown has reported a finite number on its way." };
  }
  const best = new Set(found.filter(({ row }) => view.isSelectedTrial(row)));
  const ordered = found.slice().sort((a, b) => view.trialRank(a.row) - view.trialRank(b.row));
  const drawn = found.length <= MOST_CURVES ? ordered : [...new Set([...best, ...ordered.slice(0, MOST_CURVES >> 1), ...scattered(ordered.slice(MOST_CURVES >> 1), MOST_CURVES >> 1)])];
  drawn.reverse();
  return {
    note: sentences(colouredNote(view), drawnOf(drawn.length, found.length, "trials, half of them the best"), view.curvesNote()),
    label: `Intermediate results of ${plural(drawn.length, "trial")}: ${shortName(metric, 40)} by step.`,
    height: 360,
    option: curvesOption(view, colours, metric, drawn),
  };
}

function curvesOption(view, colours, metric, drawn, colourOf = null) {
  const values = drawn.flatMap(({ points }) => points.map(([, value]) => value));
  const log = view.isLog(values, !view.maximize && decades(values));
  return {
    ...base(colours, (item) => [`step ${item.value[0]}: ${shortNumber(item.value[1])}`, ...view.toldTrial(drawn[item.seriesIndex].row)]),
    dataZoom: zoom("x", "y"),
    xAxis: lineAxis(colours, { name: "step", minInterval: 1, scale: false, splitLine: { show: false } }),
    yAxis: scoreAxis(colours, shortName(metric, 30), log),
    series: drawn.map(({ row, points }, index) => ({
      id: "trial-" + view.trials.sequence[row], type: "line", data: points, showSymbol: points.length <= FEW_STEPS, symbol: "circle", symbolSize: 4, triggerLineEvent: true,
      emphasis: { focus: "series", lineStyle: { width: 3 } }, blur: { lineStyle: { opacity: 0.15 } },
      color: colourOf ? colourOf(index) : view.colourOfTrial(row), lineStyle: { width: colourOf ? 2 : 1.5 },
    })),
  };
}

function slicesChart(view, colours, width) {
  const axes = view.axes();
  if (!view.scored.length || !axes.length) {
    return view.scored.length ? { note: "No parameter varies, or none is chosen." } : noScore(view);
  }
  const across = Math.min(axes.length, width > 1000 ? 4 : width > 700 ? 3 : width > 430 ? 2 : 1);
  const down = Math.ceil(axes.length / across);
  const drawn = chosenRows(view, view.scored, Math.max(300, Math.floor(12000 / axes.length)), FEW_BEST);
  const log = view.isLog(drawn.map((row) => view.metric.number(row)), view.scale.log);
  const high = 210;
  const option = { ...base(colours, (item) => told(view, item.value[2])), grid: [], xAxis: [], yAxis: [], series: [] };
  const spread = (row) => (((row * 0.618034) % 1) - 0.5) * 0.5; // so that names do not lie on each other
  axes.forEach((column, index) => {
    const axis = view.axis(column);
    const [x, y] = [index % across, Math.floor(index / across)];
    option.grid.push({ left: (x * width) / across + 58, width: width / across - 74, top: y * high + 12, height: high - 66 });
    const fits = Math.max(2, Math.floor(width / across / 70));
    option.xAxis.push(placedAxis(colours, { ...axis, ticks: axis.kind === "name" ? axis.ticks : evenly(axis.ticks, fits) }, { gridIndex: index, name: shortName(column.name, 30), nameGap: 26 }));
    option.yAxis.push(scoreAxis(colours, "", log, { gridIndex: index, splitNumber: 3 }));
    option.series.push({
      type: "scatter", xAxisIndex: index, yAxisIndex: index, symbolSize: drawn.length > 500 ? 4 : drawn.length > 50 ? 6 : 9, itemStyle: { color: colours.plain, opacity: 0.6 },
      data: drawn.map((row) => [axis.place(row) + (axis.kind === "name" ? spread(row) : 0), view.metric.number(row), row]),
    });
  });
  return {
    note: sentences(`Each parameter by itself, with ${shortName(view.metric.name, 40)} upwards.`, view.axesNote(), drawnOf(drawn.length, view.scored.length, `${view.units}, a tenth of them the best`)),
    label: `${plural(axes.length, "scatter plot")} of ${view.metric.name} by ${axes.map((column) => shortName(column.name, 40)).join(", ")}.`,
    height: down * high + 8, option,
  };
}

function pairChart(view, colours) {
  const [x, y] = view.pair();
  if (!x || !y || !view.scored.length) {
    return view.scored.length ? { note: "It takes two parameters that vary." } : noScore(view);
  }
  const drawn = chosenRows(view, view.scored, MOST_LINES, FEW_BEST);
  const [across, up] = [view.axis(x), view.axis(y)];
  const isRank = view.state.pairMode === "rank";
  const ranks = new Map(view.ranked(view.scored).map((row, index) => [row, index]));
  const rankColour = (row) => colourAt(1 - ranks.get(row) / Math.max(1, view.scored.length - 1));
  const spread = (axis, row, turn) => (axis.kind === "name" ? ((((row + 1) * turn) % 1) - 0.5) * 0.4 : 0);
  const points = drawn.map((row) => ({
    value: [across.place(row) + spread(across, row, 0.618034), up.place(row) + spread(up, row, 0.754878), row],
    itemStyle: { color: isRank ? rankColour(row) : view.scale.colour(view.metric.number(row)) },
  }));
  const option = {
    ...base(colours, (item) => (item.seriesIndex ? told(view, item.value[2]) : [`about ${shortNumber(item.value[2])}`])),
    xAxis: placedAxis(colours, across, { name: shortName(x.name, 40) }),
    yAxis: placedAxis(colours, up, { name: shortName(y.name, 40), nameGap: 56 }),
    series: [isRank ? { type: "scatter", data: [] } : contour(view, colours, drawn, across, up), { type: "scatter", data: points, symbolSize: isRank ? 9 : 6, itemStyle: { borderColor: colours.card, borderWidth: 1 } }],
  };
  return {
    note: sentences(isRank ? "Colour: the rank, from grey-blue (last) to red (first)." : `Colour: ${shortName(view.metric.name, 40)}, between the trials as their distance weighs them.`, drawnOf(drawn.length, view.scored.length, `${view.units}, a tenth of them the best`)),
    label: `${isRank ? "Rank" : "Contour"} plot of ${view.metric.name} by ${shortName(x.name, 40)} and ${shortName(y.name, 40)}: ${plural(drawn.length, "point")}.`,
    height: 420, option,
  };
}

function colourAt(part) {
  const place = Math.min(1, Math.max(0, part)) * (COLOURS.length - 1);
  const index = Math.min(Math.floor(place), COLOURS.length - 2);
  return mixed(COLOURS[index], COLOURS[index + 1], place - index);
}

// Cells whose value is the mean of what is known, weighed by the distance (Shepard's method).
function contour(view, colours, drawn, across, up) {
  const bounds = (axis) => (axis.kind === "name" ? [axis.low - 0.5, axis.high + 0.5] : [axis.low, axis.high]);
  const [[x0, x1], [y0, y1]] = [bounds(across), bounds(up)];
  const known = scattered(drawn, MOST_KNOWN).map((row) => [(across.place(row) - x0) / (x1 - x0), (up.place(row) - y0) / (y1 - y0), view.scale.position(view.metric.number(row))]).filter(([, , score]) => Number.isFinite(score));
  const cells = [];
  for (let i = 0; i < CELLS; i += 1) {
    for (let j = 0; j < CELLS; j += 1) {
      const [px, py] = [(i + 0.5) / CELLS, (j + 0.5) / CELLS];
      let [total, weight] = [0, 0];
      for (const [kx, ky, score] of known) {
        const near = 1 / (((px - kx) ** 2 + (py - ky) ** 2) ** 2 + 1e-7);
        total += near * score;
        weight += near;
      }
      const position = total / weight;
      cells.push([x0 + px * (x1 - x0), y0 + py * (y1 - y0), view.scale.log ? 10 ** position : position]);
    }
  }
  const [w, h] = [(x1 - x0) / CELLS, (y1 - y0) / CELLS];
  return {
    type: "custom", data: known.length ? cells : [], silent: false, encode: { x: 0, y: 1 }, z: 1,
    renderItem: (params, api) => {
      const [left, top] = api.coord([api.value(0) - w / 2, api.value(1) + h / 2]);
      const [right, bottom] = api.coord([api.value(0) + w / 2, api.value(1) - h / 2]);
      const [x, y] = [Math.floor(left), Math.floor(top)]; // whole pixels, and opaque: their edges would be a grid
      return { type: "rect", shape: { x, y, width: Math.ceil(right) - x, height: Math.ceil(bottom) - y }, style: { fill: mixed(colours.card, view.scale.colour(api.value(2)), 0.55) } };
    },
  };
}

function importanceChart(view, colours, width) {
  const isFanova = view.state.importanceMode === "fanova";
  const found = isFanova ? view.fanova() : view.importance();
  const metric = shortName(view.metric.name, 40);
  if (!found) {
    return { note: `There is no estimate for ${metric}: it takes ten trials with different results, and a parameter that varies.` };
  }
  const shown = found.shares.slice(0, 20).reverse();
  const units = plural(found.trials, view.unit, view.units);
  return {
    note: isFanova
      ? `Which part of the variance of ${metric} each parameter explains by itself: fANOVA over ${units} of those that are shown.`
      : `How much each parameter counts for ${metric}, to be among its best tenth: PED-ANOVA over ${units}, whatever is shown here.`,
    label: `Importance of parameters${isFanova ? " by fANOVA" : ""}: ${found.shares.slice(0, 5).map(([name, share]) => `${shortName(name, 40)} ${(share * 100).toFixed(0)} %`).join(", ")}.`,
    height: 60 + 28 * shown.length,
    option: {
      ...base(colours, (item) => [`${item.name}: ${(item.value * 100).toFixed(1)} %`]),
      grid: { left: width < NARROW ? 110 : 170, right: 56, top: 8, bottom: 40 },
      xAxis: lineAxis(colours, { min: 0, max: found.shares[0][1] > 0.8 ? 1 : null, splitNumber: width < NARROW ? 3 : 6, axisLabel: { color: colours.soft, hideOverlap: true, formatter: (value) => `${Math.round(value * 100)} %` } }),
      yAxis: { type: "category", data: shown.map(([name]) => shortName(name, Math.max(14, Math.floor(width / 26)))), axisLabel: { color: colours.text }, axisTick: { show: false }, axisLine: { lineStyle: { color: colours.line } } },
      series: [{ type: "bar", data: shown.map(([, share]) => share), barMaxWidth: 18, itemStyle: { color: colours.plain }, label: { show: true, position: "right", color: colours.text, formatter: (item) => `${(item.value * 100).toFixed(0)} %` } }],
    },
  };
}

function timeChart(view, colours) {
  const { trials } = view;
  const [started, duration, status] = ["started", "duration", "status"].map((key) => trials.column(key));
  const isTimeline = view.state.timeMode === "timeline";
  const column = isTimeline ? started : duration;
  const rows = view.trialRows.filter((row) => column.has(row));
  if (!rows.length) {
    return { note: isTimeline ? "No trial that is shown has begun." : "No trial that is shown has ended." };
  }
  const drawn = scattered(rows, isTimeline ? MOST_LINES : MOST_BARS);
  const present = STATUSES.filter((name) => drawn.some((row) => status.text(row) === name));
  const palette = new Map(present.map((name) => [name, statusColour(name)]));
  const common = {
    note: sentences(isTimeline ? "When each trial ran; one that has not ended reaches to the latest time that is known." : "How long each trial took.", drawnOf(drawn.length, rows.length, "trials")),
    label: `${isTimeline ? "Timeline" : "Durations"} of ${plural(drawn.length, "trial")} by status: ${present.map((name) => plural(drawn.filter((row) => status.text(row) === name).length, name, name)).join(", ")}.`,
    legend: present.map((name) => [name, palette.get(name)]),
  };
  return { ...common, ...(isTimeline ? timeline(view, colours, drawn, palette) : durations(view, colours, drawn, palette)) };
}

function unitOf(longest) {
  return longest >= 10800 ? ["hours", 3600] : longest >= 180 ? ["minutes", 60] : ["seconds", 1];
}

function durations(view, colours, drawn, palette) {
  const { trials } = view;
  const duration = trials.column("duration");
  const [unit, size] = unitOf(most(drawn.map((row) => duration.number(row))));
  const span = trials.sequence[drawn[drawn.length - 1]] - trials.sequence[drawn[0]];
  const wide = Math.max(1, span / Math.max(1, drawn.length - 1)) * 0.4;
  return {
    height: 280,
    option: {
      ...base(colours, (item) => [`${durationText(item.value[1] * size)}`, ...view.toldTrial(item.value[2])]),
      dataZoom: zoom("x"),
      xAxis: lineAxis(colours, { name: "trial", minInterval: 1, splitLine: { show: false }, min: trials.sequence[drawn[0]] - wide * 1.4, max: trials.sequence[drawn[drawn.length - 1]] + wide * 1.4, axisLabel: { color: colours.soft, hideOverlap: true, showMinLabel: false, showMaxLabel: false, formatter: (at) => (Number.isInteger(at) ? String(at) : "") } }),
      yAxis: lineAxis(colours, { name: unit, nameGap: 52, min: 0, scale: false }),
      series: [{
        type: "custom", encode: { x: 0, y: 1 },
        data: drawn.map((row) => [trials.sequence[row], duration.number(row) / size, row]),
        renderItem: (params, api) => {
          const [left, top] = api.coord([api.value(0) - wide, api.value(1)]);
          const [right, bottom] = api.coord([api.value(0) + wide, 0]);
          return { type: "rect", shape: { x: left, y: Math.min(top, bottom - 1), width: Math.max(1, right - left), height: Math.max(1, bottom - top) }, style: { fill: palette.get(trials.column("status").text(api.value(2))) } };
        },
      }],
    },
  };
}

function timeline(view, colours, drawn, palette) {
  const { trials } = view;
  const [started, duration, status] = ["started", "duration", "status"].map((key) => trials.column(key));
  const endOf = (row) => started.number(row) + (duration.has(row) ? duration.number(row) : 0);
  const latest = most(trials.all.map((row) => (started.has(row) ? endOf(row) : -Infinity)));
  const first = least(drawn.map((row) => started.number(row)));
  const [unit, size] = unitOf(latest - first);
  const bars = drawn.map((row) => [...[started.number(row), duration.has(row) ? endOf(row) : latest].map((at) => (at - first) / size), trials.sequence[row], row]);
  const tall = Math.max(0.8, (trials.sequence[drawn[drawn.length - 1]] - trials.sequence[drawn[0]]) / Math.max(1, drawn.length));
  return {
    height: Math.min(560, 140 + 14 * drawn.length),
    option: {
      ...base(colours, (item) => [`${timeText(view.origin + first + item.value[0] * size)} UTC, ${durationText((item.value[1] - item.value[0]) * size)}`, ...view.toldTrial(item.value[3])]),
      dataZoom: zoom("x", "y"),
      xAxis: lineAxis(colours, { name: `${unit} since ${timeText(view.origin + first)} UTC`, min: 0, max: latest > first ? (latest - first) / size : 1, axisLabel: { color: colours.soft, hideOverlap: true, showMaxLabel: false, formatter: shortNumber } }),
      yAxis: lineAxis(colours, { name: "trial", inverse: true, minInterval: 1, nameGap: 52, splitLine: { show: false } }),
      series: [{
        type: "custom", data: bars, encode: { x: [0, 1], y: 2 }, clip: true,
        renderItem: (params, api) => {
          const [left, middle] = api.coord([api.value(0), api.value(2)]);
          const [right] = api.coord([api.value(1), api.value(2)]);
          const height = Math.max(1, Math.abs(api.size([0, tall])[1]) * 0.8);
          return { type: "rect", shape: { x: left, y: middle - height / 2, width: Math.max(2, right - left), height }, style: { fill: palette.get(status.text(api.value(3))) } };
        },
      }],
    },
  };
}
