// The columns of the page's data, as values, numbers and texts by row.

const LONG = 60;

// A number as people read it: six digits.
function shortNumber(value) {
  if (Number.isInteger(value) && Math.abs(value) < 1e15) {
    return String(value);
  }
  return String(Number(value.toPrecision(6)));
}

function shortText(text, most = LONG) {
  return text.length > most ? text.slice(0, most - 1) + "…" : text;
}

// A name, cut in its middle: names that begin alike end differently.
function shortName(name, most = LONG) {
  const end = (most - 1) >> 1;
  return name.length > most ? name.slice(0, most - 1 - end) + "…" + name.slice(-end) : name;
}

function durationText(seconds) {
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60]]) {
    if (seconds >= 2 * size) {
      return `${(seconds / size).toFixed(1)} ${unit}`;
    }
  }
  return `${seconds.toFixed(1)} s`;
}

function timeText(seconds) {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? "" : date.toISOString().slice(0, 19).replace("T", " ");
}

// Have the browser save a file.
function save(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

// JSON text as a value; what is no JSON (NaN, or a text that was cut) as itself.
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function plural(count, one, many = one + "s") {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

// One column. number(row): NaN where there is none. text(row): "" where the trial has no value.
class Column {
  constructor(raw, key, group, show) {
    Object.assign(this, { key, group, name: raw.name, path: raw.path, varies: raw.varies !== false, cut: raw.cut === true, whole: raw.whole === true });
    this.raw = raw;
    this.show = show;
    if (raw.json) {
      this.options = raw.json.map(parsed);
      this.texts = this.options.map((value, index) => (typeof value === "string" ? value : typeof value === "number" ? shortNumber(value) : raw.json[index]));
      this.numbers = this.options.map((value) => (typeof value === "number" ? value : NaN));
    } else if (raw.words) {
      this.texts = raw.words.map((word) => (raw.prefix || "") + word);
      this.numbers = this.texts.map(() => NaN);
    }
    this.isNumeric = this.texts ? this.numbers.some((value) => !Number.isNaN(value)) : raw.values.some((value) => value !== null);
  }

  has(row) {
    return this.texts ? this.raw.values[row] >= 0 : this.raw.values[row] !== null;
  }

  number(row) {
    const value = this.raw.values[row];
    return this.texts ? (value < 0 ? NaN : this.numbers[value]) : value === null ? NaN : value;
  }

  text(row) {
    const value = this.raw.values[row];
    if (this.texts) {
      return value < 0 ? "" : this.texts[value];
    }
    return value === null ? "" : this.show ? this.show(value) : shortNumber(value);
  }

  // The text of a table's cell, as amlc collect has it: numbers with all the digits that are here, a time as it is shown.
  plain(row) {
    const number = this.number(row);
    if (Number.isNaN(number) || this.key === "started") {
      return this.key === "status" ? this.text(row).replace(" ", "_") : this.text(row);
    }
    return String(number);
  }

  // What tells two values apart, as 1 from "1" and from true.
  identity(row) {
    if (!this.has(row)) {
      return "";
    }
    return this.raw.json ? this.raw.json[this.raw.values[row]] : this.texts ? this.text(row) : String(this.raw.values[row]);
  }

  // The value as JSON, with the digits that the trial received; a float stays one.
  json(row) {
    if (this.raw.json) {
      return this.raw.json[this.raw.values[row]];
    }
    const text = String(this.raw.values[row]);
    return this.whole || !/^-?\d+$/.test(text) ? text : text + ".0";
  }
}

// Trials, or parameter sets: columns of one length.
class Frame {
  constructor(part, origin) {
    this.count = part.count;
    const shows = {
      "#": (value) => "#" + value,
      started: (value) => timeText(origin + value),
      duration: durationText,
    };
    const fixed = part.fixed.map((raw) => new Column(raw, raw.name, "", shows[raw.name]));
    this.metrics = part.metrics.map((raw) => new Column(raw, "m:" + raw.name, "metrics"));
    this.parameters = part.parameters.map((raw) => new Column(raw, "p:" + raw.name, "parameters"));
    this.columns = [...fixed, ...this.metrics, ...this.parameters];
    this.byKey = new Map(this.columns.map((column) => [column.key, column]));
    this.sequence = part.fixed[0].values;
    this.rowOf = new Map(this.sequence.map((sequence, row) => [sequence, row]));
    this.members = part.members || null;
  }

  get all() {
    return Array.from({ length: this.count }, (_, row) => row);
  }

  column(key) {
    return this.byKey.get(key);
  }

  text(row) {
    return this.columns.map((column) => column.text(row)).join("\n").toLowerCase();
  }
}

// A trial's parameters as JSON or as a Python literal, nested as it receives them; null: not all are on the page.
function parametersText(frame, row, python) {
  const root = new Map();
  for (const column of frame.parameters) {
    if (!column.has(row)) {
      continue;
    }
    if (column.cut) {
      return null;
    }
    const path = column.path || [column.name];
    let place = root;
    for (const name of path.slice(0, -1)) {
      if (!(place.get(name) instanceof Map)) {
        place.set(name, new Map());
      }
      place = place.get(name);
    }
    place.set(path[path.length - 1], column.json(row));
  }
  return written(root, python, "");
}

function written(value, python, indent) {
  if (!(value instanceof Map)) {
    return python ? pythonOf(value) : value;
  }
  const inner = indent + "  ";
  const lines = Array.from(value, ([name, item]) => `${inner}${JSON.stringify(name)}: ${written(item, python, inner)}`);
  return lines.length ? `{\n${lines.join(",\n")}\n${indent}}` : "{}";
}

// JSON text as Python: its words outside of strings are spelled otherwise.
function pythonOf(json) {
  const words = { true: "True", false: "False", null: "None", NaN: 'float("nan")', Infinity: 'float("inf")', "-Infinity": 'float("-inf")' };
  return json.replace(/"(?:[^"\\]|\\.)*"|-?[A-Za-z]+/g, (part) => (part[0] === '"' ? part.replace(/\\\//g, "/") : words[part] || part));
}
