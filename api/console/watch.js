// Watching: asks again and again, soon while things move and ever more rarely while they rest.

const SOONEST_MS = 1000;
const LATEST_MS = 30_000;
const GROWTH = 1.5;

/**
 * Calls `load(signal)` until it answers true (nothing more will change) or the returned function is called.
 * `load` answers "changed" to be asked again soon, anything else to be asked a little later than last time; an error
 * counts as no change. A hidden page does not ask; it does at once when it is seen again.
 */
export function watch(load) {
  const abort = new AbortController();
  let delay = SOONEST_MS;
  let timer = 0;
  let busy = false;

  async function ask() {
    clearTimeout(timer);
    if (busy || document.hidden || abort.signal.aborted) return;
    busy = true;
    const answer = await load(abort.signal).catch(() => "error");
    busy = false;
    if (answer === true || abort.signal.aborted) return stop();
    delay = answer === "changed" ? SOONEST_MS : Math.min(delay * GROWTH, LATEST_MS);
    timer = setTimeout(ask, delay);
  }

  function seen() {
    delay = SOONEST_MS;
    ask();
  }

  function stop() {
    clearTimeout(timer);
    abort.abort();
    document.removeEventListener("visibilitychange", seen);
  }

  document.addEventListener("visibilitychange", seen);
  ask();
  return stop;
}
