// The phone's page: sends what the customer does, and shows what the feed tells. The server renders everything.
"use strict";
(() => {
  const { home, phone: base } = document.body.dataset;
  const one = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const narrow = matchMedia("(max-width: 799px)");
  const calm = matchMedia("(prefers-reduced-motion: reduce)");

  const notice = one("[data-notice]");
  const tell = (words) => {
    notice.textContent = words;
    notice.hidden = !words;
  };

  const post = async (path, body) => {
    try {
      const answer = await fetch(path, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      });
      if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).error ?? `the sandbox answered ${answer.status}`);
      tell("");
      return answer.status === 204 ? {} : await answer.json();
    } catch (error) {
      tell(`That did not work: ${error.message}.`);
      return null;
    }
  };

  one("[data-form=customer]").addEventListener("submit", async (event) => {
    event.preventDefault();
    const made = await post(`${home}/customers`, { name: new FormData(event.target).get("name") });
    if (made) location.href = made.page;
  });
  // On a narrow screen their row is longer than the screen.
  one(".upstreams [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  if (!base) return;

  const log = one("[data-log]");
  const scroller = one("[data-scroller]");
  const wire = one("[data-wire]");
  const wireScroller = one("[data-wire-scroller]");
  const form = one("[data-form=message]");
  const words = form.elements.text;
  const quoting = one("[data-quoting]");
  let quoted = null;
  // Whoever sends something wants to see it arrive, wherever they had scrolled to.
  let pinned = false;

  const parse = (html) => {
    const template = document.createElement("template");
    template.innerHTML = html;
    return template.content.firstElementChild;
  };

  // Times come in UTC and are shown in the reader's own.
  const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
  const localise = (within) => {
    for (const time of all("time[data-at]", within)) {
      const at = new Date(Number(time.dataset.at));
      time.textContent = clock.format(at);
      time.dateTime = at.toISOString();
    }
  };

  // The line under the dots shrinks to nothing as their time runs out.
  const wind = (dots) => {
    const line = one(".left", dots);
    line.animate(
      [{ transform: `scaleX(${Number(dots.dataset.leftPercent) / 100})` }, { transform: "scaleX(0)" }],
      { duration: Number(dots.dataset.left), fill: "forwards" },
    );
  };

  const atEnd = (box) => box.scrollHeight - box.scrollTop - box.clientHeight < 80;
  const toEnd = (box, smooth) => box.scrollTo({ top: box.scrollHeight, behavior: smooth && !calm.matches ? "smooth" : "instant" });

  const showMessage = ({ number, revision, html }) => {
    const known = document.getElementById(`message-${number}`);
    if (known && Number(known.dataset.revision) >= revision) return;
    const message = parse(html);
    localise(message);
    if (!known) {
      const dots = one("[data-dots]", log);
      dots ? dots.before(message) : log.append(message);
      return;
    }
    // Only what can change is replaced, so that nothing is read out twice and no focus is lost.
    for (const part of [".meta", ".after"]) one(part, known).replaceWith(one(part, message));
    known.dataset.revision = revision;
  };

  const showDots = (html) => {
    const showing = one("[data-dots]", log);
    const dots = html && parse(html);
    const changed = dots?.dataset.activity !== showing?.dataset.activity;
    if (changed) showing?.remove();
    if (changed && dots) {
      log.append(dots);
      wind(dots);
    }
    one("[data-presence]").textContent = dots ? dots.dataset.activity : "online";
  };

  const showRow = ({ id, html }) => {
    const known = one(`[data-row="${id}"]`, wire);
    known ? known.replaceWith(parse(html)) : wire.append(parse(html));
    while (wire.children.length > 600) wire.firstElementChild.remove();
  };

  const show = ({ messages, rows, dots, switches }) => {
    const [follow, followWire] = [atEnd(scroller), atEnd(wireScroller)];
    messages.forEach(showMessage);
    showDots(dots);
    rows.forEach(showRow);
    for (const button of all("[data-switch]")) {
      button.setAttribute("aria-checked", String(switches.includes(button.dataset.switch)));
    }
    if (follow || pinned) toEnd(scroller, follow);
    if (messages.length) pinned = false;
    if (followWire) toEnd(wireScroller, false);
  };

  const feed = new EventSource(`${base}/events`);
  feed.onmessage = (event) => show(JSON.parse(event.data));
  feed.onopen = () => tell("");
  feed.onerror = () => tell("The sandbox does not answer. This page waits for it.");

  const send = async (act) => {
    pinned = true;
    return post(`${base}/send`, act);
  };
  const quote = (message) => {
    quoted = message?.dataset.message ?? null;
    quoting.hidden = !message;
    if (message) {
      const said = one(".text", message)?.textContent ?? message.dataset.kind;
      one("[data-quoting-words]").textContent = said;
      words.focus();
    }
  };
  const fit = () => {
    words.style.height = "auto";
    const borders = words.offsetHeight - words.clientHeight;
    const wanted = words.scrollHeight + borders;
    words.style.height = `${Math.min(wanted, 120)}px`;
    words.style.overflowY = wanted > 120 ? "auto" : "hidden";
  };
  addEventListener("resize", fit);

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const text = words.value;
    if (!text.trim()) return words.focus();
    const quote_ = quoted;
    words.value = "";
    fit();
    quote(null);
    words.focus();
    if (!(await send({ kind: "text", text, quote: quote_ })) && !words.value) {
      words.value = text;
      fit();
    }
  });
  words.addEventListener("input", fit);
  words.addEventListener("keydown", (event) => {
    if (event.key === "Escape") quote(null);
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });

  const openList = (button) => {
    const sheet = one("dialog", button.closest(".message"));
    const screen = one(".screen").getBoundingClientRect();
    sheet.style.left = `${screen.left}px`;
    sheet.style.width = `${screen.width}px`;
    sheet.style.bottom = `${Math.max(0, innerHeight - screen.bottom)}px`;
    sheet.showModal();
  };

  const person = one("[data-form=person]");
  person.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { text } = person.elements;
    pinned = true;
    if (await post(`${base}/person`, { text: text.value })) text.value = "";
  });

  document.addEventListener("click", (event) => {
    const sheet = event.target.closest("dialog");
    if (event.target === sheet) return sheet.close();
    const menu = one("[data-attach-menu]");
    if (!menu.contains(event.target)) menu.open = false;
    const button = event.target.closest("button");
    if (!button) return;
    const message = button.closest(".message");
    const { dataset } = button;
    if ("fill" in dataset) {
      words.value = dataset.fill;
      fit();
      words.focus();
    } else if ("attach" in dataset) {
      menu.open = false;
      send({ kind: dataset.attach });
      words.focus();
    } else if ("unquote" in dataset) {
      quote(null);
      words.focus();
    } else if ("quote" in dataset) {
      quote(message);
    } else if ("react" in dataset) {
      send({ kind: "reaction", message: message.dataset.message, emoji: one(".reaction", message) ? "" : dataset.react });
    } else if ("openList" in dataset) {
      openList(button);
    } else if ("closeList" in dataset) {
      sheet.close();
    } else if ("choice" in dataset) {
      sheet?.close();
      send({ kind: "choice", message: message.dataset.message, choice: dataset.choice });
    } else if ("answers" in dataset) {
      post(`${base}/answers`, { who: dataset.answers }).then((told) => {
        one("[data-answering]").textContent = told ? dataset.told : "";
      });
    } else if ("switch" in dataset) {
      const on = button.getAttribute("aria-checked") !== "true";
      post(`${home}/faults`, {
        name: dataset.switch,
        on,
        calls: one("[data-calls]").value,
        once: one("[data-times]").value === "once",
      });
    }
  });
  document.addEventListener("keydown", (event) => {
    const menu = one("[data-attach-menu]");
    if (event.key === "Escape" && menu.open) {
      menu.open = false;
      one("summary", menu).focus();
    }
  });

  // On a narrow screen the panels wait under the phone until they are opened.
  const fold = () => all("[data-panel]").forEach((panel) => { panel.open = !narrow.matches; });
  fold();
  narrow.addEventListener("change", fold);

  localise(document);
  all("[data-dots]").forEach(wind);
  toEnd(scroller, false);
  toEnd(wireScroller, false);
  if (!narrow.matches) words.focus({ preventScroll: true });
})();
