/** How to read the strip, and the words it uses. */

export const HELP: readonly string[] = [
  "Every token stands on a colour: the stronger, the worse the model guessed it from what came " +
    "before (of probability: the better). Underlined are the model’s first guesses that were right, " +
    "or those that were not, whichever are fewer: the legend says which. Of equally probable tokens " +
    "the one that comes first in the vocabulary is the first guess.",
  "Surprisal is −log₂ of the probability that the model gave to the token, in bits: 0 bits = " +
    "certain, 1 bit = a coin toss, each further bit halves the probability.",
  "Perplexity is 2 to the power of the surprisal: among how many equally likely tokens the choice " +
    "was. The perplexity of the whole text is that of its mean surprisal.",
  "Rank is the token’s place among all tokens of the vocabulary, 1 = none is more probable. " +
    "Entropy is how undecided the model was, whatever came then.",
  "Layers and Distribution read the pinned token closely, under the text. Click a word of the " +
    "distribution: it is put there, and the model goes on from it.",
  "A hatched token has no value, and its card says why. The numbers say how well this model " +
    "predicts, not whether the text is good or true.",
];
