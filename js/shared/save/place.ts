/** Views that a notebook has taken out of the page, or hidden, have no places to read. */

/** Runs `job` while the element is laid out: aside, out of sight, where it is not. */
export function onPage<T>(root: HTMLElement, width: number, job: () => T): T {
  if (root.getBoundingClientRect().width > 0) return job();
  const scrolled = [...root.querySelectorAll("*")]
    .filter(({ scrollTop, scrollLeft }) => scrollTop || scrollLeft)
    .map((one) => [one, one.scrollTop, one.scrollLeft] as const);
  const mark = document.createComment("");
  const aside = document.createElement("div");
  Object.assign(aside.style, {
    position: "fixed",
    left: "-100000px",
    top: "0",
    width: `${width || 800}px`,
  });
  root.replaceWith(mark);
  aside.append(root);
  document.body.append(aside);
  for (const [one, top, left] of scrolled) one.scrollTo(left, top);
  try {
    return job();
  } finally {
    mark.replaceWith(root);
    aside.remove();
  }
}
