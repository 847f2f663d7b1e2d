"use strict";
// Looks again while something is under way, and puts the new numbers in place of the old ones.
(() => {
  const EVERY = 3000;
  const SLOWEST = 60000;
  let pause = EVERY;

  async function look() {
    if (document.hidden) return again();
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (answer.redirected) return location.reload();
      if (!answer.ok) throw new Error(String(answer.status));
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      const region = fresh.getElementById("live");
      // It has ended: the page has other parts now.
      if (region === null) return location.reload();
      const here = document.getElementById("live");
      if (here.innerHTML !== region.innerHTML) here.innerHTML = region.innerHTML;
      // Read out by screen readers, so only when it says something else.
      const said = document.getElementById("said");
      const now = fresh.getElementById("said");
      if (said && now && said.textContent !== now.textContent) said.textContent = now.textContent;
      pause = EVERY;
    } catch {
      pause = Math.min(2 * pause, SLOWEST);
    }
    again();
  }

  function again() {
    setTimeout(look, pause);
  }

  again();
})();
