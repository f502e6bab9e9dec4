"""The synthetic cohort of gliomas: people, tumors, scanners, drawn from knobs."""
