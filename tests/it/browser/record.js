// Runs before the page's own script: writes down what the chat shows, and when, so that nothing is missed between
// two looks at it.
(() => {
  window.seen = [];
  const note = (what) => window.seen.push({ what, at: performance.now() });
  const words = (message) => message.querySelector("[data-test=text]")?.textContent ?? message.dataset.kind;
  const read = new Set();
  const words_for = { "message-out": "wrote: ", "message-in": "reply: " };

  const appeared = (element) => {
    const kind = element.dataset.test;
    if (kind in words_for) note(words_for[kind] + words(element));
    if (kind === "dots") note("dots on");
    if (!element.querySelector("[data-test=tick][data-state=read]")) return;
    const message = element.closest("[data-test=message-out]");
    if (!message || read.has(message)) return;
    read.add(message);
    note("read");
  };

  addEventListener("DOMContentLoaded", () => {
    const elements = (nodes) => [...nodes].filter((node) => node instanceof HTMLElement);
    const observer = new MutationObserver((changes) => {
      for (const change of changes) {
        elements(change.addedNodes).forEach(appeared);
        for (const gone of elements(change.removedNodes)) if (gone.dataset.test === "dots") note("dots off");
      }
    });
    observer.observe(document.querySelector("[data-log]"), { childList: true, subtree: true });
  });
})();
