"""The measures of a policy, one file per subject."""
