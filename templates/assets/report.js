/* What a page can do beyond being read: search, sort, enlarge, step from card to card. Every page is complete without it.
   Nothing is fetched and nothing is stored. Controls are hidden in the page until this runs. */
"use strict";

(() => {
  const all = (selector, within = document) => Array.from(within.querySelectorAll(selector));
  const plainKey = (event) => !(event.altKey || event.ctrlKey || event.metaKey || event.shiftKey);
  document.documentElement.classList.add("scripted");

  /* Lists: the rows of a table or the cards of a layer. The data-NAME attributes of an item are what it is found and
     ordered by; an attribute that it lacks counts as unknown and comes last in either direction. */
  const collator = new Intl.Collator("en", { numeric: true });

  function compare(one, other, key, direction) {
    const [left, right] = [one.dataset[key], other.dataset[key]];
    if (left === undefined || right === undefined) return (left === undefined) - (right === undefined);
    const numbers = [Number(left), Number(right)];
    const order = numbers.some(Number.isNaN) ? collator.compare(left, right) : numbers[0] - numbers[1];
    return direction * order;
  }

  function list(controls) {
    const container = document.getElementById(controls.dataset.list);
    const items = Array.from(container.children); // in the report's own order
    const [find, verdict, order] = ["find", "verdict", "order"].map((name) => controls.querySelector(`[data-control=${name}]`));
    const count = controls.querySelector("[data-control=count]");
    const none = controls.querySelector("[data-control=none]");
    const heads = all(`th[data-order]`, container.closest("table") ?? controls);

    function show() {
      const words = (find?.value ?? "").toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const item of items) {
        const text = (item.dataset.words ?? "").toLowerCase();
        const fits = words.every((word) => text.includes(word))
          && (!verdict?.value || (item.dataset.verdict ?? "").split(" ").includes(verdict.value));
        item.hidden = !fits;
        shown += fits;
      }
      const text = `${shown.toLocaleString("en")} of ${items.length.toLocaleString("en")} shown`;
      if (count.textContent !== text) count.textContent = text;
      none.hidden = shown > 0;
    }

    function arrange(key, direction) {
      const sorted = key ? [...items].sort((one, other) => compare(one, other, key, direction)) : items;
      container.append(...sorted);
      for (const head of heads) {
        const state = head.dataset.order !== key ? "none" : direction > 0 ? "ascending" : "descending";
        head.setAttribute("aria-sort", state);
      }
    }

    function reset() {
      for (const control of [find, verdict]) if (control) control.value = "";
      show();
    }

    for (const head of heads) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => { // up, down, the report's own order
        const state = head.getAttribute("aria-sort");
        arrange(state === "descending" ? "" : head.dataset.order, state === "none" ? 1 : -1);
      });
    }
    find?.addEventListener("input", show);
    verdict?.addEventListener("change", show);
    order?.addEventListener("change", () => {
      const [key, direction] = order.value.split(" ");
      arrange(key, direction === "down" ? -1 : 1);
    });
    none.querySelector("button").addEventListener("click", () => { reset(); (find ?? verdict).focus(); });
    show();
    controls.hidden = false;
    return { items, reset };
  }

  const lists = all("[data-list]").map(list);

  /* A link to what is filtered out shows it. */
  function reveal() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const owner = target?.hidden ? lists.find(({ items }) => items.includes(target)) : undefined;
    if (owner) { owner.reset(); target.scrollIntoView(); }
  }
  window.addEventListener("hashchange", reveal);
  reveal();

  /* Cards: the arrow keys lead to the next and the previous one, while a card is on screen or has the focus. */
  function step(card, direction) {
    let next = card;
    do next = direction > 0 ? next.nextElementSibling : next.previousElementSibling; while (next?.hidden);
    if (next) go(next);
  }

  function go(card) {
    location.replace(`#${card.id}`); // marks it without filling the history
    card.scrollIntoView({ block: "nearest" });
    card.querySelector("h3 a").focus({ preventScroll: true });
  }

  function onScreen(card) {
    const box = card.getBoundingClientRect();
    return !card.hidden && box.bottom > 0 && box.top < window.innerHeight;
  }

  const busy = "input, select, textarea, dialog, [contenteditable], .scroll, summary, audio, video";
  document.addEventListener("keydown", (event) => {
    const direction = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!direction || !plainKey(event) || event.defaultPrevented || event.target.closest(busy)) return;
    const focused = event.target.closest(".card");
    const seen = focused ?? all(".card").find(onScreen);
    if (!seen) return;
    event.preventDefault();
    if (focused) step(focused, direction); else go(seen);
  });
  for (const link of all(".card [data-step]")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      step(link.closest(".card"), Number(link.dataset.step));
    });
  }

  /* Enlarging: whole steps, so that each pixel stays a square; never blurred. */
  const dialog = document.getElementById("zoom");
  const stage = dialog.querySelector(".zoom-stage");
  const title = document.getElementById("zoom-title");
  const scaleShown = dialog.querySelector("[data-zoom=scale]");
  const SCALES = [1 / 8, 1 / 4, 1 / 2, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32];
  let view = { pictures: [], place: 0, scale: 1 };

  /* What can be enlarged: an img as its file, a cut as the window of its mosaic. */
  const enlargeable = ".plate img, .plate svg.picture, .card svg.cut";

  function measured(picture) {
    if (picture.tagName === "IMG") return { width: picture.naturalWidth || picture.width, height: picture.naturalHeight || picture.height };
    const { width, height } = picture.viewBox.baseVal;
    return { width, height };
  }

  function set(scale) {
    const { width, height } = measured(view.pictures[view.place]);
    const copy = stage.firstElementChild;
    const middle = [(stage.scrollLeft + stage.clientWidth / 2) / stage.scrollWidth, (stage.scrollTop + stage.clientHeight / 2) / stage.scrollHeight];
    view.scale = scale;
    copy.setAttribute("width", Math.max(1, Math.round(width * scale)));
    copy.setAttribute("height", Math.max(1, Math.round(height * scale)));
    scaleShown.textContent = `${(100 * scale).toLocaleString("en")} %`; // of the pixels in the file
    stage.scrollTo(middle[0] * stage.scrollWidth - stage.clientWidth / 2, middle[1] * stage.scrollHeight - stage.clientHeight / 2);
  }

  function fitting() {
    const { width, height } = measured(view.pictures[view.place]);
    const room = Math.min(stage.clientWidth / width, stage.clientHeight / height);
    return SCALES.filter((scale) => scale <= room).at(-1) ?? SCALES[0];
  }

  function change(steps) {
    const place = SCALES.indexOf(view.scale) + steps;
    if (SCALES[place] !== undefined) set(SCALES[place]);
  }

  function turn(place) {
    const picture = view.pictures[place];
    if (!picture) return;
    view.place = place;
    const copy = picture.cloneNode(true);
    for (const name of ["class", "loading", "id", "alt", "aria-label", "role"]) copy.removeAttribute(name);
    copy.setAttribute("aria-hidden", "true");
    if (copy.tagName === "IMG") copy.alt = "";
    stage.replaceChildren(copy);
    title.textContent = picture.getAttribute("alt") ?? picture.getAttribute("aria-label");
    for (const [name, there] of [["previous", place > 0], ["next", place < view.pictures.length - 1]]) {
      dialog.querySelector(`[data-zoom=${name}]`).disabled = !there;
    }
    set(fitting());
    if (!dialog.contains(document.activeElement) || document.activeElement.disabled) stage.focus();
  }

  function enlarge(picture) {
    const owner = picture.closest(".card") ?? picture.closest(".plate");
    view = { pictures: all(enlargeable, owner), place: 0, scale: 1 };
    if (!dialog.open) dialog.showModal();
    turn(view.pictures.indexOf(picture));
    stage.focus();
  }

  const actions = {
    in: () => change(1),
    out: () => change(-1),
    fit: () => set(fitting()),
    previous: () => turn(view.place - 1),
    next: () => turn(view.place + 1),
    close: () => dialog.close(),
  };
  const keys = { "+": "in", "=": "in", "-": "out", 0: "fit", PageUp: "previous", PageDown: "next" };
  for (const button of all("button[data-zoom]", dialog)) button.addEventListener("click", () => actions[button.dataset.zoom]());
  dialog.addEventListener("keydown", (event) => {
    if (!keys[event.key] || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    actions[keys[event.key]]();
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); }); // beside the picture
  dialog.addEventListener("close", () => stage.replaceChildren());

  document.addEventListener("click", (event) => {
    if (event.button || !plainKey(event)) return; // a new tab, a saved link: the browser's own
    const picture = event.target.closest(enlargeable) ?? event.target.closest(".plate > a")?.firstElementChild;
    if (!picture) return;
    event.preventDefault();
    enlarge(picture);
  });

  for (const anchor of all(".plate > a:not([href])")) { // a report of one file has no picture files to lead to
    anchor.tabIndex = 0;
    anchor.setAttribute("role", "button");
    anchor.addEventListener("keydown", (event) => { if (event.key === "Enter") anchor.click(); });
  }

  for (const card of all(".card")) {
    if (!card.querySelector("svg.cut")) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "enlarge";
    button.textContent = "Open viewer";
    button.setAttribute("aria-label", `Open viewer: figures of ${card.querySelector("h3").textContent.trim()}`);
    button.addEventListener("click", () => enlarge(card.querySelector("svg.cut")));
    card.querySelector(".card-foot").append(button);
  }
})();
