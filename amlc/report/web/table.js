// The table of trials: sorted, in pages, with the columns that the reader wants.

const MOST_SELECTED = 10;
const HIDDEN = new Set(["job", "page", "folder"]);

class Table {
  constructor(actions) {
    this.actions = actions;
    this.head = document.querySelector("#table thead");
    this.body = document.querySelector("#table tbody");
    this.position = document.getElementById("position");
    this.size = 50;
    this.page = 0;
    this.sort = { key: "#", descending: false };
    for (const [id, step] of [["first", -Infinity], ["previous", -1], ["next", 1], ["last", Infinity]]) {
      document.getElementById("page-" + id).addEventListener("click", () => this.turn(step));
    }
    document.getElementById("page-size").addEventListener("change", (event) => {
      const first = this.page * this.size;
      this.size = Number(event.target.value);
      this.page = Math.floor(first / this.size);
      this.show();
    });
    this.head.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) {
        this.sortBy(button.dataset.key);
      }
    });
    this.body.addEventListener("change", (event) => actions.select(Number(event.target.dataset.trial), event.target.checked));
  }

  columns() {
    const { state, trials } = this.view;
    const first = ["#", "status"].map((key) => trials.column(key));
    const rest = trials.columns.filter((column) => !column.group && !first.includes(column));
    return [...first, ...trials.metrics, ...trials.parameters, ...rest].filter((column) => !HIDDEN.has(column.key) && !state.hidden.has(column.key));
  }

  update(view) {
    this.view = view;
    this.order();
    this.page = Math.max(0, Math.min(this.page, this.pages - 1));
    this.show();
  }

  get pages() {
    return Math.max(1, Math.ceil(this.rows.length / this.size));
  }

  // Numbers, then texts; what has no value stays last in both directions, and equals in their order.
  order() {
    const column = this.view.trials.column(this.sort.key) || this.view.trials.column("#");
    const sign = this.sort.descending ? -1 : 1;
    const keyed = this.view.trialRows.map((row) => ({ row, has: column.has(row), number: column.number(row), text: column.has(row) ? column.text(row) : "" }));
    keyed.sort((a, b) => {
      if (!a.has || !b.has) {
        return b.has - a.has || a.row - b.row;
      }
      const [isA, isB] = [!Number.isNaN(a.number), !Number.isNaN(b.number)];
      if (isA !== isB) {
        return isA ? -sign : sign;
      }
      const order = isA ? a.number - b.number : a.text < b.text ? -1 : a.text > b.text ? 1 : 0;
      return sign * order || a.row - b.row;
    });
    this.rows = keyed.map(({ row }) => row);
  }

  sortBy(key) {
    this.sort = { key, descending: this.sort.key === key && !this.sort.descending };
    this.page = 0;
    this.order();
    this.show();
    this.head.querySelector(`button[data-key="${CSS.escape(key)}"]`)?.focus();
  }

  turn(step) {
    this.page = Math.max(0, Math.min(this.page + step, this.pages - 1));
    this.show();
  }

  show() {
    const columns = this.columns();
    this.showHead(columns);
    const first = this.page * this.size;
    this.body.replaceChildren(...this.rows.slice(first, first + this.size).map((row) => this.line(columns, row)));
    const last = Math.min(first + this.size, this.rows.length);
    this.position.textContent = this.rows.length ? `${(first + 1).toLocaleString("en")} to ${last.toLocaleString("en")} of ${this.rows.length.toLocaleString("en")}` : "no trial";
    for (const id of ["first", "previous"]) {
      document.getElementById("page-" + id).disabled = this.page === 0;
    }
    for (const id of ["next", "last"]) {
      document.getElementById("page-" + id).disabled = this.page >= this.pages - 1;
    }
  }

  showHead(columns) {
    const groups = document.createElement("tr");
    groups.append(cell("td", "")); // of the boxes
    for (let index = 0; index < columns.length; ) {
      const same = columns.slice(index).findIndex((column) => column.group !== columns[index].group);
      const count = same < 0 ? columns.length - index : same;
      const name = columns[index].group;
      const group = name ? heading(name, "colgroup") : cell("td", "");
      Object.assign(group, { colSpan: count, className: name ? "first" : "" });
      groups.append(group);
      index += count;
    }
    const names = document.createElement("tr");
    const box = heading("", "col");
    const hidden = document.createElement("span");
    hidden.className = "hidden";
    hidden.textContent = "compare";
    box.append(hidden);
    names.append(box);
    columns.forEach((column, index) => {
      const head = heading("", "col");
      head.className = kindOf(column, columns[index - 1]);
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.key = column.key;
      button.textContent = shortName(column.name, 40);
      head.append(button);
      if (column.key === this.sort.key) {
        head.setAttribute("aria-sort", this.sort.descending ? "descending" : "ascending");
      }
      names.append(head);
    });
    this.head.replaceChildren(groups, names);
  }

  line(columns, row) {
    const sequence = this.view.trials.sequence[row];
    const line = document.createElement("tr");
    line.id = "trial-" + sequence;
    const isSelected = this.view.state.selected.includes(sequence);
    line.className = isSelected ? "selected" : "";
    const box = document.createElement("input");
    Object.assign(box, { type: "checkbox", checked: isSelected });
    box.dataset.trial = sequence;
    box.setAttribute("aria-label", `compare trial ${sequence}`);
    const first = cell("td", "");
    first.append(box);
    line.append(first);
    columns.forEach((column, index) => {
      const found = cell("td", column.key === "#" ? "" : shortText(column.text(row), column.key === "error" ? 400 : 80));
      found.className = kindOf(column, columns[index - 1]) + (column.key === "error" && column.has(row) ? " text" : "");
      if (column.key === "#") {
        found.append(trialLink(sequence));
      } else if (column.key === "status") {
        found.prepend(statusDot(column.text(row)));
      }
      line.append(found);
    });
    return line;
  }

  // All rows that pass, in their order, of the columns that are shown, by the names that amlc collect gives them.
  csv() {
    const columns = this.columns();
    const prefixes = { metrics: "metric.", parameters: "param." };
    const names = { "#": "sequence", duration: "duration_s" };
    const lines = this.rows.map((row) => columns.map((column) => column.plain(row)));
    const head = columns.map((column) => names[column.key] || (prefixes[column.group] || "") + column.name);
    return [head, ...lines].map((line) => line.map(csvCell).join(",") + "\r\n").join("");
  }

  // Turn to the page that has a trial, and show where it is.
  reveal(sequence) {
    const row = this.view.trials.rowOf.get(sequence);
    const place = this.rows.indexOf(row);
    if (place < 0) {
      return false;
    }
    this.page = Math.floor(place / this.size);
    this.show();
    const line = document.getElementById("trial-" + sequence);
    line.scrollIntoView({ block: "center" });
    line.querySelector("a").focus({ preventScroll: true });
    this.body.querySelector(".hit")?.classList.remove("hit");
    line.classList.add("hit");
    return true;
  }
}

function csvCell(text) {
  return /[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
}

function kindOf(column, before) {
  return [column.isNumeric ? "number" : "", before && before.group !== column.group ? "first" : ""].filter(Boolean).join(" ");
}

function cell(tag, text) {
  const found = document.createElement(tag);
  found.textContent = text;
  return found;
}

function heading(text, scope) {
  const found = cell("th", text);
  found.scope = scope;
  return found;
}

function trialLink(sequence) {
  const link = document.createElement("a");
  link.href = "#trial-" + sequence;
  link.textContent = "#" + sequence;
  return link;
}

function statusDot(status) {
  const dot = document.createElement("span");
  dot.className = "dot s-" + status.replace(" ", "-");
  return dot;
}
