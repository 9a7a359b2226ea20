/** How to read attribution, and what it cannot show. */

export const HELP: readonly string[] = [
  "In reverse stands the token that is explained: why did the model expect it? The tokens before it are coloured by how much they count: orange speaks for it, blue against it, paper does not matter. Click another token, or use [ and ], to ask about that one; with Shift a click keeps both.",
  "Gradient × input: how steeply the number would change if the token’s embedding grew a little. It is quick, and says nothing of what happens farther away. Integrated gradients adds such slopes up on the way from a baseline to the text: their sum is the difference between both, and what is missing is said.",
  "“And not” asks why this token and not another: the difference of their logits. Of a token that is all but certain the log-probability has nowhere to go, and little counts; its logit shows more. As a matrix every row is a token that was predicted, every column one that was read.",
  "Attribution is not attention, and no proof: methods disagree, a negative number may be a detour of the model, and only switching a part off shows what the model does without it.",
];
