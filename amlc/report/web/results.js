// The results: by trial, by the time at which each ended, and how they are distributed.

function metricChart(view, colours) {
  const { frame, metric } = view;
  if (!view.scored.length) {
    return noScore(view);
  }
  const drawn = chosenRows(view, view.scored, MOST_POINTS);
  const log = view.isLog(drawn.map((row) => metric.number(row)), view.scale.log);
  if (view.state.metricMode === "share") {
    return distribution(view, colours, log);
  }
  if (view.state.metricMode === "end" && !frame.members) {
    return resultsByTime(view, colours, drawn, log);
  }
  const points = drawn.map((row) => [frame.sequence[row], metric.number(row), row]);
  const steps = view.steps();
  const picked = points.filter(([, , row]) => view.isSelected(row));
  const series = [dots(colours, points)];
  if (steps.length) {
    series.push({ type: "line", step: "end", data: steps, showSymbol: false, silent: true, tooltip: { show: false }, lineStyle: { color: colours.accent, width: 2 }, z: 3 });
  }
  series.push({ type: "scatter", data: picked, symbolSize: 14, itemStyle: { color: "transparent", borderColor: colours.text, borderWidth: 2 }, z: 4 });
  const best = view.ranked(view.scored)[0];
  return {
    note: sentences("The line is the best so far.", view.unitNote("point"), drawnOf(drawn.length, view.scored.length, `${view.units} that have a result, half of them the best`), view.oddNote()),
    label: `Scatter plot of ${metric.name} by trial number: ${plural(drawn.length, "point")}, from ${extent(view, drawn)}. The best is ${shortNumber(metric.number(best))}, of ${view.nameOf(best)}.`,
    height: 340,
    option: {
      ...base(colours, (item) => told(view, item.value[2])),
      dataZoom: zoom("x", "y"),
      xAxis: lineAxis(colours, { name: frame.members ? "first trial of the set" : "trial", minInterval: 1, splitLine: { show: false } }),
      yAxis: scoreAxis(colours, shortName(metric.name, 30), log), series,
    },
  };
}

// The more there are, the smaller: so that ten thousand are no wall.
function dots(colours, points) {
  const [symbolSize, opacity] = points.length <= 200 ? [9, 0.85] : points.length <= 2000 ? [5, 0.85] : [3, 0.6];
  return { type: "scatter", data: points, symbolSize, itemStyle: { color: colours.plain, opacity } };
}

// How many have at most which result (the empirical distribution).
function distribution(view, colours, log) {
  const { metric } = view;
  const values = view.scored.map((row) => metric.number(row)).sort((a, b) => a - b);
  const places = evenly([...values.keys()], MOST_STEPS);
  const points = places.map((place) => [values[place], (place + 1) / values.length]);
  const middle = values[(values.length - 1) >> 1];
  return {
    note: `Which part of ${plural(values.length, view.unit, view.units)} has at most which result. The median is ${shortNumber(middle)}.`,
    label: `Distribution of ${metric.name} over ${plural(values.length, view.unit, view.units)}: from ${extent(view, view.scored)}, the median is ${shortNumber(middle)}.`,
    height: 340,
    option: {
      ...base(colours, (item) => [`${Math.round(item.value[1] * 100)} % have at most ${shortNumber(item.value[0])}`]),
      dataZoom: zoom("x"),
      xAxis: scoreAxis(colours, shortName(metric.name, 30), log, { nameGap: 30 }),
      yAxis: lineAxis(colours, { name: view.units, nameGap: 52, min: 0, max: 1, axisLabel: { color: colours.soft, formatter: (value) => `${Math.round(value * 100)} %` } }),
      series: [{ type: "line", step: "end", data: points, symbolSize: 4, showSymbol: points.length <= 200, lineStyle: { color: colours.plain, width: 2 }, itemStyle: { color: colours.plain } }],
    },
  };
}

function resultsByTime(view, colours, drawn, log) {
  const { trials, metric } = view;
  const [started, duration] = ["started", "duration"].map((key) => trials.column(key));
  const known = drawn.filter((row) => started.has(row) && duration.has(row));
  if (!known.length) {
    return { note: "Of no trial that is shown the time is known at which it ended." };
  }
  const endOf = (row) => started.number(row) + duration.number(row);
  const ordered = known.sort((a, b) => endOf(a) - endOf(b));
  const first = least(known.map((row) => started.number(row)));
  const [unit, size] = unitOf(endOf(ordered[ordered.length - 1]) - first);
  const points = ordered.map((row) => [(endOf(row) - first) / size, metric.number(row), row]);
  const steps = bestSoFar(points, view.maximize);
  return {
    note: sentences("When each trial ended; the line is the best so far.", drawnOf(known.length, view.scored.length, "trials that have a result")),
    label: `Scatter plot of ${metric.name} by the time at which ${plural(known.length, "trial")} ended, from ${extent(view, known)}.`,
    height: 340,
    option: {
      ...base(colours, (item) => told(view, item.value[2])),
      dataZoom: zoom("x", "y"),
      xAxis: lineAxis(colours, { name: `${unit} since ${timeText(view.origin + first)} UTC`, splitLine: { show: false } }),
      yAxis: scoreAxis(colours, shortName(metric.name, 30), log),
      series: [
        dots(colours, points),
        { type: "line", step: "end", data: steps, showSymbol: false, silent: true, tooltip: { show: false }, lineStyle: { color: colours.accent, width: 2 }, z: 3 },
      ],
    },
  };
}

// [place, score] of each step of the best so far, and of the end. points: [place, score, …] in order.
function bestSoFar(points, maximize) {
  const steps = [];
  for (const [place, score] of points) {
    const best = steps.length ? steps[steps.length - 1][1] : null;
    if (best === null || (maximize ? score > best : score < best)) {
      steps.push([place, score]);
    }
  }
  return points.length ? [...steps, [points[points.length - 1][0], steps[steps.length - 1][1]]] : [];
}
