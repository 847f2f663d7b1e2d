"use strict";
// A table that is wider than its window scrolls in a box; the keyboard reaches such a box, and no
// other: a page of a hundred tables that fit has no stops between its links.
(() => {
  function headingBefore(box) {
    const follows = Node.DOCUMENT_POSITION_FOLLOWING;
    const before = [...document.querySelectorAll(".md-content :is(h1, h2, h3)")].filter(
      (heading) => heading.compareDocumentPosition(box) & follows,
    );
    return before.length ? before[before.length - 1].firstChild.textContent.trim() : "";
  }

  const sizes = new ResizeObserver((entries) => {
    for (const { target: box } of entries) {
      if (box.scrollWidth > box.clientWidth) {
        box.tabIndex = 0;
        box.setAttribute("role", "group");
        box.setAttribute("aria-label", `Wide table: ${headingBefore(box)}`);
      } else {
        for (const name of ["tabindex", "role", "aria-label"]) box.removeAttribute(name);
      }
    }
  });
  // The theme puts tables into boxes once the page is there.
  const watch = () => document.querySelectorAll(".md-typeset__scrollwrap").forEach((box) => sizes.observe(box));
  new MutationObserver(watch).observe(document.body, { childList: true, subtree: true });
  watch();
})();
