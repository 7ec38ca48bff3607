"""From a text to batches of ids: readers, tokenizer, vocabulary, corpora, n-gram baselines."""
