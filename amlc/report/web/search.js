// What stands in the search field, as a question that each trial answers with yes or no.

// word        anywhere in the row            "two words"  so, with its space
// #12  #3..9  these trials                   -word        not so
// lr>0.01  lr:0.01..0.1  lr:..0.1            a number in a column
// opt:ada  opt=adam  opt=adam|sgd            a text in a column, or all of it
const TERM = /(-?)(?:"((?:[^"\\]|\\.)*)"|([^\s:=<>"]+))?(?:(<=|>=|[:=<>])((?:"(?:[^"\\]|\\.)*"|[^\s"])+))?/gy;

function searchTerms(text) {
  const terms = [];
  TERM.lastIndex = 0;
  while (TERM.lastIndex < text.length) {
    if (/\s/.test(text[TERM.lastIndex])) {
      TERM.lastIndex += 1;
      continue;
    }
    const start = TERM.lastIndex;
    const match = TERM.exec(text);
    if (!match || TERM.lastIndex === start) {
      TERM.lastIndex = start + 1; // a quote without its partner, say
      continue;
    }
    const [whole, minus, quoted, bare, operator, value] = match;
    const name = quoted === undefined ? bare : unquoted(quoted);
    terms.push({ whole, not: minus === "-", quoted: quoted !== undefined, name: name || "", operator: operator || "", value: value || "" });
  }
  return terms;
}

function unquoted(text) {
  return text.replace(/\\(.)/g, "$1");
}

function quoted(text) {
  return /^[^\s:=<>"|\\-][^\s:=<>"|\\]*$/.test(text) && !text.includes("..") ? text : `"${text.replace(/[\\"]/g, "\\$&")}"`;
}

// The alternatives of a value: parts between bars, which quotes protect.
function alternatives(value) {
  return (value.match(/(?:"(?:[^"\\]|\\.)*"|[^|"])+/g) || []).map((part) => {
    const whole = /^"((?:[^"\\]|\\.)*)"$/.exec(part);
    return whole ? { text: unquoted(whole[1]).toLowerCase(), quoted: true } : { text: part.toLowerCase(), quoted: false };
  });
}

function range(text) {
  const match = /^(.*?)\.\.(.*)$/.exec(text);
  if (!match) {
    return null;
  }
  const low = match[1] === "" ? -Infinity : Number(match[1]);
  const high = match[2] === "" ? Infinity : Number(match[2]);
  return Number.isNaN(low) || Number.isNaN(high) || match[0] === ".." ? null : [low, high];
}

function columnNamed(frame, name) {
  const wanted = name.toLowerCase();
  const named = (test) => frame.columns.find((column) => test(column.name.toLowerCase()));
  return named((found) => found === wanted) || named((found) => found.endsWith("." + wanted));
}

function trialsTest(frame, text) {
  const ranges = text.split(",").map((part) => range(part) || (/^\d+$/.test(part) ? [Number(part), Number(part)] : null));
  return ranges.every(Boolean) ? (row) => ranges.some(([low, high]) => frame.sequence[row] >= low && frame.sequence[row] <= high) : null;
}

function columnTest(column, operator, value) {
  const tests = alternatives(value).map(({ text, quoted: isText }) => {
    const number = Number(text);
    const isNumber = !isText && text.trim() !== "" && !Number.isNaN(number);
    if (operator === "<" || operator === ">" || operator === "<=" || operator === ">=") {
      if (!isNumber) {
        return () => false;
      }
      return { "<": (row) => column.number(row) < number, ">": (row) => column.number(row) > number, "<=": (row) => column.number(row) <= number, ">=": (row) => column.number(row) >= number }[operator];
    }
    const between = isText ? null : range(text);
    if (between) {
      return (row) => column.number(row) >= between[0] && column.number(row) <= between[1];
    }
    if (operator === "=") {
      return (row) => column.has(row) && (column.text(row).toLowerCase() === text || (isNumber && column.number(row) === number));
    }
    return (row) => column.text(row).toLowerCase().includes(text);
  });
  return (row) => tests.some((test) => test(row));
}

// A function of the row, and what nobody could make sense of, for the reader.
function searchTest(frame, text) {
  const all = [];
  const numbered = []; // one of these is enough
  const texts = new Map();
  const wordTest = (word) => (row) => {
    if (!texts.has(row)) {
      texts.set(row, frame.text(row));
    }
    return texts.get(row).includes(word);
  };
  for (const term of searchTerms(text)) {
    const plain = term.whole.slice(term.not ? 1 : 0);
    const trials = !term.quoted && /^#\d/.test(plain) ? trialsTest(frame, plain.slice(1)) : null;
    if (trials && !term.not) {
      numbered.push(trials);
      continue;
    }
    const column = term.operator && columnNamed(frame, term.name);
    const word = (term.quoted && !term.operator ? term.name : plain).toLowerCase();
    const test = trials || (column ? columnTest(column, term.operator, term.value) : wordTest(word));
    all.push(term.not ? (row) => !test(row) : test);
  }
  return (row) => (numbered.length === 0 || numbered.some((test) => test(row))) && all.every((test) => test(row));
}
