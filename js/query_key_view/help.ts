export const HELP: readonly string[] = [
  "A score is a sum: in every dimension of a head the query’s number times the key’s number, times a " +
    "scale. Each row is a key token, each cell one of those products: orange raises the score, blue lowers it.",
  "The first row is the query. Beside the cells: their sum, what a soft-cap makes of it and what a " +
    "position bias adds where the model has such, the score, and the weight that the softmax makes of it.",
  "How the score comes about, step by step, is drawn for the key under the pointer; a click on its cells keeps it. " +
    "A click on a token pins it; in self-attention it becomes the query.",
  "Arrows move over keys and dimensions, Home and End go to the first and last key, Space keeps a key, " +
    "Enter pins it, [ and ] step through layers, digits choose heads.",
  "A dimension has no meaning of its own: rotary positions turn dimensions in pairs, and any rotation of " +
    "query and key together leaves all scores as they are.",
];
