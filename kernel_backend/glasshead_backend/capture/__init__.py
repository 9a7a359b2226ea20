"""What enters the softmax of every attention call: kept while a model runs, weights later."""
