// What is shown of the data: which trials pass, which metric counts, and in which order.

const DEFAULT_AXES = 10;

class View {
  constructor(data, state) {
    this.data = data;
    this.state = state;
    this.origin = data.origin;
    this.trials = new Frame(data.trials, data.origin);
    this.frame = data.sets ? new Frame(data.sets, data.origin) : this.trials;
    this.units = data.sets ? "parameter sets" : "trials";
    this.unit = data.sets ? "parameter set" : "trial";
    this.unitOf = new Map(); // of a trial's row: the row of its set
    if (data.sets) {
      data.sets.members.forEach((members, row) => members.forEach((sequence) => this.unitOf.set(this.trials.rowOf.get(sequence), row)));
    }
    this.curveOf = new Map(data.curves.trials.map((sequence, index) => [this.trials.rowOf.get(sequence), data.curves.curves[index]]));
    this.numericMetrics = this.frame.metrics.filter((column) => column.isNumeric);
    this.tests = new Map();
    this.refresh();
  }

  // Compute anew what the reader's choices decide.
  refresh() {
    const { frame, trials, state } = this;
    this.metric = frame.column("m:" + state.metric) || this.numericMetrics[0] || frame.metrics[0] || NO_METRIC;
    this.maximize = state.better === "more" || (state.better === "auto" && (this.metric.name === "default" ? this.data.maximize : false));
    this.brush = state.brush;
    // The number of a set is the mean of those that count; of trials only that of one that succeeded does.
    this.scoredEver = frame.all.filter((row) => (frame.members || this.counts(row)) && !Number.isNaN(this.metric.number(row)));
    if (this.scaled !== `${this.metric.key} ${this.maximize}`) {
      this.scale = new Scale(this.scoredEver.map((row) => this.metric.number(row)), this.maximize);
      this.ranks = this.ranked(this.scoredEver);
      this.rankOf = new Map(this.ranks.map((row, index) => [row, index]));
      this.axisOf = new Map();
      this.scaled = `${this.metric.key} ${this.maximize}`;
    }
    if (!this.tests.has(state.search)) {
      this.tests.clear();
      const test = searchTest(trials, state.search);
      this.tests.set(state.search, new Set(trials.all.filter(test)));
    }
    const found = this.tests.get(state.search);
    const passes = (row) => found.has(row) && (!state.succeeded || this.counts(row));
    const isTop = this.topTest();
    const unit = (row) => (frame.members ? this.unitOf.get(row) : row);
    const isBrushed = this.brushTest();
    const passing = trials.all.filter((row) => passes(row) && (unit(row) === undefined ? state.top === 100 && !state.brush.size : isTop(unit(row))));
    this.trialRows = passing.filter((row) => unit(row) === undefined || isBrushed(unit(row)));
    const units = frame.members ? [...new Set(passing.map(unit).filter((row) => row !== undefined))].sort((a, b) => a - b) : passing;
    this.unbrushed = units.filter((row) => this.rankOf.has(row));
    this.scored = this.unbrushed.filter(isBrushed);
    this.explained = undefined;
  }

  get isWhole() {
    return this.trialRows.length === this.trials.count;
  }

  // Rows with a result, the best first; among equals, the first.
  ranked(rows) {
    const sign = this.maximize ? -1 : 1;
    return rows.slice().sort((a, b) => sign * (this.metric.number(a) - this.metric.number(b)) || a - b);
  }

  topTest() {
    const { top } = this.state;
    if (top === 100) {
      return () => true;
    }
    const kept = Math.ceil((this.ranks.length * top) / 100);
    return (row) => this.rankOf.has(row) && this.rankOf.get(row) < kept;
  }

  brushTest() {
    const tests = Array.from(this.state.brush, ([key, intervals]) => {
      const column = this.frame.column(key);
      if (!column) {
        return () => true;
      }
      const axis = this.axis(column);
      return (row) => intervals.some(([low, high]) => axis.place(row) >= low && axis.place(row) <= high);
    });
    return (row) => tests.every((test) => test(row));
  }

  // Whether values go up by exponents: as the reader wants it, or as it fits; never where some are not positive.
  isLog(values, fits) {
    const { scale } = this.state;
    return (scale === "auto" ? fits : scale === "log") && values.every((value) => value > 0);
  }

  // The axis of a column over all units with a result, the same whatever is filtered.
  axis(column) {
    if (!this.axisOf.has(column.key)) {
      this.axisOf.set(column.key, axisOf(column, this.scoredEver));
    }
    return this.axisOf.get(column.key);
  }

  get varying() {
    const some = this.frame.parameters.filter((column) => column.varies);
    return some.length ? some : this.frame.parameters;
  }

  axes() {
    const { axes } = this.state;
    return axes ? this.frame.parameters.filter((column) => axes.has(column.key)).slice(0, MOST_AXES) : this.varying.slice(0, DEFAULT_AXES);
  }

