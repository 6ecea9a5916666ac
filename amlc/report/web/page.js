// The page: what the reader chose, the controls that say it, and the drawing of what follows from it.

function start(data) {
  const byId = (id) => document.getElementById(id);
  const state = {
    metric: "default", better: "auto", search: "", succeeded: false, top: 100, brush: new Map(), hidden: new Set(),
    selected: [], axes: null, pair: [], pairMode: "contour", curveMetric: null, timeMode: "duration", importanceMode: "ped", metricMode: "trial", scale: "auto", smooth: 0,
  };
  let view = null;

  const actions = {
    say(text) {
      byId("said").textContent = text;
    },
    select(sequence, isSelected) {
      const others = state.selected.filter((one) => one !== sequence);
      if (isSelected && others.length >= MOST_SELECTED) {
        actions.say(`At most ${MOST_SELECTED} trials are compared.`);
      } else {
        state.selected = isSelected ? [...others, sequence] : others;
      }
      redraw({ keepFocus: true });
    },
    selectNone() {
      state.selected = [];
      redraw();
    },
  };
  state.brushed = (column, axis, intervals) => {
    if (intervals.length) {
      state.brush.set(column.key, intervals);
    } else {
      state.brush.delete(column.key);
    }
    redraw({ but: "parameters" });
  };

  function shown(sequence) {
    state.selected = [sequence, ...state.selected.filter((one) => one !== sequence)].slice(0, MOST_SELECTED);
    redraw();
    if (!table.reveal(sequence)) {
      actions.say(view.trials.rowOf.has(sequence) ? `Trial ${sequence} does not pass the filter.` : `Trial ${sequence} is not among those on this page.`);
      byId("selected").scrollIntoView();
    }
  }

  // A click on a trial leads to its row.
  function clicked(key, event, value) {
    const frames = { metric: 2, slices: 2, pair: 2 };
    let sequence = null;
    if (key in frames) {
      sequence = view.frame.sequence[value[frames[key]]];
    } else if (key === "parameters") {
      sequence = view.frame.sequence[value[value.length - 1]];
    } else if (key === "time") {
      sequence = view.trials.sequence[value[state.timeMode === "timeline" ? 3 : 2]];
    } else if (key === "curves") {
      sequence = Number(event.seriesId.slice("trial-".length));
    }
    if (sequence !== null && sequence !== undefined && !(key === "pair" && event.seriesIndex === 0)) {
      shown(sequence);
    }
  }

  const builders = {
    metric: metricChart, parameters: parallelChart, curves: curvesChart, slices: slicesChart, pair: pairChart,
    importance: importanceChart, time: timeChart,
  };
  const drawn = Object.entries(builders).map(([key, build]) => new Chart(key, build, clicked));
  const table = new Table(actions);
  const compare = new Compare(actions);

  // only: the charts that a choice concerns, null: all of it.
  function redraw({ but = "", only = null, keepFocus = false } = {}) {
    if (only) {
      drawn.filter((chart) => only.includes(chart.key)).forEach((chart) => chart.stale(view));
      compare.update(view);
      return;
    }
    const focused = keepFocus ? inTable(document.activeElement) : null;
    view.refresh();
    drawn.filter((chart) => chart.key !== but).forEach((chart) => chart.stale(view));
    table.update(view);
    compare.update(view);
    if (focused) {
      document.querySelector(focused)?.focus({ preventScroll: true });
    }
    showCount();
    showChips();
    byId("curve-options").hidden = view.data.curves.metrics.length < 2;
  }

  // How what has the keyboard in a table is found again after that is made anew.
  function inTable(element) {
    const table = element?.closest?.("#table, #compare");
    if (!table) {
      return null;
    }
    const { trial, key, copy: copied } = element.dataset;
    const what = [trial && `[data-trial="${trial}"]`, key && `[data-key="${CSS.escape(key)}"]`, copied !== undefined && `[data-copy="${copied}"]`].filter(Boolean).join("");
    return `#${table.id} ${element.tagName}${what || `[href="${element.getAttribute("href")}"]`}`;
  }

  function showCount() {
    const { trials } = view;
    const every = view.data.trials.every;
    const some = trials.count < every ? ` of ${every.toLocaleString("en")} in all: half of them the best, the others evenly spaced` : "";
    byId("count").textContent = view.isWhole ? `${plural(trials.count, "trial")}${some}.` : `${view.trialRows.length.toLocaleString("en")} of ${plural(trials.count, "trial")} pass${some}.`;
  }

  // What was brushed in a chart, each with a button that lets go of it.
  function showChips() {
    byId("chips").replaceChildren(...Array.from(state.brush, ([key, intervals]) => {
      const column = view.frame.column(key);
      const chip = document.createElement("button");
      chip.type = "button";
      chip.textContent = `${shortName(column.name, 30)}: ${intervals.map((one) => intervalText(view.axis(column), one)).join(" or ")} ✕`;
      chip.setAttribute("aria-label", `let go of ${chip.textContent.slice(0, -2)}`);
      chip.addEventListener("click", () => {
        state.brush.delete(key);
        redraw();
        byId("search").focus();
      });
      return chip;
    }));
  }

  function intervalText(axis, [low, high]) {
    if (axis.kind === "name") {
      const names = axis.names.filter((_, place) => place >= low && place <= high);
      if (axis.absent !== null && axis.absent >= low && axis.absent <= high) {
        names.unshift("absent");
      }
      return names.length ? names.map((name) => shortName(name, 20)).join(", ") : "nothing";
    }
    const whole = [Math.max(low, axis.absent ?? low), high].map((at) => shortNumber(Number(axis.value(at).toPrecision(3))));
    return `${whole[0]} to ${whole[1]}`;
  }

  // --- controls ---

  function options(select, pairs, value) {
    select.replaceChildren(...pairs.map(([key, text]) => {
      const option = document.createElement("option");
      [option.value, option.textContent, option.selected] = [key, text, key === value];
      return option;
    }));
  }

  function boxes(place, columns, isOn, change) {
    place.replaceChildren(...columns.map((column) => {
      const label = document.createElement("label");
      const box = document.createElement("input");
      Object.assign(box, { type: "checkbox", checked: isOn(column) });
      box.addEventListener("change", () => change(column, box.checked));
      label.append(box, " " + shortName(column.name, 60));
      return label;
    }));
  }

  function fill() {
    const named = (columns) => columns.map((column) => [column.key.slice(2), shortName(column.name, 60)]);
    const metrics = view.numericMetrics.length ? named(view.numericMetrics) : [["default", "default"]];
    options(byId("metric"), metrics, view.metric.name);
    options(byId("better"), [["auto", `as the experiment says (${data.maximize ? "more" : "less"})`], ["more", "more"], ["less", "less"]], state.better);
    options(byId("curve-metric"), view.data.curves.metrics.map((name) => [name, shortName(name, 60)]), view.curveMetric());
    const parameters = view.varying.map((column) => [column.key, shortName(column.name, 60)]);
    const [x, y] = view.pair();
    byId("pair-options").hidden = !x;
    options(byId("pair-x"), parameters, x?.key);
    options(byId("pair-y"), parameters, y?.key);
    boxes(byId("axes"), view.frame.parameters, (column) => (state.axes ? state.axes.has(column.key) : view.axes().includes(column)), (column, isOn) => {
      state.axes = state.axes || new Set(view.axes().map((one) => one.key));
      state.axes[isOn ? "add" : "delete"](column.key);
      state.brush.delete(column.key);
      redraw();
    });
    boxes(byId("columns"), view.trials.columns.filter((column) => column.key !== "#" && !HIDDEN.has(column.key)), (column) => !state.hidden.has(column.key), (column, isOn) => {
      state.hidden[isOn ? "delete" : "add"](column.key);
      table.show();
    });
  }

  function on(id, event, change, only = null) {
    byId(id).addEventListener(event, () => {
      change(byId(id));
      redraw({ only });
    });
  }

  on("metric", "change", (field) => {
    state.metric = field.value;
    state.curveMetric = null;
    state.brush.clear();
    view.refresh();
    options(byId("curve-metric"), view.data.curves.metrics.map((name) => [name, shortName(name, 60)]), view.curveMetric());
  });
  on("better", "change", (field) => (state.better = field.value));
  on("succeeded", "change", (field) => (state.succeeded = field.checked));
  on("top", "change", (field) => (state.top = Number(field.value)));
  on("curve-metric", "change", (field) => (state.curveMetric = field.value), ["curves"]);
  on("pair-x", "change", (field) => (state.pair = [field.value, byId("pair-y").value]), ["pair"]);
  on("pair-y", "change", (field) => (state.pair = [byId("pair-x").value, field.value]), ["pair"]);
  on("pair-mode", "change", (field) => (state.pairMode = field.value), ["pair"]);
  on("metric-mode", "change", (field) => (state.metricMode = field.value), ["metric"]);
  on("scale", "change", (field) => (state.scale = field.value), ["metric", "slices", "curves"]);
  on("smooth", "change", (field) => (state.smooth = Number(field.value)), ["curves"]);
  on("importance-mode", "change", (field) => (state.importanceMode = field.value), ["importance"]);
  on("time-mode", "change", (field) => (state.timeMode = field.value), ["time"]);
  byId("save-table").addEventListener("click", () => save(`${data.experiment}.csv`, new Blob([table.csv()], { type: "text/csv" })));
  let typing = 0;
  byId("search").addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => {
      state.search = byId("search").value;
      redraw();
    }, 120);
  });
  byId("clear").addEventListener("click", () => {
    Object.assign(state, { search: "", succeeded: false, top: 100 });
    state.brush.clear();
    byId("search").value = "";
    byId("succeeded").checked = false;
    byId("top").value = "100";
    redraw();
  });

  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#trial-"]');
    if (link) {
      event.preventDefault();
      shown(Number(link.getAttribute("href").slice(7)));
    }
  });

  // --- light and dark, sizes ---

  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  byId("theme").addEventListener("change", (event) => {
    document.documentElement.dataset.theme = event.target.value;
    redraw();
  });
  dark.addEventListener("change", () => redraw());
  let width = document.documentElement.clientWidth;
  window.addEventListener("resize", () => {
    if (width !== document.documentElement.clientWidth) {
      width = document.documentElement.clientWidth;
      redraw();
    }
  });
  window.addEventListener("beforeprint", () => drawn.forEach((chart) => chart.near(true)));
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      drawn.find((chart) => chart.place.parentElement === entry.target).near(entry.isIntersecting);
    }
  }, { rootMargin: "400px" });

  // What the lists of choices are made of: only when that changes are they made anew, under the reader's hands.
  let choices = "";

  function update(fresh) {
    data = fresh;
    const scrolled = view && [window.scrollX, window.scrollY];
    view = new View(fresh, state);
    const found = JSON.stringify([view.trials.columns.map((column) => column.key), view.numericMetrics.map((column) => column.key), view.varying.map((column) => column.key), fresh.curves.metrics]);
    if (found !== choices) {
      choices = found;
      fill();
    }
    redraw({ keepFocus: true });
    if (scrolled) {
      window.scrollTo(...scrolled);
    }
  }

  update(data);
  drawn.forEach((chart) => watcher.observe(chart.place.parentElement));
  const wanted = /^#trial-(\d+)$/.exec(location.hash);
  if (wanted) {
    shown(Number(wanted[1]));
  }
  return { update, say: actions.say };
}
