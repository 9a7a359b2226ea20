"""Pages that show a view without a kernel: what they carry, and how they are written."""
