// How numbers and names become places on an axis, and scores colours: the same in every chart.

// From the worst to the best; every step is legible on white and on near-black.
const COLOURS = ["#93a8bd", "#4f8fbf", "#2a9d8f", "#e9a03b", "#d1495b"];
const UNSCORED = "#9aa3ad";
const FEW_VALUES = 8; // that many numbers are taken for names
const MOST_TICKS = 12;

function evenly(items, most) {
  if (items.length <= most) {
    return items;
  }
  return Array.from({ length: most }, (_, index) => items[Math.floor((index * (items.length - 1)) / (most - 1))]);
}

// One of each equal span, at places that meet no period: a grid's trials have some.
function scattered(items, most) {
  if (items.length <= most) {
    return items;
  }
  const span = items.length / most;
  return Array.from({ length: most }, (_, index) => items[Math.floor((index + ((index * 0.618034) % 1)) * span)]);
}

function widened(low, high) {
  return high > low ? [low, high] : [low - (Math.abs(low) * 0.1 || 0.5), high + (Math.abs(high) * 0.1 || 0.5)];
}

// Whether values are best seen as exponents: positive, two decades apart, and most of them small. The last of these
// tells draws from a uniform range that begins near 0, whose median is half of it.
function decades(values) {
  const ordered = Float64Array.from(values).sort();
  if (!ordered.length || ordered[0] <= 0) {
    return false;
  }
  const last = ordered[ordered.length - 1];
  return last / 100 >= ordered[0] && last / 4 >= ordered[(ordered.length - 1) >> 1];
}

function mixed(start, end, part) {
  const at = (place) => {
    const [a, b] = [start, end].map((colour) => parseInt(colour.slice(place, place + 2), 16));
    return Math.round(a + (b - a) * part).toString(16).padStart(2, "0");
  };
  return "#" + at(1) + at(3) + at(5);
}

// The scores that get the ends of the colours. The worst tenth shares one, or an outlier would take them all.
class Scale {
  constructor(scores, maximize) {
    const ordered = Float64Array.from(scores).sort();
    if (maximize) {
      ordered.reverse();
    }
    this.maximize = maximize;
    this.log = !maximize && decades(scores);
    const ends = ordered.length ? [ordered[0], ordered[Math.floor(((ordered.length - 1) * 9) / 10)]] : [0, 0];
    [this.low, this.high] = widened(...ends.map((score) => this.position(score)).sort((a, b) => a - b));
  }

  position(score) {
    return this.log ? Math.log10(score) : score;
  }

  // From 0, the worst, to 1, the best.
  part(score) {
    if (this.log && score <= 0) {
      return 1; // of a trial among sets with positive means
    }
    const part = Math.min(1, Math.max(0, (this.position(score) - this.low) / (this.high - this.low)));
    return this.maximize ? part : 1 - part;
  }

  colour(score) {
    if (Number.isNaN(score)) {
      return UNSCORED;
    }
    const place = this.part(score) * (COLOURS.length - 1);
    const index = Math.min(Math.floor(place), COLOURS.length - 2);
    return mixed(COLOURS[index], COLOURS[index + 1], place - index);
  }
}

// An axis for a column over rows: numbers to scale (exponents of ten where those are best), everything else, and
// numbers from a short list, as evenly spaced names. place(row) is where a value stands; what a trial has not stands
// below all others.
function axisOf(column, rows) {
  const present = rows.filter((row) => column.has(row));
  const distinct = new Map(present.map((row) => [column.identity(row), row]));
  const numeric = present.length > 0 && present.every((row) => Number.isFinite(column.number(row)));
  const isShort = numeric && distinct.size <= FEW_VALUES && (column.whole || present.length >= 2 * distinct.size);
  return numeric && !isShort ? numberAxis(column, rows, present) : nameAxis(column, rows, distinct, numeric);
}

function numberAxis(column, rows, present) {
  const numbers = present.map((row) => column.number(row));
  const log = decades(numbers);
  const place = (value) => (log ? Math.log10(value) : value);
  let [low, high] = widened(place(least(numbers)), place(most(numbers)));
  if (log) {
    [low, high] = [Math.floor(low), Math.ceil(high)];
  }
  const ticks = log ? exponentTicks(low, high) : evenTicks(low, high);
  const absent = present.length < rows.length ? low - 0.12 * (high - low) : null;
  return {
    kind: "number", log, low: absent === null ? low : absent, high,
    ticks: absent === null ? ticks : [[absent, "absent"], ...ticks],
    place: (row) => (column.has(row) ? place(column.number(row)) : absent === null ? low : absent),
    value: (at) => (log ? 10 ** at : at),
    absent,
  };
}

function nameAxis(column, rows, distinct, numeric) {
  const order = Array.from(distinct.keys()).sort((a, b) => {
    const [one, other] = [distinct.get(a), distinct.get(b)];
    return numeric ? column.number(one) - column.number(other) : a < b ? -1 : a > b ? 1 : 0;
  });
  const places = new Map(order.map((name, index) => [name, index]));
  const isAbsent = rows.some((row) => !column.has(row));
  const names = order.map((name) => shortText(column.text(distinct.get(name)) || "(empty)", 15));
  const ticks = evenly(order, 2 * MOST_TICKS).map((name) => [places.get(name), names[places.get(name)]]);
  return {
    kind: "name", log: false, low: isAbsent ? -1 : Math.min(0, order.length - 1.5), high: Math.max(0.5, order.length - 1),
    ticks: isAbsent ? [[-1, "absent"], ...ticks] : ticks,
    place: (row) => (column.has(row) ? places.get(column.identity(row)) ?? -1 : -1),
    names: order.map((name) => column.text(distinct.get(name))),
    absent: isAbsent ? -1 : null,
  };
}

function exponentTicks(low, high) {
  const whole = [];
  for (let power = Math.ceil(low - 1e-9); power <= high + 1e-9; power += 1) {
    whole.push(power);
  }
  return evenly(whole, 8).map((power) => [power, shortNumber(10 ** power)]);
}

function evenTicks(low, high) {
  const power = 10 ** Math.floor(Math.log10(high - low));
  for (const step of [power / 5, power / 2, power, power * 2]) {
    if (step > 0 && (high - low) / step <= 7) {
      const ticks = [];
      for (let number = Math.ceil(low / step - 1e-9); number <= Math.floor(high / step + 1e-9); number += 1) {
        const at = Math.min(Math.max(step * number, low), high);
        ticks.push([at, shortNumber(Number(at.toPrecision(8)))]);
      }
      return ticks;
    }
  }
  return [[low, shortNumber(low)], [high, shortNumber(high)]];
}

// Math.min and max of many: as arguments they would be too many.
function least(values) {
  return values.reduce((a, b) => (b < a ? b : a), Infinity);
}

function most(values) {
  return values.reduce((a, b) => (b > a ? b : a), -Infinity);
}
