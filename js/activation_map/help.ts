/** How to read the map, and what it cannot show. */

export const HELP: readonly string[] = [
  "A row is a token, a column one dimension of what the block puts out: orange above zero, blue below, paper at zero. Colours end where 99 % of the values of a typical token do; a ring marks what is ten times beyond that or more.",
  "Above: how large each dimension is over all tokens (root mean square, RMS); triangles name outlier dimensions. Beside: how long each token's vector is (L2 norm). Where sizes are very unlike, bars are by powers of ten, and say so.",
  "A click pins a token and a dimension; on the names of tokens or above the map only that one. A pinned dimension is drawn along the text below. Arrows, Home, End and Page keys move, Enter pins, + and − or ctrl + wheel zoom.",
  "A large activation is not an important one: massive activations are the same whatever the text says and mostly act as a bias; and the directions that matter need not lie along dimensions.",
];
