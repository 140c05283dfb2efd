"""What was said stays here until the centre has confirmed it: tables, damage, bounds, and what is said of them."""
