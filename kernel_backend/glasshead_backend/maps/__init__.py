"""An attention map and what is made of it, in blocks of rows; nothing here knows a model."""
