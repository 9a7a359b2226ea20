/** How to read the matrix, and what it cannot show. */

export const HELP: readonly string[] = [
  "A row looks at the columns: the farther from the colour of the paper, the more of the row's attention goes to that column. Columns that nearly every row looks at (sinks) stand apart as stripes; all numbers stay shares of all attention.",
  "Bars: what goes to sinks and how spread out each row is (entropy), and what a column gets on average. A click pins a pair; arrows, Home, End and Page keys move, + and − or ctrl + wheel zoom.",
  "Scores are what enters the softmax: orange above zero, blue below. Only how far they are apart within a row counts; the bars beside them stay those of the weights that they become.",
  "Weights of a word's tokens are added over what is looked at and averaged over what looks. Attention is not an explanation of what the model answers.",
];
