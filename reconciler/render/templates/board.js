"use strict";
(() => {
  const EVERY = 5000;
  const PATIENCE = 10000;
  const LATE = 15000;
  const root = document.documentElement;
  const lost = document.getElementById("lost");
  const lostSince = document.getElementById("lost-since");
  const spoken = document.getElementById("spoken");
  const icon = document.querySelector("link[rel=icon]");
  const arrived = performance.getEntriesByType("navigation")[0]?.responseStart ?? performance.now();
  let tag = null;
  let asking = false;
  let next = 0;
  let heard = performance.timeOrigin + arrived;
  let ahead = Date.parse(root.dataset.asOf) - heard; // of the server's clock
  let told = { title: document.title, icon: icon.href };
  let gone = false;
  // The daemon's clock in its answers. One that stands still, or goes otherwise than the time that passes here, is that
  // of an old answer, which something between here and the daemon gives again: that is none.
  let latest = Date.parse(root.dataset.asOf);
  let seen = { moment: latest, at: heard };
  let steady = 0;
  let stale = false;

  // Times

  const amount = (count, what) => `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`;
  const length = (ms) => {
    const minutes = Math.floor(ms / 60000);
    if (minutes < 1) return "less than a minute";
    if (minutes < 60) return amount(minutes, "minute");
    if (minutes < 48 * 60) return amount(Math.floor(minutes / 60), "hour");
    return amount(Math.floor(minutes / 1440), "day");
  };
  const age = (time, now) => {
    const passed = now - Date.parse(time.dateTime);
    if (Number.isNaN(passed)) return "";
    if ("for" in time.dataset) return `for ${length(Math.max(passed, 0))}`;
    if ("next" in time.dataset) return passed < 0 ? `in ${length(-passed)}` : passed < 60000 ? "due" : `due for ${length(passed)}`;
    return passed < 0 ? `in ${length(-passed)}` : `${length(passed)} ago`;
  };
  const put = (element, text) => {
    if (element && element.textContent !== text) element.textContent = text;
  };
  const tick = () => {
    // A clock of the browser that stood still, as in a machine that slept: what is shown is not known to be so.
    if (!document.hidden && Date.now() - heard > LATE) lose(stale ? OLD : undefined);
    const now = Date.now() + ahead;
    const asOf = document.getElementById("as-of");
    asOf.dateTime = new Date(heard + ahead).toISOString();
    put(asOf, `${asOf.dateTime.slice(0, 16).replace("T", " ")} UTC`);
    for (const time of document.querySelectorAll("time:has(> .ago)")) put(time.firstElementChild, age(time, now));
    if (!lost.hidden) put(lostSince, `since ${clock(heard)}, for ${length(Date.now() - heard)}.`);
  };
  const clock = (ms) => new Date(ms).toLocaleTimeString("en", { hour12: false });

  // Whether the daemon answers

  const OLD = "Only old answers of the daemon arrive here";
  const advances = (moment) => {
    const now = Date.now();
    if (!Number.isFinite(moment) || moment === seen.moment) {
      stale = true;
      return false;
    }
    const passed = moment - seen.moment;
    const goes = passed > 0 && Math.abs(passed - (now - seen.at)) < LATE;
    seen = { moment, at: now };
    steady = goes ? steady + 1 : 0;
    stale = !goes || moment <= latest;
    if (goes && stale && steady >= 3) location.reload(); // the daemon's clock was set back: it is another daemon now
    if (!stale || moment > latest) latest = moment;
    return !stale;
  };

  const say = (text) => put(spoken, text);
  const show = () => {
    const silent = !lost.hidden;
    root.classList.toggle("lost", silent);
    const title = silent ? `${gone ? "No such page" : "No answer"} \u00b7 AhaSend keys` : told.title;
    if (document.title !== title) document.title = title;
    icon.href = silent ? icon.dataset.lost : told.icon;
  };
  const lose = (why = "No answer from the daemon") => {
    if (lost.hidden || lost.firstElementChild.textContent !== why) say(`${why}. What is shown may not be so any more.`);
    put(lost.firstElementChild, why);
    lost.hidden = false;
    show();
  };
  const find = () => {
    gone = false;
    const was = !lost.hidden;
    lost.hidden = true;
    show();
    return was;
  };

  // What changed is changed in its place: what stays keeps its focus, its scrolling, its selection, its being open.

  const key = (node) => (node.nodeType === 1 && node.id ? node.id : null);
  // A link that leads elsewhere is another one: whoever stands on it must not find another key under their hands.
  const leads = (node) => (node.nodeName === "A" ? node.getAttribute("href") : null);
  const alike = (one, other) => one.nodeName === other.nodeName && key(one) === key(other) && leads(one) === leads(other);
  const PIECE = "article, li, tr, p, pre, dl, h1, h2, .approve, .refusal";
  const NOW = ".stand, .crumbs";
  const selected = (node) => {
    const selection = getSelection();
    return selection.rangeCount > 0 && !selection.isCollapsed && selection.getRangeAt(0).intersectsNode(node);
  };
  const attributes = (old, fresh) => {
    for (const { name } of [...old.attributes]) {
      if (!fresh.hasAttribute(name) && !(name === "open" && old.nodeName === "DETAILS")) old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
  };
  // Gives whether all of it is as in the new page: a piece in which somebody selects is left for later, as a whole.
  const renew = (old, fresh, atOnce) => {
    if (old.nodeType !== 1) {
      if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
      return true;
    }
    if (!atOnce && old.matches(PIECE) && selected(old)) return false;
    attributes(old, fresh);
    return old.className === "ago" || children(old, fresh, atOnce || old.matches(NOW));
  };
  const children = (old, fresh, atOnce) => {
    let whole = true;
    let place = old.firstChild;
    const kept = new Map([...old.children].filter((child) => child.id).map((child) => [child.id, child]));
    const wanted = new Set([...fresh.children].map(key).filter(Boolean));
    const drop = (node) => {
      if (atOnce || !selected(node)) return node.remove();
      whole = false;
      if (node.nodeType === 1 && !node.matches(PIECE)) [...node.childNodes].forEach(drop);
    };
    for (const child of [...fresh.childNodes]) {
      while (place && key(place) && !wanted.has(key(place))) {
        const following = place.nextSibling;
        drop(place);
        place = following;
      }
      const known = key(child) && kept.get(key(child));
      if (known && known !== place && known.nodeName === child.nodeName) {
        old.insertBefore(known, place);
        whole = renew(known, child, atOnce) && whole;
      } else if (place && alike(place, child)) {
        const following = place.nextSibling;
        whole = renew(place, child, atOnce) && whole;
        place = following;
      } else {
        old.insertBefore(document.importNode(child, true), place);
      }
    }
    while (place) {
      const following = place.nextSibling;
      drop(place);
      place = following;
    }
    return whole;
  };

  const take = (page) => {
    const held = document.activeElement;
    const around = [];
    for (let each = held; each; each = each.parentElement) around.push(each);
    const led = leads(held);
    let whole = true;
    for (const id of ["top", "content", "foot"]) {
      whole = renew(document.getElementById(id), page.getElementById(id), id === "top") && whole;
    }
    if (document.activeElement !== held) {
      const near = around.filter((each) => each.isConnected);
      const part = near.find((each) => each.matches("section, main"));
      const same = led && part?.querySelector(`a[href="${CSS.escape(led)}"]`);
      (held.isConnected ? held : same || near.find((each) => each.matches("[tabindex]")))?.focus({ preventScroll: true });
    }
    const { tone, words: now } = page.documentElement.dataset;
    const changed = root.dataset.words !== now;
    Object.assign(root.dataset, { tone, words: now });
    root.toggleAttribute("data-missing", "missing" in page.documentElement.dataset);
    told = { title: page.title, icon: page.querySelector("link[rel=icon]").href };
    return { whole, changed };
  };

  const hear = (text, begun) => {
    const page = new DOMParser().parseFromString(text, "text/html");
    const { build, asOf } = page.documentElement.dataset;
    if (!build) {
      lose("Something else answers in the daemon's place");
      return false;
    }
    if (build !== root.dataset.build) {
      location.reload();
      return false;
    }
    if (!advances(Date.parse(asOf))) return false;
    const { whole, changed } = take(page);
    heard = Date.now();
    ahead = Date.parse(asOf) - (begun + heard) / 2;
    if (find() || changed) say(root.dataset.words);
    tick();
    return whole;
  };

  const look = async () => {
    clearTimeout(next);
    if (asking || document.hidden) return;
    asking = true;
    const begun = Date.now();
    try {
      const headers = { Accept: "text/html", ...(tag ? { "If-None-Match": tag } : {}) };
      const answer = await fetch(location.href, { headers, cache: "no-store", redirect: "error", signal: AbortSignal.timeout(PATIENCE) });
      if (answer.status === 200 || (answer.status === 404 && "missing" in root.dataset)) {
        const text = await answer.text();
        tag = null; // unless all of it is taken in: what is not must come again
        if (hear(text, begun)) tag = answer.headers.get("ETag");
      } else if (answer.status === 304 && tag) {
        if (advances(Date.parse(answer.headers.get("Reconciler-As-Of")))) {
          heard = Date.now();
          if (find()) say(root.dataset.words);
          tick();
        } else {
          tag = null; // whoever says this knows not, or says not, when it was so: a whole page does
        }
      } else if (answer.status === 404) {
        gone = true;
        tag = null;
        lose("There is no such page any more");
      } else {
        lose(`The daemon answers ${answer.status}`);
      }
    } catch {
      stale = false;
      lose();
    } finally {
      asking = false;
      clearTimeout(next);
      if (!document.hidden) next = setTimeout(look, EVERY);
    }
  };

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) clearTimeout(next);
    else {
      tick();
      look();
    }
  });
  addEventListener("pageshow", ({ persisted }) => persisted && look());
  addEventListener("online", look);
  addEventListener("offline", () => lose());
  setInterval(tick, 1000);
  tick();
  next = setTimeout(look, EVERY);
})();
