export const HELP: readonly string[] = [
  "Every tile is a head: layers from top to bottom (and on in the next column), heads from left to " +
    "right. In a tile rows look at columns, as in the matrix; the largest weight of a pixel's cells is drawn.",
  "Each head has a scale of its own, by the square root of the weight, so that weak patterns can be " +
    "read: drawn in full is what 98 % of its pixels stay below. Compare strengths by the numbers, not by the ink. Grey columns are attention sinks, in full at weight 1.",
  "Click a head to see it in the linked views, ctrl- or shift-click to add one of the same layer. " +
    "Arrows move, Home and End go to the first and last head of a layer, Enter picks.",
  "A pattern or a high score on one text is a question to test, not what the head is for.",
];

/** Of an atlas: what the numbers and the rows are. */
export const HELP_OF_MANY: readonly string[] = [
  "Numbers are means over many texts, each text counted once, with a bootstrap interval over the texts. Below are rows of one " +
    "head by their own value: of every bucket some at random, and the highest. The outlined token looks, the shaded ones are looked at.",
  "Click a head for its rows, and a bucket to see its rows alone. Sort by the low end of the interval to find heads that are surely high.",
  "It is true of texts like these: other texts may ask other things of a head.",
];