  axesNote() {
    const shown = this.axes().length;
    const constant = this.frame.parameters.length - this.varying.length;
    if (!this.state.axes && (shown < this.varying.length || constant)) {
      return sentences(shown < this.varying.length ? `Drawn are the first ${shown} of ${this.varying.length} parameters.` : "", constant ? `Left out: ${constant} that never ${constant === 1 ? "varies" : "vary"}.` : "");
    }
    return "";
  }

  pair() {
    const columns = this.varying;
    const { pair } = this.state;
    const shares = this.importance()?.shares.map(([name]) => "p:" + name) || [];
    const usual = [...shares.filter((key) => columns.some((column) => column.key === key)), ...columns.map((column) => column.key)];
    const x = this.frame.column(pair[0]) || this.frame.column(usual[0]);
    const y = this.frame.column(pair[1]) || this.frame.column(usual.find((key) => x && key !== x.key));
    return [x, y];
  }

  importance() {
    return this.data.importance.find((entry) => entry.metric === this.metric.name) || null;
  }

  // The other estimate, of what is shown; kept until that changes.
  fanova() {
    if (this.explained === undefined) {
      this.explained = fanova(this);
    }
    return this.explained;
  }

  // [trial, score] of each step of the best so far.
  steps() {
    const { data, metric } = this;
    if (this.isWhole && metric.name === "default" && this.maximize === data.maximize) {
      const steps = data.steps;
      return steps.length ? [...steps, [data.last, steps[steps.length - 1][1]]] : [];
    }
    return bestSoFar(this.scored.map((row) => [this.frame.sequence[row], metric.number(row)]), this.maximize);
  }

  // --- curves ---

  curveMetric() {
    const { metrics } = this.data.curves;
    const { curveMetric } = this.state;
    const wanted = [curveMetric, this.metric.name, "default"].find((name) => metrics.includes(name));
    return wanted ?? metrics[0] ?? null;
  }

  pointsOf(row, metric) {
    const found = this.curveOf.get(row)?.[this.data.curves.metrics.indexOf(metric)];
    if (!found || !found.length) {
      return null;
    }
    const [values, steps] = found;
    const { smooth } = this.state;
    let mean = 0;
    return values.map((value, index) => {
      mean = smooth * mean + (1 - smooth) * value;
      return [steps ? steps[index] : index, mean / (1 - smooth ** (index + 1))];
    });
  }

  curves(metric, rows = this.trialRows) {
    return rows.map((row) => ({ row, points: this.pointsOf(row, metric) })).filter(({ points }) => points);
  }

  curvesNote() {
    const { candidates, looked, thinned, left_out: leftOut } = this.data.curves;
    return sentences(
      looked < candidates ? `${looked.toLocaleString("en")} of ${candidates.toLocaleString("en")} trials were looked at, half of them the best.` : "",
      thinned ? "Long curves show the lowest and the highest value of each span." : "",
      leftOut ? `${plural(leftOut, "more metric")} of theirs ${leftOut === 1 ? "is" : "are"} in amlc collect --history.` : "",
    );
  }

  counts(row) {
    return this.trials.column("status").text(row) === "succeeded";
  }

  scoreOfTrial(row) {
    const column = this.trials.column(this.metric.key);
    return column && this.counts(row) ? column.number(row) : NaN;
  }

  colourOfTrial(row) {
    return this.scale.colour(this.scoreOfTrial(row));
  }

  trialRank(row) {
    const score = this.scoreOfTrial(row);
    return Number.isNaN(score) ? Infinity : this.maximize ? -score : score;
  }

  // --- words ---

  nameOf(row) {
    return this.frame.members ? this.frame.column("of").text(row) : `trial #${this.frame.sequence[row]}`;
  }

  toldTrial(row) {
    const { trials } = this;
    const reported = trials.column(this.metric.key)?.number(row) ?? NaN; // whether it counts or not
    const lines = [`trial #${trials.sequence[row]} · ${trials.column("status").text(row)}`];
    if (!Number.isNaN(reported)) {
      lines.push(`${shortName(this.metric.name, 40)} = ${shortNumber(reported)}`);
    }
    for (const column of trials.parameters.filter((one) => one.has(row)).slice(0, HOVER_PARAMETERS)) {
      lines.push(`${shortName(column.name, 40)} = ${shortText(column.text(row).replace(/\s+/g, " "))}`);
    }
    return lines;
  }

  unitNote(what) {
    return this.frame.members ? `Each ${what} is a parameter set, with the mean of its trials' results.` : "";
  }

  oddNote() {
    const { odd } = this.data;
    return odd && this.metric.name === "default" ? `${plural(odd, "trial reports", "trials report")} something else.` : "";
  }

  isSelectedTrial(row) {
    return this.state.selected.includes(this.trials.sequence[row]);
  }

  isSelected(row) {
    return this.frame.members ? this.frame.members[row].some((sequence) => this.state.selected.includes(sequence)) : this.isSelectedTrial(row);
  }

  brushed(column, axis, intervals) {
    this.state.brushed(column, axis, intervals);
  }
}

const NO_METRIC = new Column({ name: "default", values: [] }, "m:default", "metrics");
NO_METRIC.number = () => NaN;
