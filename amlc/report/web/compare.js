// The selected trials side by side: what they are made of, what they reported, and where the rest is.

const PALETTE = ["#4f8fbf", "#d1495b", "#2a9d8f", "#e9a03b", "#8e6bbf", "#b08968", "#7a8794", "#c2679d", "#6b8e23", "#2f6690"];

class Compare {
  constructor(actions) {
    this.actions = actions;
    this.place = document.getElementById("selected");
    this.note = document.getElementById("note-selected");
    this.table = document.getElementById("compare");
    this.chart = new Chart("selected", (view, colours) => this.curves(view, colours), () => {});
    this.chart.near(true);
    document.getElementById("select-none").addEventListener("click", () => actions.selectNone());
    this.table.addEventListener("click", (event) => this.clicked(event.target.closest("button")));
  }

  clicked(button) {
    if (!button) {
      return;
    }
    const sequence = Number(button.dataset.trial);
    if (button.dataset.copy) {
      const text = parametersText(this.view.trials, this.view.trials.rowOf.get(sequence), button.dataset.copy === "python");
      if (text === null || this.view.data.partial) {
        this.actions.say("Not all of its parameters are on this page: amlc collect has them.");
        return;
      }
      copy(text).then((done) => this.actions.say(done ? `The parameters of trial ${sequence} are copied.` : "The browser refuses to copy."));
    } else {
      this.actions.select(sequence, false);
    }
  }

  get rows() {
    const { trials, state } = this.view;
    return state.selected.map((sequence) => trials.rowOf.get(sequence)).filter((row) => row !== undefined);
  }

  update(view) {
    this.view = view;
    const { rows } = this;
    this.place.hidden = rows.length === 0;
    if (!rows.length) {
      return;
    }
    this.chart.stale(view);
    this.note.textContent = rows.length === 1 ? "Select up to nine more in the table to compare them." : "Where they differ is marked with ≠.";
    const head = document.createElement("tr");
    head.append(cell("td", ""), ...rows.map((row, index) => this.headOf(row, index)));
    const groups = [this.group("", ["status", "attempt", "started", "duration", "revision", "job", "error"].map((key) => view.trials.column(key)).filter(Boolean)), this.group("metrics", view.trials.metrics), this.group("parameters", view.trials.parameters)];
    const links = this.links();
    this.table.replaceChildren(thead(head), ...groups.filter(Boolean), ...(links ? [links] : []));
  }

  headOf(row, index) {
    const sequence = this.view.trials.sequence[row];
    const head = heading("", "col");
    const dot = document.createElement("span");
    dot.className = "dot";
    dot.style.background = PALETTE[index];
    const buttons = document.createElement("div");
    buttons.className = "buttons";
    for (const [text, copied, label] of [["Python", "python", `copy the parameters of trial ${sequence} as Python`], ["JSON", "json", `copy the parameters of trial ${sequence} as JSON`], ["✕", "", `remove trial ${sequence}`]]) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = text;
      button.dataset.trial = sequence;
      button.dataset.copy = copied;
      button.setAttribute("aria-label", label);
      buttons.append(button);
    }
    head.append(dot, trialLink(sequence), buttons);
    return head;
  }

  group(name, columns) {
    const { rows } = this;
    const lines = columns.filter((column) => rows.some((row) => column.has(row))).map((column) => {
      const line = document.createElement("tr");
      const differs = rows.length > 1 && new Set(rows.map((row) => column.identity(row))).size > 1;
      line.className = differs ? "differs" : "";
      line.append(heading((differs ? "≠ " : "") + shortName(column.name, 60), "row"), ...rows.map((row) => cell("td", shortText(column.text(row), 400))));
      return line;
    });
    if (!lines.length) {
      return null;
    }
    const body = document.createElement("tbody");
    if (name) {
      const line = document.createElement("tr");
      const head = Object.assign(heading(name, "rowgroup"), { colSpan: rows.length + 1, className: "group" });
      line.append(head);
      body.append(line);
    }
    body.append(...lines);
    return body;
  }

  links() {
    const { view, rows } = this;
    const lines = [];
    const add = (name, made) => {
      const cells = rows.map(made);
      if (cells.some((one) => one.childNodes.length)) {
        const line = document.createElement("tr");
        line.append(heading(name, "row"), ...cells);
        lines.push(line);
      }
    };
    add("log", (row) => this.kept(row, "log", "logs", "follow the log", "user_logs/std_log.txt"));
    add("outputs", (row) => this.kept(row, "outputs", "download", "list the outputs", "outputs/"));
    add("page", (row) => pageOf(view.trials, row));
    if (!lines.length) {
      return null;
    }
    const body = document.createElement("tbody");
    body.append(...lines);
    return body;
  }

  // What a job left: a page of amlc serve; else the command that gets it, and where it lies if that is beside this page.
  kept(row, what, command, text, path) {
    const { trials, data } = this.view;
    const job = trials.column("job");
    if (!job.has(row)) {
      return cell("td", "");
    }
    const sequence = trials.sequence[row];
    if (data.live) {
      return linked(cell("td", ""), `${data.live[what]}${sequence}/`, text);
    }
    const found = code(`amlc ${command} ${sequence}`);
    if (trials.column("folder")?.has(row)) {
      found.append(" · ");
      linked(found, data.runs + encodeURIComponent(job.text(row)) + "/" + path, "open");
    }
    return found;
  }

  curves(view, colours) {
    const metric = view.curveMetric();
    const found = metric === null ? [] : view.curves(metric, this.rows);
    if (!found.length) {
      return { note: this.note.textContent };
    }
    const places = found.map(({ row }) => this.rows.indexOf(row));
    return {
      note: this.note.textContent, height: 300,
      label: `Intermediate results of ${found.map(({ row }) => "trial #" + view.trials.sequence[row]).join(", ")}: ${shortName(metric, 40)} by step.`,
      option: curvesOption(view, colours, metric, found, (index) => PALETTE[places[index]]),
    };
  }
}

function thead(line) {
  const head = document.createElement("thead");
  head.append(line);
  return head;
}

function code(text) {
  const found = cell("td", "");
  const inner = document.createElement("code");
  inner.textContent = text;
  found.append(inner);
  return found;
}

function linked(place, address, text) {
  const link = document.createElement("a");
  Object.assign(link, { href: address, textContent: text, target: "_blank", rel: "noreferrer" });
  place.append(link);
  return place;
}

// The address of a job's own page: a web page, or nothing.
function pageOf(trials, row) {
  const found = cell("td", "");
  const column = trials.column("page");
  const address = column && column.has(row) ? column.text(row).replace("{job}", trials.column("job").text(row)) : "";
  return address.startsWith("https://") ? linked(found, address, "studio") : found;
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = document.createElement("textarea");
    field.value = text;
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  }
}
