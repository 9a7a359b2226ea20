"""What other libraries' users bring, their models and records: a lazy file for each library."""
