/** How to read the lines, and what they cannot show. */

export const HELP: readonly string[] = [
  "Each line is one attention weight: the token on the left looks at the token on the right. The more it stands out, the stronger it is; in separate heads the colour is the head.",
  "Of every token its two strongest lines are drawn; what goes to attention sinks, tokens that nearly every token looks at, stands in the bars on the left instead.",
  "Hover a token to see only its lines, with a value beside each token and a column for each head; click pins it, Escape lets go. Arrow keys, Home, End and Page keys move, [ and ] change the layer, digits turn heads on and off.",
  "Attention says where a head reads from, not why the model answers as it does: a strong line is not an explanation.",
];
