/** Something that a button opens: Escape closes it and gives the focus back, so does going on. */

export interface Popup {
  /** Opens it, or closes it where it is open. */
  toggle(): void;
  close(): void;
}

/** `anchor` holds both the opener and the panel. */
export function popup(
  anchor: HTMLElement,
  opener: HTMLButtonElement,
  panel: HTMLElement,
  signal: AbortSignal,
): Popup {
  const open = (on: boolean): void => {
    panel.hidden = !on;
    opener.setAttribute("aria-expanded", String(on));
  };
  open(false);
  // What is clicked inside takes the focus, which would otherwise leave.
  panel.tabIndex = -1;
  anchor.addEventListener(
    "keydown",
    (event) => {
      if (event.key !== "Escape" || panel.hidden) return;
      event.stopPropagation();
      open(false);
      opener.focus();
    },
    { signal },
  );
  anchor.addEventListener(
    "focusout",
    ({ relatedTarget: to }) => {
      if (to instanceof Node && !anchor.contains(to)) open(false);
    },
    { signal },
  );
  document.addEventListener(
    "pointerdown",
    (event) => {
      if (!event.composedPath().includes(anchor)) open(false);
    },
    { signal },
  );
  return { toggle: () => open(panel.hidden !== false), close: () => open(false) };
}
