"use strict";
(function () {
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");

  function template() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const axis = { gridcolor: colour("--line"), zerolinecolor: colour("--line"), linecolor: colour("--line"), automargin: true };
    return {
      layout: {
        paper_bgcolor: colour("--card"),
        plot_bgcolor: colour("--card"),
        font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: colour("--text") },
        hoverlabel: { align: "left", bgcolor: colour("--card"), bordercolor: colour("--line"), font: { color: colour("--text") } },
        margin: { l: 64, r: 24, t: 24, b: 48 },
        xaxis: Object.assign({ title: { font: { size: 13 } } }, axis),
        yaxis: Object.assign({ title: { font: { size: 13 } } }, axis),
      },
    };
  }

  function draw() {
    for (const [key, chart] of Object.entries(charts)) {
      const place = document.getElementById("chart-" + key);
      const layout = Object.assign({}, chart.layout, { template: template() });
      const config = {
        displaylogo: false,
        responsive: true,
        modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
        typesetMath: false, // a name like $x$ is no formula
        showSendToCloud: false, // plotly.js 4 would offer to upload the data
        plotlyServerURL: "",
      };
      Plotly.react(place, chart.data, layout, config).then(function () {
        place.dataset.drawn = "yes";
      });
    }
  }

  // A click on a trial leads to its row.
  function link(place) {
    place.on("plotly_click", function (event) {
      const row = document.getElementById("trial-" + event.points[0].customdata);
      if (row) {
        location.hash = row.id;
      }
    });
  }

  function value(row, column) {
    const cell = row.cells[column];
    const number = cell.dataset.v === undefined ? NaN : Number(cell.dataset.v);
    return Number.isNaN(number) ? cell.textContent : number;
  }

  // Numbers, then texts; empty cells stay last in both directions.
  function compare(a, b, sign) {
    if (a === "" || b === "") {
      return (a === "") - (b === "");
    }
    if (typeof a !== typeof b) {
      return typeof a === "number" ? -sign : sign;
    }
    return a < b ? -sign : a > b ? sign : 0;
  }

  function sort(button) {
    const head = button.closest("th");
    const body = head.closest("table").tBodies[0];
    const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    const rows = Array.from(body.rows, (row) => [value(row, head.cellIndex), row]);
    rows.sort((a, b) => compare(a[0], b[0], sign));
    body.append(...rows.map((pair) => pair[1]));
    head.parentElement.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", sign === 1 ? "ascending" : "descending");
  }

  function filter(event) {
    const wanted = event.target.value.toLowerCase();
    for (const row of document.querySelector("#trials tbody").rows) {
      row.hidden = wanted !== "" && !row.textContent.toLowerCase().includes(wanted);
    }
  }

  draw();
  dark.addEventListener("change", draw);
  document.querySelectorAll(".chart").forEach(link);
  document.querySelectorAll("th button").forEach((button) => button.addEventListener("click", () => sort(button)));
  document.querySelectorAll("input[type=search]").forEach((field) => field.addEventListener("input", filter));
})();
