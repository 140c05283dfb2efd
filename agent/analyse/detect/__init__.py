"""Evidence for and against mining, and how much of it there is."""
