// fANOVA: the part of a metric's variance that each parameter explains by itself, told by a forest of regression trees
// over the trials that are shown. Source: Hutter, Hoos and Leyton-Brown 2014 (ICML, PMLR 32). A test compares the shares
// with those of Optuna's evaluator. It is computed here, when somebody asks for it: in Python it would need scikit-learn,
// whose import takes longer than the whole report.

const TREES = 32;
const MOST_LEARNT = 300; // trials
const MOST_LEARNT_OF = 20; // parameters
const DEEPEST = 64;
const FEWEST_LEARNT = 10; // trials

// Returns { trials, shares }: [name, share], the largest first, adding up to 1; null where nothing can be told.
function fanova(view) {
  const rows = scattered(view.scored, MOST_LEARNT);
  const columns = view.varying.slice(0, MOST_LEARNT_OF);
  const values = rows.map((row) => view.metric.number(row));
  if (rows.length < FEWEST_LEARNT || !columns.length || least(values) === most(values)) {
    return null;
  }
  const dims = columns.map((column) => dimension(view.axis(column), column, rows));
  const random = randomNumbers(1);
  const sums = new Float64Array(dims.length);
  for (let tree = 0; tree < TREES; tree += 1) {
    const drawn = rows.map(() => Math.floor(random() * rows.length));
    explained(leavesOf(drawn, dims, values), dims).forEach((part, dim) => (sums[dim] += part));
  }
  const total = sums.reduce((a, b) => a + b, 0);
  if (!(total > 0)) {
    return null;
  }
  const shares = columns.map((column, dim) => [column.name, sums[dim] / total]);
  return { trials: rows.length, shares: shares.sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)) };
}

// One parameter. `places`: where each trial stands. Names without an order are split into any two sets, all else at a
// threshold. `weight(low, high)`: the part of the parameter's range that lies there, the low end left out.
function dimension(axis, column, rows) {
  const places = Float64Array.from(rows, axis.place);
  const distinct = [...new Set(places)].sort((a, b) => a - b);
  const rankOf = new Map(distinct.map((place, rank) => [place, rank]));
  const ranks = Int32Array.from(places, (place) => rankOf.get(place));
  const isSet = axis.kind === "name" && !column.isNumeric;
  if (axis.kind === "name") {
    return { places: isSet ? ranks : places, ranks, isSet, size: distinct.length, weight: (low, high) => distinct.filter((place) => place > low && place <= high).length / distinct.length };
  }
  const absent = axis.absent === null ? 0 : places.filter((place) => place === axis.absent).length / places.length;
  const present = distinct.filter((place) => place !== axis.absent);
  const [first, last] = [present[0], present[present.length - 1]];
  const within = (low, high) => (last > first ? Math.max(0, Math.min(high, last) - Math.max(low, first)) / (last - first) : low < first && high >= first ? 1 : 0);
  return { places, ranks, isSet, size: distinct.length, weight: (low, high) => (absent && low < axis.absent && high >= axis.absent ? absent : 0) + (1 - absent) * within(low, high) };
}

// The leaves of a tree over trials, some of them several times: { value, parts }. parts: of each parameter, [low, high],
// or for each name whether it is in.
function leavesOf(drawn, dims, values) {
  const leaves = [];
  const grow = (rows, parts, depth) => {
    const split = depth < DEEPEST ? bestSplit(rows, dims, values) : null;
    if (!split) {
      leaves.push({ value: rows.reduce((sum, row) => sum + values[row], 0) / rows.length, parts });
      return;
    }
    const { dim, isLeft } = split;
    const [left, right] = [parts.slice(), parts.slice()];
    if (dims[dim].isSet) {
      left[dim] = parts[dim].map((isIn, name) => isIn && isLeft(name));
      right[dim] = parts[dim].map((isIn, name) => isIn && !isLeft(name));
    } else {
      left[dim] = [parts[dim][0], split.at];
      right[dim] = [split.at, parts[dim][1]];
    }
    const { places } = dims[dim];
    grow(rows.filter((row) => isLeft(places[row])), left, depth + 1);
    grow(rows.filter((row) => !isLeft(places[row])), right, depth + 1);
  };
  grow(drawn, dims.map((dim) => (dim.isSet ? new Array(dim.size).fill(true) : [-Infinity, Infinity])), 0);
  return leaves;
}

