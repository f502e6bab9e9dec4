"""The synthetic cohort of whole heads, and what reads people's own."""
