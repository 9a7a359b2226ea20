/** How to read the grid, and what it cannot show. */

export const HELP: readonly string[] = [
  "Two texts of as many tokens: of the clean one the model says one thing, of the corrupted one another. A cell is a run of its own: the corrupted text with one piece of the clean run put in, at this layer (rows, the first at the top) and this token or head (columns).",
  "Orange: the answer goes back towards that of the clean text; 1 is all the way, 0 is as corrupted. Blue: it goes the other way. A recovered share is that of the difference between both answers.",
  "A click chooses a cell: its layer and token (or head) in linked views, its run in Python (patched). Arrows, Home, End and Page keys move, Enter chooses, Escape lets go, + and − or ctrl + wheel zoom.",
  "A cell that recovers the answer shows that what differs passes there, in these two texts: not that nothing else is needed, nor what the place does in others. What is the same in both runs recovers nothing, however much it matters.",
];
