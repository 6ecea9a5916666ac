// One chart's place on the page: drawn when it is near, with a note, a legend, and its picture to save.

class Chart {
  constructor(key, build, select) {
    this.place = document.getElementById("chart-" + key);
    this.note = document.getElementById("note-" + key);
    this.legend = document.getElementById("legend-" + key);
    this.saving = document.createElement("button");
    Object.assign(this.saving, { type: "button", className: "save", textContent: "Save as PNG", hidden: true });
    this.saving.setAttribute("aria-label", `Save as PNG: ${this.place.parentElement.querySelector("h2").textContent}`);
    this.saving.addEventListener("click", () => this.saved());
    this.place.after(this.saving);
    Object.assign(this, { key, build, select, isStale: false, isNear: false, drawing: null, chart: null, canvas: null });
  }

  stale(view) {
    this.view = view;
    this.isStale = true;
    if (this.isNear) {
      this.draw();
    }
  }

  near(isNear) {
    this.isNear = isNear;
    if (isNear && this.isStale) {
      this.draw();
    }
  }

  draw() {
    this.isStale = false;
    this.drawing = null;
    const width = this.place.parentElement.clientWidth - 16;
    const drawing = this.build(this.view, theme(), width);
    this.note.textContent = drawing.note;
    this.place.hidden = this.saving.hidden = !drawing.option;
    if (this.legend) {
      this.legend.replaceChildren(...(drawing.legend || []).map(([name, colour]) => legendItem(name, colour)));
    }
    if (!drawing.option) {
      this.place.dataset.drawn = "nothing";
      return;
    }
    this.place.setAttribute("aria-label", drawing.label);
    this.place.style.height = drawing.height + "px";
    this.place.dataset.drawn = "";
    this.open(width, drawing.height);
    this.chart.setOption(drawing.option, { notMerge: true });
    for (const [dim, intervals] of drawing.brushes || []) {
      if (intervals.length) {
        this.chart.dispatchAction({ type: "axisAreaSelect", parallelAxisId: "axis-" + dim, intervals, quiet: true });
      }
    }
    this.drawing = drawing; // only now: what was dispatched is no deed of the reader's
  }

  saved() {
    const canvas = this.chart?.renderToCanvas({ pixelRatio: 2, backgroundColor: styled("--card") });
    canvas?.toBlob((blob) => save(`${this.view.data.experiment} ${this.key}.png`, blob));
  }

  open(width, height) {
    if (this.chart) {
      this.chart.resize({ width, height });
      return;
    }
    this.chart = charts.init(this.place, null, { renderer: "canvas", width, height });
    this.chart.on("finished", () => {
      this.place.dataset.drawn = "yes";
    });
    this.chart.on("click", (event) => {
      const value = Array.isArray(event.value) ? event.value : [];
      this.select(this.key, event, value);
    });
    this.chart.on("axisareaselected", (event) => {
      if (this.drawing && this.drawing.brushed) {
        this.drawing.brushed(Number(event.parallelAxisId.slice(5)), event.intervals || []);
      }
    });
  }
}

function legendItem(name, colour) {
  const item = document.createElement("li");
  const dot = document.createElement("span");
  dot.className = "dot";
  dot.style.background = colour;
  item.append(dot, name);
  return item;
}
