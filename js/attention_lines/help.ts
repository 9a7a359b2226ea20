/** How to read the lines, and what they cannot show. */

export const HELP: readonly string[] = [
  "Each line is one attention weight: the token on the left looks at the token on the right. The colour is the head, the opacity the weight.",
  "Hover a token to see only its lines, with bars for each head; click pins it, Escape lets go. Arrow keys move, [ and ] change the layer, digits turn heads on and off.",
  "Attention says where a head reads from, not why the model answers as it does: a strong line is not an explanation.",
];
