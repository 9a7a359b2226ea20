/** How to read the matrix, and what it cannot show. */

export const HELP: readonly string[] = [
  "A row looks at the columns: the darker (in the dark theme, the lighter) a cell, the more of the row's attention goes to that column. Zero is the colour of the paper.",
  "Bars to the right show how spread out each row is over what it looks at (entropy), bars below how much attention a column gets on average. Hover a cell for its exact weight; arrow keys move, click selects both words, ctrl + wheel zooms.",
  "Weights of a word's tokens are added over what is looked at and averaged over what looks. Attention is not an explanation of what the model answers.",
];