// The split that leaves the least variance, null where there is none to make.
function bestSplit(rows, dims, values) {
  const sum = rows.reduce((all, row) => all + values[row], 0);
  let best = null;
  let most = (sum * sum) / rows.length + 1e-12 * Math.abs(sum * sum);
  const take = (left, count, split) => {
    const gain = (left * left) / count + ((sum - left) * (sum - left)) / (rows.length - count);
    if (gain > most) {
      most = gain;
      best = split();
    }
  };
  dims.forEach(({ places, ranks, isSet, size }, dim) => {
    if (isSet) {
      const [sums, counts] = [new Float64Array(size), new Int32Array(size)];
      rows.forEach((row) => {
        sums[ranks[row]] += values[row];
        counts[ranks[row]] += 1;
      });
      const names = [...counts.keys()].filter((name) => counts[name]).sort((a, b) => sums[a] / counts[a] - sums[b] / counts[b]);
      let [left, count] = [0, 0];
      names.slice(0, -1).forEach((name, index) => {
        left += sums[name];
        count += counts[name];
        take(left, count, () => {
          const some = new Set(names.slice(0, index + 1));
          return { dim, isLeft: (one) => some.has(one) };
        });
      });
      return;
    }
    const keys = Int32Array.from(rows, (row) => ranks[row] * MOST_LEARNT + row).sort();
    let left = 0;
    for (let index = 0; index + 1 < keys.length; index += 1) {
      const [row, next] = [keys[index] % MOST_LEARNT, keys[index + 1] % MOST_LEARNT];
      left += values[row];
      if (ranks[row] !== ranks[next]) {
        take(left, index + 1, () => {
          const at = (places[row] + places[next]) / 2;
          return { dim, at, isLeft: (place) => place <= at };
        });
      }
    }
  });
  return best;
}

// The part of a tree's variance that each parameter explains by itself, over all of the space.
function explained(leaves, dims) {
  const weights = leaves.map(({ parts }) => parts.map((part, dim) => (dims[dim].isSet ? part.filter(Boolean).length / dims[dim].size : dims[dim].weight(...part))));
  const sizes = weights.map((all) => all.reduce((a, b) => a * b, 1));
  const mean = leaves.reduce((sum, { value }, leaf) => sum + value * sizes[leaf], 0);
  const variance = leaves.reduce((sum, { value }, leaf) => sum + sizes[leaf] * (value - mean) ** 2, 0);
  return dims.map((dim, index) => {
    if (!(variance > 0)) {
      return 0;
    }
    const apart = leaves.map(({ value }, leaf) => value * weights[leaf].reduce((product, weight, other) => (other === index ? product : product * weight), 1));
    return (dim.isSet ? ofNames(leaves, dim, index, apart, mean) : ofRange(leaves, dim, index, apart, mean)) / variance;
  });
}

function ofNames(leaves, dim, index, apart, mean) {
  let variance = 0;
  for (let name = 0; name < dim.size; name += 1) {
    const marginal = leaves.reduce((sum, { parts }, leaf) => sum + (parts[index][name] ? apart[leaf] : 0), 0);
    variance += (marginal - mean) ** 2 / dim.size;
  }
  return variance;
}

// Between two neighbouring thresholds the marginal is constant.
function ofRange(leaves, dim, index, apart, mean) {
  const changes = new Map();
  leaves.forEach(({ parts }, leaf) => {
    const [low, high] = parts[index];
    changes.set(low, (changes.get(low) || 0) + apart[leaf]);
    changes.set(high, (changes.get(high) || 0) - apart[leaf]);
  });
  const edges = [...changes.keys()].sort((a, b) => a - b);
  let [marginal, variance] = [0, 0];
  for (let edge = 0; edge + 1 < edges.length; edge += 1) {
    marginal += changes.get(edges[edge]);
    variance += dim.weight(edges[edge], edges[edge + 1]) * (marginal - mean) ** 2;
  }
  return variance;
}

// Numbers in [0, 1), always the same (mulberry32).
function randomNumbers(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
