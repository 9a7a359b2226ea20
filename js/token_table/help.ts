/** How to read the table, and the words it uses. */

export const HELP: readonly string[] = [
  "Each box is one token, the unit that the model reads. A dot is a space, ⏎ the end of a line; most " +
    "tokenizers make the space a part of the word behind it.",
  "The colour says what the token is; lighter and darker only tell neighbours apart. A word is what " +
    "stands between two word boundaries of Unicode, so a punctuation mark is a word, too.",
  "⟨F0 9F⟩ are bytes: the vocabulary lacks the character, so several tokens hold a part of it each.",
  "“Own string” is what the tokenizer itself calls the token: Ġ or ▁ is a space there, ## goes on " +
    "with a word. The span 4–9 is the text from character 4 up to, not including, 9; a special token that " +
    "was put in covers none.",
  "Point at a token or at its row to see the other; a click pins it. Arrow keys move along the text.",
];
