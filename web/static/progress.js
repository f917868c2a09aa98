// Says that a part of the page is on its way, that it has come, and what to do when it does not.
"use strict";

const AFTER_MS = 400;
const LONG_AFTER_MS = 10000;
let timers = [];

const panel = () => document.getElementById("panel");
const region = () => document.getElementById("progress");
const arrival = () => document.getElementById("arrival");
const problem = () => document.getElementById("problem");

function say(words) {
  if (region()) region().textContent = words || "";
}

function start() {
  finish();
  problem()?.setAttribute("hidden", "");
  document.title = document.title.replace(errorMark(), "");
  panel()?.setAttribute("aria-busy", "true");
  timers = [
    setTimeout(() => say(region()?.dataset.updating), AFTER_MS),
    setTimeout(() => say(region()?.dataset.long), LONG_AFTER_MS),
  ];
}

function finish() {
  timers.forEach(clearTimeout);
  timers = [];
  say("");
  panel()?.removeAttribute("aria-busy");
}

function errorMark() {
  return problem()?.dataset.mark || "";
}

function fail(event) {
  finish();
  const link = problem()?.querySelector("a");
  if (!link) return;
  link.href = event.detail?.pathInfo?.finalRequestPath || window.location.href;
  problem().removeAttribute("hidden");
  if (!document.title.startsWith(errorMark())) document.title = errorMark() + document.title;
  problem().focus();
}

function settle() {
  // htmx keeps the focus on a link that is in the new part too; otherwise it would fall to the top.
  if (document.activeElement === document.body) panel()?.focus({ preventScroll: true });
  if (arrival()) arrival().textContent = document.title;
}

document.addEventListener("htmx:beforeRequest", start);
document.addEventListener("htmx:afterRequest", finish);
document.addEventListener("htmx:afterSettle", settle);
for (const name of ["htmx:sendError", "htmx:timeout", "htmx:responseError"]) {
  document.addEventListener(name, fail);
}
