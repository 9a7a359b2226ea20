/** How to read the matrix, and what it cannot show. */

export const HELP: readonly string[] = [
  "A row looks at the columns: the darker (in the dark theme, the lighter) a cell, the more of the row's attention goes to that column. Zero is the colour of the paper. Columns that nearly every row looks at (sinks) stand apart as stripes, so that the rest can be read; all numbers stay shares of all attention.",
  "Bars to the right show what goes to sinks and how spread out each row is (entropy), bars below how much attention a column gets on average. Point at a cell for its exact weight; a click pins the pair. Arrow keys, Home, End and Page keys move, + and − zoom, as does ctrl + wheel. Compare takes another layer or other heads away.",
  "Weights of a word's tokens are added over what is looked at and averaged over what looks. Attention is not an explanation of what the model answers.",
];
