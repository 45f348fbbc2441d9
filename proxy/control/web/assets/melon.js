// Live updates. A page marks what may change with data-live and an id; when
// something happened, the same page is fetched again and those parts replaced.
// Nothing on the page needs this script.
"use strict";
(() => {
  const body = document.body;
  const banner = document.getElementById("connection");
  let source = null; // the stream of events
  let timer = 0; // of the next poll, or of the next look whether Melon is back
  let fetching = false, again = false, gone = false;

  const live = () => body.dataset.since !== undefined || body.dataset.job !== undefined;

  function listen() {
    stop();
    if (!live() || document.hidden) return;
    const job = body.dataset.job;
    source = new EventSource(job ? `/jobs/${job}/events` : `/v1/events?since=${body.dataset.since}`);
    source.onmessage = () => later(job ? 0 : 150);
    source.onerror = lost;
    if (document.querySelector("[data-poll]")) later(1000);
  }

  function stop() {
    if (source) source.close();
    source = null;
    clearTimeout(timer);
    timer = 0;
  }

  // later refreshes once for all that happens within some milliseconds.
  function later(ms) {
    if (!timer) timer = setTimeout(() => { timer = 0; refresh(); }, ms);
  }

  async function refresh() {
    if (fetching) { again = true; return; }
    fetching = true;
    try {
      const r = await fetch(location.href, { cache: "no-store" });
      if (r.status === 403) { say("closed"); stop(); return; }
      if (!r.ok && r.status !== 422) { location.reload(); return; }
      const page = new DOMParser().parseFromString(await r.text(), "text/html");
      replace(page);
      const job = body.dataset.job;
      for (const name of ["since", "job"]) {
        if (page.body.dataset[name] === undefined) delete body.dataset[name];
        else body.dataset[name] = page.body.dataset[name];
      }
      if (body.dataset.job !== job || !source) listen();
      else if (document.querySelector("[data-poll]")) later(1000);
    } catch {
      lost();
    } finally {
      fetching = false;
      if (again) { again = false; later(150); }
    }
  }

  // replace takes the live parts over from a fresh copy of the page, and keeps
  // what the person has chosen, opened, typed or focused.
  function replace(page) {
    document.title = page.title;
    for (const old of document.querySelectorAll("[data-live]")) {
      const fresh = page.getElementById(old.id);
      if (!fresh || fresh.innerHTML === old.dataset.was) continue;
      const active = document.activeElement;
      if (old.contains(active) && active.matches("input:not([type=checkbox]), textarea, select")) continue;
      const focus = old.contains(active) ? active.id || active.getAttribute("href") || active.value : "";
      const checked = new Set([...old.querySelectorAll("input:checked")].map((e) => e.id));
      const open = new Set([...old.querySelectorAll("details[open]")].map((e) => e.id));
      old.dataset.was = fresh.innerHTML;
      old.className = fresh.className;
      old.replaceChildren(...document.adoptNode(fresh).childNodes);
      for (const e of old.querySelectorAll("input[type=checkbox]")) if (checked.has(e.id)) e.checked = true;
      for (const e of old.querySelectorAll("details")) if (open.has(e.id)) e.open = true;
      if (focus) {
        const find = (e) => e.id === focus || e.getAttribute("href") === focus || e.value === focus;
        const e = [...old.querySelectorAll("a, button, input, summary, [tabindex]")].find(find);
        if (e) e.focus({ preventScroll: true });
      }
      enhance(old);
    }
  }

  // lost is called when the line broke: Melon was stopped, or the job is over.
  function lost() {
    stop();
    timer = setTimeout(look, 400);
  }

  async function look() {
    timer = 0;
    try {
      const r = await fetch("/v1/status", { cache: "no-store" });
      if (r.status === 403) { say("closed"); return; }
      if (!r.ok) throw new Error(r.statusText);
    } catch {
      gone = true;
      say("gone");
      if (!document.hidden) timer = setTimeout(look, 1000);
      return;
    }
    if (gone) {
      gone = false;
      say("back");
      setTimeout(() => { if (!gone) say(""); }, 4000);
    }
    refresh();
  }

  function say(what) {
    if (!banner) return;
    banner.hidden = !what;
    banner.className = what;
    const text = what ? banner.dataset[what] : "";
    if (banner.textContent !== text) banner.textContent = text;
  }

  // enhance shows what makes sense with this script alone.
  function enhance(root) {
    for (const e of root.querySelectorAll("[data-print], .check.all")) e.hidden = false;
  }

  document.addEventListener("click", (e) => {
    if (e.target.closest("[data-print]")) print();
  });
  document.addEventListener("change", (e) => {
    if (!e.target.matches("[data-all]")) return;
    for (const box of e.target.form.querySelectorAll("input[name=id]")) box.checked = e.target.checked;
  });
  document.addEventListener("visibilitychange", () => {
    if (!live()) return;
    if (document.hidden) stop();
    else if (gone) look();
    else refresh();
  });
  addEventListener("pagehide", stop);
  addEventListener("pageshow", (e) => { if (e.persisted && live()) refresh(); });

  enhance(document);
  listen();
})();
