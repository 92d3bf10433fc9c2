/* What a page can do beyond being read: search, sort, enlarge, show one filter at a time. Every page is complete without it.
   Nothing is fetched and nothing is stored. Controls are hidden in the page until this runs. */
"use strict";

(() => {
  const all = (selector, within = document) => Array.from(within.querySelectorAll(selector));
  const plainKey = (event) => !(event.altKey || event.ctrlKey || event.metaKey || event.shiftKey);
  document.documentElement.classList.add("scripted");

  /* Lists: the rows of a table or the filters of a layer. The data-NAME attributes of an item are what it is found and
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
    const made = { reset }; // and `changed`, called when other items are shown or in another order

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
      made.changed?.();
    }

    function arrange(key, direction) {
      const sorted = key ? [...items].sort((one, other) => compare(one, other, key, direction)) : items;
      container.append(...sorted);
      made.changed?.();
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
    return made;
  }

  const lists = new Map(all("[data-list]").map((controls) => [controls.dataset.list, list(controls)]));
  const named = (hash) => document.getElementById(decodeURIComponent(hash.slice(1)));

  /* Filters of a layer: a grid of tiles, and the details of the chosen one. Search, filter and sort act on the tiles. */
  function browser(root) {
    const [tiles, details, steps] = [".tiles", ".details", ".steps"].map((name) => root.querySelector(name));
    const packed = details.querySelector("noscript"); // of thousands: text, of which one card at a time becomes elements
    const texts = packed && new Map(packed.textContent.split(/(?=<li class="card" )/).slice(1).map((text) => [/ id="([^"]*)"/.exec(text)[1], text]));
    const cards = details.querySelector(".cards") ?? details.appendChild(document.createElement("ol"));
    cards.className = "cards";
    const [back, on, viewer, every] = steps.children;
    const own = lists.get(tiles.id);
    const link = (tile) => tile.firstElementChild;
    const card = (tile) => named(link(tile).hash) ?? cards.appendChild(made(tile));
    const tileOf = new Map(Array.from(tiles.children, (tile) => [link(tile).hash, tile]));
    const shown = () => Array.from(tiles.children).filter((tile) => !tile.hidden);
    const isAll = () => root.classList.contains("is-all");
    let current;

    function made(tile) {
      const template = document.createElement("template");
      template.innerHTML = texts.get(decodeURIComponent(link(tile).hash.slice(1)));
      return template.content.firstElementChild;
    }

    function choose(tile) {
      if (current) {
        link(current).removeAttribute("aria-current");
        link(current).tabIndex = -1;
        card(current).classList.remove("is-current");
        if (texts && !isAll()) cards.replaceChildren();
      }
      current = tile;
      link(tile).setAttribute("aria-current", "true");
      link(tile).tabIndex = 0; // the grid is one stop of the Tab key
      card(tile).classList.add("is-current");
      details.scrollTop = 0;
      const order = shown();
      back.disabled = order[0] === tile;
      on.disabled = order.at(-1) === tile;
      viewer.disabled = !card(tile).querySelector("svg.cut");
    }

    function visit(tile) { // by the user: the address follows, without filling the history
      choose(tile);
      history.replaceState(null, "", link(tile).hash);
      if (isAll()) card(tile).scrollIntoView({ block: "nearest" });
      link(tile).scrollIntoView({ block: "nearest" });
    }

    function reveal(tile) { // by a link: what is filtered out is shown
      if (tile.hidden) own?.reset();
      choose(tile);
      if (isAll()) { card(tile).scrollIntoView(); return; }
      root.scrollIntoView();
      link(tile).scrollIntoView({ block: "nearest" });
    }

    function follow() { // the list was filtered or sorted
      if (isAll()) {
        for (const tile of tiles.children) card(tile).hidden = tile.hidden;
        cards.append(...Array.from(tiles.children, card));
      }
      const order = shown();
      if (order.length) choose(order.includes(current) ? current : order[0]);
    }

    function row(tile, direction) { // the tile above or below
      const order = shown();
      let place = order.indexOf(tile);
      while (order[place]?.offsetTop === tile.offsetTop) place += direction;
      const line = order.filter((other) => other.offsetTop === order[place]?.offsetTop);
      return line.find((other) => other.offsetLeft >= tile.offsetLeft) ?? line.at(-1);
    }

    function step(direction) {
      const order = shown();
      return order[order.indexOf(current) + direction];
    }

    for (const tile of tiles.children) link(tile).tabIndex = -1;
    choose(tiles.firstElementChild);
    if (own) own.changed = follow;
    steps.hidden = false;
    if (tiles.children.length === 1) back.hidden = on.hidden = every.hidden = true;
    tiles.addEventListener("click", (event) => {
      const tile = event.target.closest(".tiles > li");
      if (!tile || !event.target.closest("a") || event.button || !plainKey(event)) return;
      event.preventDefault();
      visit(tile);
      if (steps.getBoundingClientRect().top > 0.75 * window.innerHeight) root.scrollIntoView(); // the details are below the grid
    });
    steps.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button === viewer) enlarge(card(current).querySelector("svg.cut"));
      else if (button === every) {
        every.setAttribute("aria-pressed", String(root.classList.toggle("is-all")));
        for (const one of cards.children) one.hidden = false;
        follow();
        if (texts && !isAll()) cards.replaceChildren(card(current));
      } else if (button) {
        visit(step(Number(button.dataset.step)));
        if (button.disabled) link(current).focus({ preventScroll: true });
      }
    });

    return {
      root,
      reveal(hash) {
        if (tileOf.has(hash)) reveal(tileOf.get(hash));
      },
      key(name, target) {
        const inGrid = tiles.contains(target);
        const order = shown();
        const next = {
          ArrowRight: () => step(1),
          ArrowLeft: () => step(-1),
          ArrowDown: () => inGrid && row(current, 1),
          ArrowUp: () => inGrid && row(current, -1),
          Home: () => inGrid && order[0],
          End: () => inGrid && order.at(-1),
        }[name]?.();
        if (next) {
          visit(next);
          if (inGrid || !root.contains(target)) link(next).focus({ preventScroll: true });
          else if (target.closest(".card")) card(next).querySelector("h3 a").focus({ preventScroll: true });
        }
        return Boolean(next);
      },
    };
  }

  const browsers = all(".browser").map(browser);

  function reveal() {
    for (const one of browsers) one.reveal(location.hash);
  }
  window.addEventListener("hashchange", reveal);
  reveal();

  const isOnScreen = (box) => box.bottom > 0 && box.top < window.innerHeight;
  const busy = "input, select, textarea, dialog, [contenteditable], .scroll, summary, audio, video";
  document.addEventListener("keydown", (event) => {
    if (!plainKey(event) || event.defaultPrevented || event.target.closest(busy)) return;
    const one = browsers.find(({ root }) => root.contains(event.target))
      ?? browsers.find(({ root }) => isOnScreen(root.getBoundingClientRect()));
    if (one?.key(event.key, event.target)) event.preventDefault();
  });

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
    for (const name of ["class", "loading", "id", "alt", "aria-label", "role", "data-title"]) copy.removeAttribute(name);
    copy.setAttribute("aria-hidden", "true");
    if (copy.tagName === "IMG") copy.alt = "";
    stage.replaceChildren(copy);
    const name = picture.dataset.title ?? picture.getAttribute("alt") ?? picture.getAttribute("aria-label");
    const caption = picture.closest("figure.plate")?.querySelector("figcaption p")?.textContent;
    title.textContent = [name, caption].filter(Boolean).join(" ");
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
})();
