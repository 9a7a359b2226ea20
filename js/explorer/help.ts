/** How to read the explorer. */

export const HELP: readonly string[] = [
  "All panes show the same text, layer, heads and tokens: what is chosen in one is chosen in all.",
  "The layer slider lies on a chart of what the layers do, the statistic of the layer chart. Heads are chosen by their tiles; click one to see it alone, or with others where it says so.",
  "The switch under a tile, or the key O on it, runs the model without that head: all panes show that run, and the text is coloured by what changed. That tells what the rest of the model cannot do without the head, on this text.",
  "Point at a token to light it everywhere; a click pins it, Escape lets go. [ and ] go through the layers, digits choose heads.",
  "A pane can be hidden, or made large with the rest out of the way. Change the text and trace it again to see what is different.",
  "Attention shows where a model looks, not why it says what it says.",
];
