"""Named checks that leave rows out, each with its rule, its count and examples; what a check cannot tell stays in."""
