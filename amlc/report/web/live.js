// News of a page that is served: it is told when something changed, and asks for it then.

// version: of what the page shows. change(): ask for what changed. A page that nobody sees asks for nothing; a browser has
// few connections for one address.
function follow(address, version, change, say) {
  let source = null;
  let isBusy = false;
  let isStale = false;

  async function news() {
    if (isBusy) {
      isStale = true;
      return;
    }
    isBusy = true;
    try {
      await change();
    } catch {
      say("There is no answer from amlc serve.");
    }
    isBusy = false;
    if (isStale) {
      isStale = false;
      news();
    }
  }

  function open() {
    if (!source && document.visibilityState === "visible") {
      source = new EventSource(address);
      source.addEventListener("changed", ({ data }) => {
        if (data !== version) {
          version = data;
          news();
        }
      });
      source.addEventListener("open", () => say(""));
      source.addEventListener("error", () => {
        say("amlc serve is gone. This page shows what it said last.");
        if (source.readyState === EventSource.CLOSED) { // it was refused, after which a browser does not try again
          source = null;
          setTimeout(open, 3000);
        }
      });
    }
  }

  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") {
      open();
      news();
    } else if (source) {
      source.close();
      source = null;
    }
  });
  open();
}

// A click is a press and a release on one element: nothing is made anew between the two.
let isPressed = false;
for (const [kind, now] of [["pointerdown", true], ["pointerup", false], ["pointercancel", false], ["blur", false]]) {
  window.addEventListener(kind, () => (isPressed = now), true);
}

async function released() {
  do {
    await new Promise((done) => setTimeout(done, 20)); // the click comes after the release
  } while (isPressed);
}

// Put other HTML of our own server's in place, and leave the keyboard where it was.
function replaceParts(place, html) {
  if (place.dataset.html === html) {
    return;
  }
  place.dataset.html = html;
  const focused = place.contains(document.activeElement) && document.activeElement.getAttribute("href");
  place.replaceChildren(...new DOMParser().parseFromString(html, "text/html").body.childNodes);
  if (focused) {
    place.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }
}

async function asked(address) {
  const answer = await fetch(address);
  if (!answer.ok) {
    throw new Error(String(answer.status));
  }
  return answer.json();
}

function live(page, version) {
  follow("events", version, async () => {
    const fresh = await asked("data");
    await released();
    replaceParts(document.getElementById("summary"), fresh.summary);
    page.update(fresh.data);
  }, page.say);
}

function liveList(version) {
  const say = (text) => (document.getElementById("said").textContent = text);
  follow("events", version, async () => {
    const fresh = await asked("data");
    await released();
    replaceParts(document.getElementById("list"), fresh.list);
  }, say);
}

// A log as it grows: at its end the page goes along, elsewhere it stays where the reader is.
async function liveLog() {
  const place = document.getElementById("log");
  const state = document.getElementById("state");
  const most = 2000000;
  try {
    const answer = await fetch("text");
    if (!answer.ok) {
      state.textContent = await answer.text();
      place.hidden = true;
      return;
    }
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) {
        break;
      }
      const isAtEnd = place.scrollTop + place.clientHeight >= place.scrollHeight - 4;
      place.append(value);
      if (place.textContent.length > most) {
        place.textContent = place.textContent.slice(-most / 2);
      }
      if (isAtEnd) {
        place.scrollTop = place.scrollHeight;
      }
    }
    state.textContent = "The job has ended.";
  } catch {
    state.textContent = "The connection ended.";
  }
}
